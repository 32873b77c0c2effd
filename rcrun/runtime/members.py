"""The processes of a container: those in its cgroup, else in its pid namespace, else below its init."""

from __future__ import annotations

import os

from rcrun.errors import WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.runtime.state import Container


def members(container: Container) -> list[int]:
    """Their pids, ascending."""
    init = container.init()
    if init is None:
        raise WrongState(f'container "{container.id}": container not running')
    cgroup = container.cgroup()
    if cgroup:
        from rcrun.runtime import groups

        return groups.members(cgroup)
    theirs = _pid_namespace(init[0])
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if theirs and theirs != _pid_namespace(os.getpid()):
        return sorted(pid for pid in pids if _pid_namespace(pid) == theirs)
    return sorted(_descendants(init[0], pids))


def _pid_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _descendants(init: int, pids: list[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid in pids:
        children.setdefault(_parent(pid), []).append(pid)
    found, waiting = set(), [init]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def table(pids: list[int], args: list[str]) -> str:
    """ps(1) with the caller's arguments, its header and the lines of these processes."""
    import subprocess

    try:
        result = subprocess.run(
            ["ps", *(args or ["-ef"])], check=True, stdout=subprocess.PIPE, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "".join(f"{line}\n" for line in ["PID", *map(str, pids)])
    header, *lines = result.stdout.splitlines()
    if "PID" not in header.split():
        raise WrongState(f'ps {" ".join(args)} prints no column "PID"')
    column = header.split().index("PID")
    chosen = [line for line in lines if _is_of(line.split(), column, pids)]
    return "".join(f"{line}\n" for line in [header, *chosen])


def _is_of(fields: list[str], column: int, pids: list[int]) -> bool:
    return len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids
