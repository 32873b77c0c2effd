"""`rcrun logs`."""

from __future__ import annotations

from rcrun.engine import logs as engine
from rcrun.errors import InvalidInput
from rcrun.files import write_all
from rcrun.storage.containers import find
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option


@command()
@option(
    "--details", is_flag=True, help="Print a space where docker prints what --log-opt asked for"
)
@option("-f", "--follow", is_flag=True, help="Go on until the container ends")
@option("--since", metavar="TIME", help="Only what is younger: a time, or 10m for ten minutes ago")
@option(
    "-n", "--tail", default="all", metavar="LINES", help="Only the last lines", show_default=True
)
@option("-t", "--timestamps", is_flag=True, help="Begin each line with its time")
@option("--until", metavar="TIME", help="Only what is older")
@argument("container")
def logs(
    container: str,
    details: bool,
    follow: bool,
    since: str | None,
    tail: str,
    timestamps: bool,
    until: str | None,
) -> None:
    """Print what a container has written."""
    batches = engine.read(
        find(context.store(), container),
        follow=follow,
        tail=_count(tail),
        since=_bound(since),
        until=_bound(until),
    )
    fresh = {b"stdout": True, b"stderr": True}
    for batch in batches:
        out = _Output()
        for line in batch:
            before = b""
            if fresh[line.stream]:
                before = (line.time + b" " if timestamps else b"") + (b" " if details else b"")
            fresh[line.stream] = line.whole
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


def _bound(text: str | None) -> bytes:
    if not text:
        return b""
    import time

    from rcrun.formats.moment import parse
    from rcrun.storage.containers import time_text

    return time_text(parse(text, time.time_ns())).encode()
