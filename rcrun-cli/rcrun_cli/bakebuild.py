"""Targets of `bake` → builds: each is a `build` of its own, in the order in which they stand on each other."""

from __future__ import annotations

import os
import posixpath

from rcrun.errors import InvalidInput
from rcrun.files import dump_json, parse_json
from rcrun_cli import context, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from subprocess import Popen
    from typing import Any

    from rcrun.formats.bake.choice import Choice
    from rcrun.formats.bake.target import Attributes, Target
    from rcrun_cli.bakefiles import Place

_RESOURCES = (
    "memory",
    "memory-swap",
    "cpu-shares",
    "cpu-period",
    "cpu-quota",
    "cpuset-cpus",
    "cpuset-mems",
)


def build_all(choice: Choice, place: Place, options: Mapping[str, Any]) -> int:
    """The status of the first that fails."""
    from rcrun.formats.bake.choice import links_of
    from rcrun_cli.bakeallow import check

    targets = choice.in_order()
    check(targets, place, options["allow"])
    for target in targets:
        words_of(target, place, {})  # what is wrong is told before anything is built
    below = {name for target in targets for name in links_of(target.said)}
    facts: dict[str, Any] = {}
    with Links([target for target in targets if target.name in below]) as links:
        for target in targets:
            status = _build(target, place, links, options, facts)
            if status != 0:
                output.complain(f'target "{target.name}" was not built')
                return status
    if options["metadata_file"]:
        from rcrun_cli.textfile import write_text

        write_text(options["metadata_file"], dump_json(facts) + "\n")
    return 0


class Links(dict[str, str]):
    """Names of the store, for as long as the builds last, of what other targets stand on."""

    def __init__(self, targets: Sequence[Target]) -> None:
        run = os.urandom(6).hex()
        super().__init__({each.name: f"localhost/bake/{run}:{each.name}" for each in targets})
        self._nameless = [each.name for each in targets if _stays_without_name(each)]

    def __enter__(self) -> Links:
        return self

    def __exit__(self, *_: object) -> None:
        """What nobody wants in the store goes with its name."""
        from rcrun.engine import rmi, tag
        from rcrun.errors import NotFound

        engine = context.engine()
        for target, name in self.items():
            try:
                if target in self._nameless:
                    tag.untag(engine.store, name, [name])
                else:
                    rmi.remove(engine, name)
            except NotFound:
                pass  # it was not built
        if self:
            rmi.finish(engine)


def _stays_without_name(target: Target) -> bool:
    """It was asked for, and `build` keeps it in the store."""
    kinds = [each["type"] for each in target.said.get("output", ())]
    in_store = not kinds or any(kind in ("docker", "image", "registry") for kind in kinds)
    return in_store and not target.linked and not target.said.get("tags")


def _build(
    target: Target,
    place: Place,
    links: Links,
    options: Mapping[str, Any],
    facts: dict[str, Any],
) -> int:
    """Without its names, and in the store, comes what others stand on; after what was asked for, out of the cache."""
    import tempfile

    progress = options["progress"] or context.environ().get("BUILDKIT_PROGRESS", "")
    if progress not in ("quiet", "rawjson"):
        output.tell(f"==> {target.name}")
    told = ["--progress", options["progress"]] if options["progress"] else []
    words = words_of(target, place, links)
    if target.linked:
        words += ["-t", links[target.name]]
    with tempfile.TemporaryDirectory(prefix="rcrun-bake-") as folder:
        file = f"{folder}/metadata"
        where = [] if target.linked else where_of(target)
        status = _run(target, [*told, "--metadata-file", file, *where, *words])
        if status == 0 and os.path.exists(file):
            with open(file, "rb") as content:
                facts[target.name] = parse_json(content.read())
            if target.linked:
                del facts[target.name]["image.name"]  # nobody else's business
    if status == 0 and target.name in links and not target.linked:
        again = [word for word in words if word not in ("--no-cache", "--pull")]
        return _run(target, ["-q", "-t", links[target.name], *again], quiet=True)
    return status


def _run(target: Target, words: Sequence[str], *, quiet: bool = False) -> int:
    import subprocess

    inline = target.said.get("dockerfile-inline")
    process = subprocess.Popen(
        [*context.self_command(), "build", *words],
        stdin=subprocess.DEVNULL if inline is None else subprocess.PIPE,
        stdout=subprocess.DEVNULL if quiet else None,
    )
    with Forwarding(process) as forwarding:
        process.communicate(inline and inline.encode("utf-8", "surrogateescape"))
    code = process.returncode
    return forwarding.status or (code if code >= 0 else 128 - code)


class Forwarding:
    """What shall end us interrupts the build, which tidies up; Ctrl-C on a terminal has reached it already."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._before: dict[int, Any] = {}
        self.status = 0

    def __enter__(self) -> Forwarding:
        import signal

        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._got)
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _got(self, number: int, _: object) -> None:
        import signal

        self.status = 128 + number
        if number != signal.SIGINT or not _is_in_foreground():
            self._process.send_signal(signal.SIGINT)


def _is_in_foreground() -> bool:
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    finally:
        os.close(fd)


# ---- the words


def words_of(target: Target, place: Place, links: Mapping[str, str]) -> list[str]:
    """What `build` is told of a target, but not what it shall be called and where it goes."""
    said = target.said
    if "-" in (said["context"], said["dockerfile"]):
        raise InvalidInput(f'target "{target.name}": standard input is not for targets')
    if any(not each.get("disabled") for each in said.get("attest", ())):
        raise InvalidInput(
            f'target "{target.name}": rcrun makes no attestations',
            "--provenance=false --sbom=false",
        )
    words = [
        *_file(said, place),
        *_pairs("--build-arg", said.get("args")),
        *_pairs("--label", said.get("labels")),
        *_contexts(said, place, links),
        *_lists(said),
        *_single(said),
    ]
    return [place.path(said["context"]), *words]


def _file(said: Attributes, place: Place) -> list[str]:
    from rcrun.engine.build.contexts import is_remote

    if "dockerfile-inline" in said:
        return ["-f", "-"]
    name, where = said["dockerfile"], place.path(said["context"])
    if name.startswith("cwd://"):
        return ["-f", os.path.abspath(place.path(name))]
    if is_remote(name):
        return ["-f", name]
    if is_remote(where):
        return [] if name == "Dockerfile" else ["-f", name]
    path = posixpath.normpath(posixpath.join(where, name))
    if name == "Dockerfile" and not os.path.exists(path):
        return []  # a Containerfile will do
    if place.folder and where.startswith(place.folder):
        path = place.path(os.path.relpath(path, place.folder))
    return ["-f", path]


def _pairs(option: str, values: Mapping[str, str | None] | None) -> list[str]:
    """What is null is left to the Containerfile."""
    pairs = sorted((values or {}).items())
    return [
        word for key, value in pairs if value is not None for word in (option, f"{key}={value}")
    ]


def _contexts(said: Attributes, place: Place, links: Mapping[str, str]) -> list[str]:
    from rcrun.formats.bake.choice import LINK

    words = []
    for name, text in sorted(said.get("contexts", {}).items()):
        if text.startswith(LINK):
            text = f"docker-image://{links.get(text[len(LINK) :], '')}"
        else:
            text = place.path(text)
        words += ["--build-context", f"{name}={text}"]
    return words


def _lists(said: Attributes) -> list[str]:
    from rcrun.formats.bake.words import written, written_ssh

    found: list[tuple[str, Sequence[str]]] = [
        ("--annotation", said.get("annotations", ())),
        ("--cache-from", [written(each) for each in said.get("cache-from", ())]),
        ("--cache-to", [written(each) for each in said.get("cache-to", ())]),
        ("--secret", [written(each) for each in said.get("secret", ())]),
        ("--ssh", [written_ssh(each) for each in said.get("ssh", ())]),
        ("--platform", said.get("platforms", ())),
        ("--no-cache-filter", said.get("no-cache-filter", ())),
        ("--ulimit", said.get("ulimits", ())),
        ("--allow", said.get("entitlements", ())),
        ("--add-host", _hosts(said)),
    ]
    return [word for option, values in found for value in values for word in (option, value)]


def _hosts(said: Attributes) -> list[str]:
    pairs = sorted(said.get("extra-hosts", {}).items())
    return [f"{key}:{each}" for key, value in pairs if value for each in value.split(",")]


def _single(said: Attributes) -> list[str]:
    words = []
    for name in ("target", "network", "shm-size"):
        if said.get(name):
            words += [f"--{name}", said[name]]
    for name in ("no-cache", "pull"):
        if said.get(name):
            words.append(f"--{name}")
    for name, value in (said.get("resources") or {}).items():
        if name not in _RESOURCES:
            raise InvalidInput(
                f'"resources" have no "{name}"', f"they have {', '.join(_RESOURCES)}"
            )
        words += [f"--{name}", value]
    if said.get("policy"):
        raise InvalidInput('"policy" is not possible: there is no Rego here', "leave it out")
    if said.get("call") not in (None, "build"):
        words += ["--call", said["call"]]
    return words


def where_of(target: Target) -> list[str]:
    from rcrun.formats.bake.words import written

    words = [word for name in target.said.get("tags", ()) for word in ("-t", name)]
    return [
        *words,
        *(word for each in target.said.get("output", ()) for word in ("-o", written(each))),
    ]
