"""The room of who is started by a unit of systemd: out of that unit, whose end would be every container's."""

from __future__ import annotations

import os

from rcrun.errors import RcrunError
from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context


def leave_unit(context: Context, pids: Sequence[int]) -> None:
    """These processes, with their children, into a scope of their own. Where no systemd does that, they stay."""
    if not is_in_unit(read_text("/proc/self/cgroup")):
        return
    from rcrun.cgroup import systemd
    from rcrun.cgroup.properties import Place
    from rcrun.kernel.dbus import DBusError

    user = context.host.rootless
    first, *others = [each for pid in pids for each in (pid, *_children(pid))]
    place = Place("user.slice" if user else "system.slice", f"rcrun-room-{first}.scope")
    try:
        manager = systemd.connect(context.environ, user=user)
        try:
            manager.start(place, first, [], [])
            for pid in others:
                manager.attach(place.unit, "", pid)
            manager.drop_empty(place)
        finally:
            manager.close()
    except (RcrunError, DBusError, OSError):
        return


def _children(pid: int) -> list[int]:
    return [int(word) for word in read_text(f"/proc/{pid}/task/{pid}/children").split()]


def is_in_unit(cgroups: str) -> bool:
    """By /proc/self/cgroup: in a service or a scope that may be stopped, and is no login."""
    rows = [line.partition("::")[2] for line in cgroups.splitlines() if line.startswith("0::")]
    rows += [line.partition(":name=systemd:")[2] for line in cgroups.splitlines()]
    return any(_may_be_stopped(os.path.basename(part)) for row in rows for part in row.split("/"))


def _may_be_stopped(part: str) -> bool:
    if part.endswith(".scope"):
        return not part.startswith(("session-", "init.", "rcrun-room-"))
    return part.endswith(".service") and not part.startswith("user@")
