"""The logs of several containers at once: in the order of their times, or as they come while one follows."""

from __future__ import annotations

import heapq
import os

from rcrun.engine import logs as engine
from rcrun.errors import RcrunError
from rcrun_cli.commands.logs import Printer, details_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rcrun.engine.logs import Line
    from rcrun.storage.containers import Container

# Of a terminal, without black and white: either may be its background.
_COLORS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)


def print_all(
    found: Sequence[Container],
    asked: dict[str, Any],
    *,
    names: bool,
    color: bool,
    timestamps: bool,
    details: bool,
) -> None:
    colored = color and not os.environ.get("NO_COLOR")
    printers = [
        Printer(
            timestamps,
            details_of(container) if details else b"",
            _label(container, at, names=names, colored=colored),
        )
        for at, container in enumerate(found)
    ]
    if asked["follow"]:
        _follow(found, printers, asked)
        return
    streams = [_numbered(at, container, asked) for at, container in enumerate(found)]
    for _, at, line in heapq.merge(*streams, key=lambda row: (row[0], row[1])):
        printers[at].print([line])


def _label(container: Container, at: int, *, names: bool, colored: bool) -> bytes:
    text = container.name if names else container.id[:12]
    if colored:
        text = f"\033[{_COLORS[at % len(_COLORS)]}m{text}\033[0m"
    return f"{text} ".encode()


def _numbered(
    at: int, container: Container, asked: dict[str, Any]
) -> Iterator[tuple[bytes, int, Line]]:
    for batch in engine.read(container, **asked):
        for line in batch:
            yield line.time, at, line


def _follow(found: Sequence[Container], printers: Sequence[Printer], asked: dict[str, Any]) -> None:
    """One thread each; the first error is told at the end, when all of them have ended."""
    import threading

    lock = threading.Lock()
    errors: list[RcrunError | OSError] = []

    def follow(container: Container, printer: Printer) -> None:
        try:
            for batch in engine.read(container, **asked):
                with lock:
                    printer.print(batch)
        except (RcrunError, OSError) as error:
            errors.append(error)

    threads = [
        threading.Thread(target=follow, args=pair, daemon=True)
        for pair in zip(found, printers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
