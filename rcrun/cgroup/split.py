"""`--cgroups split`: containers in the group of the unit that we run in, which then holds no process itself. Cold."""

from __future__ import annotations

import os
import time

from rcrun.cgroup.delegated import MOUNT, own_path
from rcrun.errors import HostLacks

SUPERVISOR = "supervisor"
_OF_A_UNIT = (SUPERVISOR, ".control")  # where systemd puts ExecStop= of a delegated unit
_TRIES = 50


def split(mount: str = MOUNT) -> str:
    """The unit's group; its processes, ours among them, are then in a leaf of it (cgroups(7), "no internal processes")."""
    own = own_path()
    top = f"{mount}{own}".rstrip("/")
    if os.path.basename(top) in _OF_A_UNIT:
        top = os.path.dirname(top)
    try:
        if own is None or top == mount or not os.access(f"{top}/cgroup.subtree_control", os.W_OK):
            raise PermissionError
        _move_down(top)
    except OSError as error:
        raise HostLacks(
            f'cannot split the cgroup "{top}": it is not delegated to this process',
            "put Delegate=yes into the [Service] section of the unit",
        ) from error
    return top


def _move_down(top: str) -> None:
    leaf = f"{top}/{SUPERVISOR}"
    os.makedirs(leaf, 0o755, exist_ok=True)
    for _ in range(_TRIES):
        with open(f"{top}/cgroup.procs", encoding="ascii") as file:
            pids = file.read().split()
        if not pids:
            return
        for pid in pids:
            _move(pid, leaf)
        time.sleep(0.002)  # what is forked meanwhile is in the old group


def _move(pid: str, leaf: str) -> None:
    try:
        with open(f"{leaf}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(pid)
    except ProcessLookupError:
        pass
