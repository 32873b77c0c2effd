"""Memory of the processes of a cgroup."""

from __future__ import annotations

from pathlib import Path


def processes(group: Path) -> list[int]:
    found = []
    for path in group.rglob("cgroup.procs"):
        try:
            found += [int(word) for word in path.read_text().split()]
        except OSError:
            continue
    return found


def memory(pid: int) -> tuple[int, int]:
    """Of one process, in KiB: its proportional share, its resident set."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return own_status(pid), own_status(pid)
    fields = dict(line.split()[:2] for line in text.splitlines()[1:] if len(line.split()) > 1)
    return int(fields["Pss:"]), int(fields["Rss:"])


def own_status(pid: int) -> int:
    """What everybody may read, of a process with other ids than ours."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")), 0
    )
