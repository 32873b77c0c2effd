"""The cgroup v2 directory that we may make containers' cgroups in, if there is one; and the limits of one.

No systemd is asked here: a subtree is delegated when its files are ours to write (cgroups(7), "delegation").
"""

from __future__ import annotations

import os

from rcrun.errors import HostLacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

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


def _is_writable(group: str) -> bool:
    return os.access(group, os.W_OK | os.X_OK) and os.access(f"{group}/cgroup.procs", os.W_OK)


def remove(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass  # the monitor removes it with what is in it


# config.json's field → file, for what is written as it is
_MEMORY = {"limit": "memory.max", "reservation": "memory.low"}


def settings_for(resources: Mapping[str, Any]) -> dict[str, str]:
    """The files to write and their text, from `linux.resources` (config-linux.md; v1 values converted)."""
    found: dict[str, str] = {}
    memory, cpu, pids = (resources.get(key) or {} for key in ("memory", "cpu", "pids"))
    for field, name in _MEMORY.items():
        if memory.get(field):
            found[name] = _number(memory[field])
    if memory.get("swap"):
        found["memory.swap.max"] = _swap(memory["swap"], memory.get("limit") or 0)
    if cpu.get("shares"):
        found["cpu.weight"] = str(1 + (max(2, min(262144, cpu["shares"])) - 2) * 9999 // 262142)
    if cpu.get("quota") or cpu.get("period"):
        found["cpu.max"] = f"{_number(cpu.get('quota') or -1)} {cpu.get('period') or 100000}"
    for field in ("cpus", "mems"):
        if cpu.get(field):
            found[f"cpuset.{field}"] = cpu[field]
    if pids.get("limit"):
        found["pids.max"] = _number(pids["limit"])
    found.update(resources.get("unified") or {})
    return found


def _number(value: int) -> str:
    return "max" if value < 0 else str(value)


def _swap(total: int, limit: int) -> str:
    """The configuration counts memory and swap together, the kernel swap alone."""
    return "max" if total < 0 else str(max(0, total - limit))


def limit(path: str, resources: Mapping[str, Any]) -> None:
    """Write the limits; HostLacks names the controller that is missing and how to get it."""
    settings = settings_for(resources)
    wanted = sorted({name.partition(".")[0] for name in settings} - {"cgroup"})
    _enable(os.path.dirname(path), wanted)
    with open(f"{path}/cgroup.controllers", encoding="ascii") as file:
        given = file.read().split()
    missing = [name for name in wanted if name not in given]
    if missing:
        raise lacks(missing)
    for name, text in settings.items():
        try:
            with open(f"{path}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise HostLacks(
                f'cannot set "{name}" to {text}: {reason}', "give a value that this kernel takes"
            ) from error


def _enable(group: str, controllers: list[str]) -> None:
    """What is refused shows as missing afterwards."""
    for name in controllers:
        try:
            with open(f"{group}/cgroup.subtree_control", "w", encoding="ascii") as file:
                file.write(f"+{name}")
        except OSError:
            pass


def lacks(controllers: list[str]) -> HostLacks:
    names = " and ".join(f'"{name}"' for name in controllers)
    many = "s" if len(controllers) > 1 else ""
    return HostLacks(
        f"cannot set the limits asked for: no delegation of the cgroup controller{many} {names} to this user",
        "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n'"
        " | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload; then log in again"
        " and start it with: systemd-run --user --scope -p Delegate=yes rcrun …",
    )
