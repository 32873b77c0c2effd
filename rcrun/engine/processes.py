"""The processes of a running container, by their pids on the host."""

from __future__ import annotations

from rcrun.kernel import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container, Status


def pids_of(container: Container, now: Status) -> list[int]:
    """Those of its pid namespace and what descends from them; where that is another's, its cgroup's too.

    What `exec` started descends from a monitor of ours, so that descent alone would miss it.
    """
    pids = procfs.every_pid()
    seeds = {now.pid}
    theirs = procfs.namespace_of(now.pid, "pid")
    if theirs and _is_first(now.pid):
        seeds.update(pid for pid in pids if procfs.namespace_of(pid, "pid") == theirs)
    elif container.record.get("cgroup"):
        from rcrun.runtime.groups import members

        seeds.update(members(str(container.record["cgroup"])))
    return sorted(procfs.closure(pids, seeds))


def _is_first(pid: int) -> bool:
    """Whether the namespace is its own: it is number 1 there, and not with --pid host or container:NAME."""
    return procfs.read_rows(f"/proc/{pid}/status").get("NSpid", "").split()[1:][-1:] == ["1"]
