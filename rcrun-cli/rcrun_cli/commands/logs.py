"""`rcrun logs`."""

from __future__ import annotations

from rcrun.engine import logs as engine
from rcrun.errors import InvalidInput
from rcrun.files import write_all
from rcrun.storage.containers import every, find
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from rcrun.engine.logs import Line
    from rcrun.storage.containers import Container


@command()
@option("--color", is_flag=True, help="Give each container a colour, where names are printed")
@option(
    "--details", is_flag=True, help="Print what --log-opt asked for: labels, variables, the tag"
)
@option("-f", "--follow", is_flag=True, help="Go on until the container ends")
@option("-l", "--latest", is_flag=True, help="Of the last created container")
@option("--names", is_flag=True, help="Begin each line with the name of its container")
@option("--since", metavar="TIME", help="Only what is younger: a time, or 10m for ten minutes ago")
@option(
    "-n", "--tail", default="all", metavar="LINES", help="Only the last lines", show_default=True
)
@option("-t", "--timestamps", is_flag=True, help="Begin each line with its time")
@option("--until", metavar="TIME", help="Only what is older")
@argument("containers", nargs=-1)
def logs(
    containers: tuple[str, ...],
    color: bool,
    details: bool,
    follow: bool,
    latest: bool,
    names: bool,
    since: str | None,
    tail: str,
    timestamps: bool,
    until: str | None,
) -> None:
    """Print what containers have written."""
    found = _chosen(containers, latest)
    asked = bounds(follow=follow, tail=tail, since=since, until=until)
    if len(found) > 1 or names:
        from rcrun_cli.manylogs import print_all

        print_all(found, asked, names=names, color=color, timestamps=timestamps, details=details)
        return
    out = Printer(timestamps, details_of(found[0]) if details else b"")
    for batch in engine.read(found[0], **asked):
        out.print(batch)


def bounds(*, follow: bool, tail: str, since: str | None, until: str | None) -> dict[str, Any]:
    """How much is asked for."""
    as_podman = context.settings.personality == "podman"
    return {
        "follow": follow,
        "tail": _count(tail),
        "since": _bound(since),
        "until": _bound(until, ahead=as_podman),
    }


def _chosen(texts: tuple[str, ...], latest: bool) -> list[Container]:
    if latest == bool(texts):
        raise InvalidInput("logs takes containers, or --latest", "list them with: rcrun ps -a")
    found = (
        every(context.store())[:1] if latest else [find(context.store(), text) for text in texts]
    )
    if not found:
        raise InvalidInput("there is no container")
    return found


def details_of(container: Container) -> bytes:
    """As docker prints them; a space where there are none."""
    pairs = (container.record.get("log") or {}).get("attributes") or {}
    text = ",".join([f"{key}={value}" for key, value in sorted(pairs.items())])
    return text.replace("\n", " ").encode("utf-8", "surrogateescape") + b" "


class Printer:
    """Lines to the descriptor of their stream, each with what goes before it."""

    def __init__(self, timestamps: bool, details: bytes, before: bytes = b"") -> None:
        self.timestamps = timestamps
        self.details = details
        self.before = before
        self.fresh = {b"stdout": True, b"stderr": True}

    def print(self, batch: Iterable[Line]) -> None:
        out = _Output()
        for line in batch:
            before = b""
            if self.fresh[line.stream]:
                before = self.before + (line.time + b" " if self.timestamps else b"") + self.details
            self.fresh[line.stream] = line.whole
            out.put(2 if line.stream == b"stderr" else 1, before + line.text, line.whole)
        out.flush()


class _Output:
    """Collects what goes to one descriptor; what goes to the other one comes after it."""

    def __init__(self) -> None:
        self.fd = 1
        self.parts: list[bytes] = []

    def put(self, fd: int, text: bytes, whole: bool) -> None:
        if fd != self.fd:
            self.flush()
            self.fd = fd
        self.parts.append(text + b"\n" if whole else text)

    def flush(self) -> None:
        if self.parts:
            write_all(self.fd, b"".join(self.parts))
            self.parts = []


def _count(tail: str) -> int | None:
    if tail == "all" or tail.startswith("-"):
        return None
    if not (tail.isascii() and tail.isdigit()):
        raise InvalidInput(f'invalid --tail "{tail}"', "write a number of lines, or all")
    return int(tail)


def _bound(text: str | None, *, ahead: bool = False) -> bytes:
    if not text:
        return b""
    import time

    from rcrun.formats.moment import parse
    from rcrun.storage.containers import time_text

    return time_text(parse(text, time.time_ns(), ahead=ahead)).encode()
