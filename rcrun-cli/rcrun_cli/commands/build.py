"""`rcrun build`."""

from __future__ import annotations

import os
import sys

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from typing import Any

    from rcrun.engine.build.request import Request


@command(failure_status=1)
@option(
    "-f",
    "--file",
    metavar="FILE",
    help="Containerfile or Dockerfile of the context if nothing is said; - is standard input",
)
@option("-t", "--tag", "names", multiple=True, metavar="NAME[:TAG]", help="Name the image")
@option("--target", metavar="STAGE", help="Build up to this stage")
@option(
    "--build-arg",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Set an ARG; without a value the caller's variable",
)
@option(
    "--build-context",
    multiple=True,
    metavar="NAME=DIR|docker-image://IMAGE",
    help="Another place for --from",
)
@option("--label", multiple=True, metavar="KEY=VALUE", help="Set a label of the image")
@option(
    "--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation of its manifest"
)
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Build for this platform")
@option(
    "--format", "form", metavar="oci|docker", default="oci", help="The media types of its documents"
)
@option("--no-cache", is_flag=True, help="Make every step anew")
@option("--pull", is_flag=True, help="Ask the registries for newer bases")
@option("--network", metavar="default|none|host", help="Network of RUN")
@option(
    "--secret",
    multiple=True,
    metavar="id=ID[,src=FILE|,env=NAME]",
    help="For RUN --mount=type=secret",
)
@option("--ssh", multiple=True, metavar="ID[=SOCKET]", help="For RUN --mount=type=ssh")
@option("--allow", multiple=True, metavar="ENTITLEMENT", help="network.host or security.insecure")
@option("--add-host", multiple=True, metavar="NAME:ADDRESS", help="A line of /etc/hosts for RUN")
@option("--shm-size", metavar="SIZE", help="Size of /dev/shm for RUN")
@option("--ulimit", multiple=True, metavar="NAME=SOFT[:HARD]", help="A resource limit for RUN")
@option("--iidfile", metavar="FILE", help="Write the image's id there")
@option("--metadata-file", metavar="FILE", help="Write what was built there, as JSON")
@option(
    "--source-date-epoch",
    "--timestamp",
    "epoch",
    metavar="SECONDS",
    help="The time of the image and of what the build changes",
)
@option("--progress", type=["auto", "plain", "quiet", "tty"], default="auto", help="How it is told")
@option("-q", "--quiet", is_flag=True, help="Print the image's id only")
@option("--load", is_flag=True, help="For scripts: it goes into the store anyway", hidden=True)
@option("--push", is_flag=True, help="Push every name afterwards")
@option("--rm", is_flag=True, default=True, help="For scripts; no effect", hidden=True)
@option("--force-rm", is_flag=True, help="For scripts; no effect", hidden=True)
@option("--layers", is_flag=True, default=True, help="For scripts; no effect", hidden=True)
@argument("place", metavar="CONTEXT", required=False)
def build(place: str | None, **options: Any) -> None:
    """Build an image from a Containerfile and the files of a directory."""
    from contextlib import ExitStack

    from rcrun.engine.build.builder import build as make
    from rcrun_cli.building import build_progress

    progress = build_progress(quiet=options["quiet"] or options["progress"] == "quiet")
    with ExitStack() as stack:
        request = _request(_source(place, options["file"], stack), options)
        try:
            built = make(context.engine(), request, progress)
        except Exception:
            _show_output(progress)
            raise
    _report(built, options)
    if options["push"]:
        _push(request.names)


def _show_output(progress: Any) -> None:
    """Of a quiet build that failed, what the failed step said last."""
    if progress.last_output and type(progress).__name__ == "Quiet":
        sys.stderr.write(progress.last_output.decode("utf-8", "replace"))


def _report(built: Any, options: dict[str, Any]) -> None:
    """docker prints the id when it is quiet, podman without `sha256:` always."""
    from rcrun.files import dump_json
    from rcrun_cli import output

    if options["iidfile"]:
        _write(options["iidfile"], built.image_id)
    if options["metadata_file"]:
        facts: dict[str, Any] = {
            "containerimage.config.digest": built.image_id,
            "containerimage.digest": built.digest,
        }
        if options["names"]:
            facts["image.name"] = ",".join(options["names"])
        _write(options["metadata_file"], dump_json(facts) + "\n")
    if context.settings.personality == "podman":
        output.put(built.image_id.removeprefix("sha256:"))
    elif options["quiet"]:
        output.put(built.image_id)
    else:
        output.tell(f"image {built.image_id}")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot write "{path}": {reason}') from error


def _push(names: Sequence[str]) -> None:
    from rcrun.engine.access import Access
    from rcrun.engine.push import push
    from rcrun.formats.reference import parse
    from rcrun_cli.pushing import push_progress

    for name in names:
        push(context.engine(), name, parse(name), progress=push_progress(), access=Access())


# ---- from options to a request


def _request(source: Source, options: dict[str, Any]) -> Request:
    from rcrun.engine.build.request import Request
    from rcrun.engine.options import pairs

    environ = context.environ()
    run_options = {key: options[key] for key in ("add_host", "shm_size", "ulimit") if options[key]}
    return Request(
        text=source.text,
        context_dir=source.folder,
        ignore=_ignored(source.folder, options["file"]),
        file=source.shown,
        target=options["target"] or "",
        arguments=_arguments(options["build_arg"], environ),
        contexts=pairs(options["build_context"], "--build-context", bare=False),
        labels=pairs(options["label"], "--label"),
        annotations=pairs(options["annotation"], "--annotation"),
        names=options["names"],
        platform=options["platform"] or "",
        form=_form(options["form"]),
        cache=not options["no_cache"],
        pull="newer" if options["pull"] else "missing",
        network=options["network"] or "",
        options=run_options,
        secrets=_secrets(options["secret"], environ),
        ssh=_agents(options["ssh"], environ),
        allowed=options["allow"],
        epoch=_epoch(options["epoch"] or environ.get("SOURCE_DATE_EPOCH")),
    )


def _form(text: str) -> str:
    if text not in ("oci", "docker"):
        raise InvalidInput(f'invalid format "{text}"', "write oci or docker")
    return text


def _epoch(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise InvalidInput(f'invalid time "{text}"', "write seconds since 1970")
    return int(text)


class Source:
    """The context's directory, the Containerfile's text, and what it is called in errors."""

    def __init__(self, folder: str, text: str, shown: str) -> None:
        self.folder = folder
        self.text = text
        self.shown = shown


def _source(place: str | None, file: str | None, stack: ExitStack) -> Source:
    """`stack` keeps what had to be brought."""
    from rcrun.engine.build.contexts import Fetched, is_git, is_remote

    if place is None and file is None:
        raise InvalidInput("no context is given", "rcrun build [OPTIONS] DIR")
    place = place or "."
    if place != "-" and not is_remote(place):
        if not os.path.isdir(place):
            raise NotFound(f'no such directory: "{place}"')
        return _in_folder(os.path.abspath(place), file, place)
    if place == "-" and file == "-":
        raise InvalidInput("standard input cannot be both the context and the Containerfile")
    fetched = stack.enter_context(Fetched(context.engine()))
    if place != "-" and is_git(place):
        return _in_folder(fetched.repository(place), file, place)
    text = fetched.from_stream(0) if place == "-" else fetched.from_address(place)
    return Source(fetched.path, text, place) if text else _in_folder(fetched.path, file, place)


def _in_folder(folder: str, file: str | None, place: str) -> Source:
    from rcrun.engine.build.contexts import NAMES

    if file == "-":
        return Source(folder, sys.stdin.read(), "-")
    candidates = [file, f"{folder}/{file}"] if file else [f"{folder}/{name}" for name in NAMES]
    for path in candidates:
        if os.path.isfile(path):
            return Source(folder, _read(path), file or os.path.basename(path))
    wanted = f'"{file}"' if file else " nor ".join(f'"{name}"' for name in NAMES)
    raise NotFound(f'there is no {wanted} in "{place}"', "name it: -f FILE")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as error:
        raise InvalidInput(f'cannot read "{path}": {(error.strerror or "").lower()}') from error


def _ignored(folder: str, file: str | None) -> list[str]:
    from rcrun.formats.containerfile.ignore import read

    names = [f"{file}.dockerignore"] if file and file != "-" else []
    names += [f"{folder}/.containerignore", f"{folder}/.dockerignore"]
    for path in names:
        if os.path.isfile(path):
            return read(_read(path))
    return []


def _arguments(words: Sequence[str], environ: dict[str, str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
    return found


def _secrets(words: Sequence[str], environ: dict[str, str]) -> dict[str, bytes]:
    found = {}
    for word in words:
        values = dict(pair.partition("=")[::2] for pair in word.split(","))
        name = values.get("id") or ""
        path = values.get("src") or values.get("source") or ""
        variable = values.get("env") or ("" if path else name)
        if not name:
            raise InvalidInput(f'--secret "{word}" has no id', "write id=ID,src=FILE")
        if path:
            try:
                with open(path, "rb") as file:
                    found[name] = file.read()
            except OSError as error:
                reason = (error.strerror or "").lower()
                raise InvalidInput(f'--secret: cannot read "{path}": {reason}') from error
        elif variable in environ:
            found[name] = environ[variable].encode("utf-8", "surrogateescape")
        else:
            raise InvalidInput(
                f'--secret "{word}": there is no variable "{variable}"', "write id=ID,src=FILE"
            )
    return found


def _agents(words: Sequence[str], environ: dict[str, str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, _, path = word.partition("=")
        socket = path or environ.get("SSH_AUTH_SOCK", "")
        if not socket:
            raise InvalidInput(
                f'--ssh "{word}": SSH_AUTH_SOCK is not set', "run: eval $(ssh-agent)"
            )
        found[name] = socket
    return found
