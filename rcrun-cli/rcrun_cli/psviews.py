"""What `ps` shows on request: another order, namespaces, the list again and again. Cold."""

from __future__ import annotations

import os
import sys
import time

from rcrun.engine import ps as engine
from rcrun.errors import InvalidInput
from rcrun_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rcrun.engine.ps import Seen

NAMESPACES = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Pid": "PID",
    "CGROUPNS": "CGROUPNS",
    "IPC": "IPC",
    "MNT": "MNT",
    "NET": "NET",
    "PIDNS": "PIDNS",
    "USERNS": "USERNS",
    "UTS": "UTS",
}
_LINKS = {"CGROUPNS": "cgroup", "IPC": "ipc", "MNT": "mnt", "NET": "net", "PIDNS": "pid",
          "USERNS": "user", "UTS": "uts"}  # fmt: skip


def _size(seen: Seen) -> int:
    return engine.tree_size(seen.container.path("upper"))


# The oldest, the smallest, the first of the alphabet comes first.
_KEYS: dict[str, Callable[[Seen], Any]] = {
    "command": lambda seen: engine.command_text(seen.container),
    "created": lambda seen: str(seen.container.record["created"]),
    "id": lambda seen: seen.container.id,
    "image": lambda seen: engine.shown_image(seen.container),
    "names": lambda seen: seen.container.name,
    "runningfor": lambda seen: seen.status.started,
    "size": _size,
    "status": lambda seen: seen.status.word,
}


def ordered(found: Sequence[Seen], key: str) -> list[Seen]:
    return sorted(found, key=_KEYS[key])


def print_namespaces(
    found: Sequence[Seen], form: str | None, *, whole: bool, heading: bool
) -> None:
    rows = [_namespaces(seen, whole) for seen in found]
    output.Listing(NAMESPACES, tuple(NAMESPACES), heading=heading).print(rows, form)


def _namespaces(seen: Seen, whole: bool) -> dict[str, Any]:
    """Their numbers, as /proc has them; nothing of one that does not run, or is not ours to look at."""
    row: dict[str, Any] = {
        "ID": output.short_id(seen.container.id, whole=whole),
        "Names": seen.container.name,
        "Pid": seen.status.pid,
    }
    for title, link in _LINKS.items():
        try:
            text = os.readlink(f"/proc/{seen.status.pid}/ns/{link}") if seen.status.pid else ""
        except OSError:
            text = ""
        row[title] = text.partition("[")[2].rstrip("]")
    return row


def repeat(show: Callable[[], None], seconds: int) -> None:
    """Until somebody interrupts it; on a terminal each list takes the place of the one before."""
    if seconds < 1:
        raise InvalidInput(f"invalid interval {seconds}: it is a second at least")
    while True:
        if output.is_terminal(1):
            sys.stdout.write("\x1b[H\x1b[2J")
        show()
        sys.stdout.flush()
        time.sleep(seconds)
