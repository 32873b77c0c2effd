"""The cgroup v2 directory that we may make containers' cgroups in, if there is one.

No systemd is asked here: a subtree is delegated when its files are ours to write (cgroups(7), "delegation").
"""

from __future__ import annotations

import os

from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOUNT = "/sys/fs/cgroup"


def find_parent(mount: str = MOUNT, own: str | None = None) -> str | None:
    """Where a container's cgroup can be made, or None; `own` is our group's path in the hierarchy.

    Beside our own group first: a group that holds processes cannot give controllers to its children.
    """
    if not os.path.exists(f"{mount}/cgroup.controllers"):
        return None  # v1, or the hybrid whose v2 part has no controllers
    path = own_path() if own is None else own
    if path is None or ".." in path.split("/"):
        return None
    group = f"{mount}{path}".rstrip("/")
    above = os.path.dirname(group)
    for candidate in (above, group):
        if len(candidate) >= len(mount) and _is_writable(candidate):
            return candidate
    return None


def own_path() -> str | None:
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    return None


def may_enter(group: str, mount: str = MOUNT, own: str | None = None) -> bool:
    """Whether the kernel lets us put a process of ours there: what both groups lie in must be ours, too."""
    path = own_path() if own is None else own
    if path is None:
        return False
    ours, theirs = f"{mount}{path}".rstrip("/").split("/"), group.split("/")
    common = [mine for mine, other in zip(ours, theirs, strict=False) if mine == other]
    shared = "/".join(common)
    return all(os.access(f"{place}/cgroup.procs", os.W_OK) for place in (shared, group))


def named(cgroups_path: str, mount: str = MOUNT, own: str | None = None) -> str:
    """A group by its path in the hierarchy, where what it lies in is ours and the kernel lets us enter it; else ""."""
    above = whole = mount + cgroups_path.rstrip("/")
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    is_ours = len(above) > len(mount) and _is_writable(above) and may_enter(above, mount, own)
    return whole if is_ours else ""


def _is_writable(group: str) -> bool:
    return os.access(group, os.W_OK | os.X_OK) and os.access(f"{group}/cgroup.procs", os.W_OK)


def remove(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass  # the monitor removes it with what is in it


def write(path: str, text: str) -> bool:
    """One file of a group; False: the kernel has no such file, or does not want it."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError:
        return False
    return True


_USUAL = ("cpu", "cpuset", "io", "memory", "pids")


def let_down(path: str, controllers: Sequence[str], mount: str = MOUNT) -> None:
    """Enable them from the mount to the group's parent. What is refused shows as missing afterwards."""
    above = mount
    for part in os.path.dirname(path).removeprefix(mount).split("/"):
        above = f"{above}/{part}" if part else above
        _enable(above, controllers)


def let_down_usual(path: str, mount: str = MOUNT) -> None:
    """What statistics and later updates need, as far as it is to be had."""
    let_down(path, _USUAL, mount)


def let_down_all(group: str) -> None:
    """All that it has to those in it."""
    _enable(group, read_text(f"{group}/cgroup.controllers").split())


def _enable(group: str, controllers: Sequence[str]) -> None:
    given = read_text(f"{group}/cgroup.controllers").split()
    enabled = read_text(f"{group}/cgroup.subtree_control").split()
    for name in controllers:
        if name in given and name not in enabled:
            try:
                with open(f"{group}/cgroup.subtree_control", "w", encoding="ascii") as file:
                    file.write(f"+{name}")
            except OSError:
                pass  # not ours, or it holds processes
