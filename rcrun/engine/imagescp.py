"""image scp: images to and from other hosts through ssh, as an archive that streams from one engine's save to the other's load."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, InvalidInput, RcrunError
from rcrun.formats import reference as grammar
from rcrun.paths import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.storage.archive import Loaded

ENGINES = ("rcrun", "podman", "docker")


class End:
    """`[ssh://][USER@]HOST[:PORT]::[IMAGE]`, or IMAGE of our store: then `host` is empty."""

    __slots__ = ("host", "image", "port", "text")

    def __init__(self, text: str, host: str, port: str, image: str) -> None:
        self.text = text
        self.host = host
        self.port = port
        self.image = image


def parse_end(text: str) -> End:
    where, colons, image = text.removeprefix("ssh://").partition("::")
    if not colons:
        return End(text, "", "", text)
    where = where.partition("/")[0]
    host, colon, port = where.rpartition(":")
    if not colon or where.endswith("]"):
        host, port = where, ""
    name = host.rpartition("@")[2]
    if not name or host.startswith("-") or (port and not port.isdecimal()):
        raise InvalidInput(f'invalid place "{text}"', "write [USER@]HOST[:PORT]::[IMAGE]")
    if image:
        grammar.parse(image)
    return End(text, host, port, image)


def copy(context: Context, source: str, target: str, *, engine: str = "") -> list[Loaded] | None:
    """What was loaded here, or None when it went elsewhere, whose engine has told."""
    one, other = parse_end(source), parse_end(target)
    if not one.image:
        raise InvalidInput(f'"{source}" names no image', f"{source}IMAGE")
    if engine and engine not in ENGINES:
        raise InvalidInput(f'unknown engine "{engine}"', f"use one of {', '.join(ENGINES)}")
    if one.host and other.host:
        _through(context, one, other, engine)
        return None
    if one.host:
        return _fetch(context, one, other, engine)
    if not other.host:
        raise InvalidInput(
            f'neither "{source}" nor "{target}" is on another host',
            f"rcrun tag {source} NAME, or name a host: {source} HOST::",
        )
    _send(context, one, other, engine)
    return None


def remote_words(context: Context, end: End, engine: str, words: Sequence[str]) -> list[str]:
    """ssh with the words for the engine there: the one that is named, else the first that is found."""
    import shlex

    program = find_program("ssh", context.environ.get("PATH", ""))
    if not program:
        raise HostLacks('"ssh" is not installed', "install the openssh client")
    rest = shlex.join(words)
    if engine:
        line = f"{engine} {rest}"
    else:
        tries = [f"command -v {name} >/dev/null 2>&1 && exec {name} {rest}" for name in ENGINES]
        line = "; ".join([*tries, f'echo "there is none of {" ".join(ENGINES)}" >&2; exit 127'])
    port = ["-p", end.port] if end.port else []
    return [program, *port, "--", end.host, line]


def _send(context: Context, source: End, target: End, engine: str) -> None:
    import subprocess

    from rcrun.engine.save import find_all, save_archive

    saved = find_all(context.store, [source.image])
    if target.image:
        saved[0].names = [grammar.parse(target.image)]
    words = remote_words(context, target, engine, ["load"])
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        broken = False
        try:
            save_archive(context, saved, "docker-archive", process.stdin.fileno())
        except BrokenPipeError:
            broken = True  # it has told why
        except BaseException:
            process.terminate()  # what was begun there must not look whole
            raise
        process.stdin.close()
        _check(target, process.wait(), "load", broken=broken)


def _fetch(context: Context, source: End, target: End, engine: str) -> list[Loaded]:
    import subprocess

    from rcrun.engine.load import load
    from rcrun.engine.tag import tag

    words = remote_words(context, source, engine, ["save", source.image])
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            loaded = load(context, process.stdout.fileno())
        except RcrunError:
            process.stdout.close()
            _check(source, process.wait(), "save")
            raise
        while process.stdout.read(1 << 16):
            pass  # what comes behind the archive
        _check(source, process.wait(), "save")
    if target.image and loaded:
        tag(context.store, loaded[0].config_digest, [target.image])
    return loaded


def _through(context: Context, source: End, target: End, engine: str) -> None:
    """From one host to another, through us and without a copy here."""
    import subprocess

    if target.image:
        raise InvalidInput("between two hosts an image keeps its name", f"write {target.host}::")
    save = remote_words(context, source, engine, ["save", source.image])
    load = remote_words(context, target, engine, ["load"])
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with subprocess.Popen(save, stdout=writer, stdin=subprocess.DEVNULL) as one:
        os.close(writer)
        with subprocess.Popen(load, stdin=reader) as other:
            os.close(reader)
            status = other.wait()
        _check(source, one.wait(), "save")
        _check(target, status, "load")


def _check(end: End, status: int, verb: str, *, broken: bool = False) -> None:
    if status or broken:
        raise RcrunError(
            f'"{verb}" on "{end.host}" failed with status {status}',
            f"ssh {'-p ' + end.port + ' ' if end.port else ''}{end.host} rcrun info",
        )
