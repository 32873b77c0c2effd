"""What /proc tells of processes: proc(5). Nothing is told of one that ended meanwhile."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """One line of /proc/PID/stat; times in clock ticks, sizes in bytes."""

    __slots__ = (
        "children_ticks", "comm", "group", "nice", "own_ticks", "parent", "pid", "resident", "session",
        "start", "state", "terminal", "terminal_group", "threads", "virtual",
    )  # fmt: skip

    def __init__(self, pid: int, line: bytes) -> None:
        head, _, rest = line.rpartition(b")")
        fields = rest.split()
        self.pid = pid
        self.comm = head.partition(b"(")[2].decode("utf-8", "replace")
        self.state = fields[0].decode()
        self.parent, self.group, self.session, self.terminal, self.terminal_group = [
            int(word) for word in fields[1:6]
        ]
        self.own_ticks = int(fields[11]) + int(fields[12])
        # Of those that it has waited for, with all that these had waited for.
        self.children_ticks = int(fields[13]) + int(fields[14])
        self.nice = int(fields[16])
        self.threads = int(fields[17])
        self.start = int(fields[19])
        self.virtual = int(fields[20])
        self.resident = max(0, int(fields[21])) * PAGE


def read_process(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return Process(pid, file.read())
    except (OSError, IndexError, ValueError):
        return None


def every_pid() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def namespace_of(pid: int | str, kind: str) -> str:
    """Its identity as /proc has it; empty when we may not see it, or the process is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return ""


def closure(pids: Iterable[int], seeds: set[int]) -> set[int]:
    """The seeds and all that descends from them, of these processes."""
    children: dict[int, list[int]] = {}
    for pid in pids:
        process = read_process(pid)
        if process is not None:
            children.setdefault(process.parent, []).append(pid)
    found: set[int] = set()
    waiting = list(seeds)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def read_rows(path: str) -> dict[str, str]:
    """A file of lines `NAME: VALUE`."""
    found = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, colon, value = line.partition(":")
                if colon:
                    found[name] = value.strip()
    except OSError:
        pass
    return found


def proportional_size(pid: int) -> int | None:
    """Its memory in bytes, where what several share counts once among them (Linux 4.14); None: we may not know."""
    words = read_rows(f"/proc/{pid}/smaps_rollup").get("Pss", "").split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else None


def io_bytes(pid: int) -> tuple[int, int]:
    """Read from and written to devices, by it and by the children that it has waited for."""
    rows = read_rows(f"/proc/{pid}/io")
    written = int(rows.get("write_bytes", 0)) - int(rows.get("cancelled_write_bytes", 0))
    return int(rows.get("read_bytes", 0)), max(0, written)


def network_bytes(pid: int) -> tuple[int, int]:
    """Received and sent in its network namespace, but for what it said to itself."""
    received = sent = 0
    for name, value in read_rows(f"/proc/{pid}/net/dev").items():
        fields = value.split()
        if name.strip() != "lo" and len(fields) >= 9 and fields[0].isdigit():
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


def command_words(pid: int) -> list[str]:
    """Empty for a zombie and for a thread of the kernel."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            text = file.read().rstrip(b"\0")
    except OSError:
        return []
    return [word.decode("utf-8", "replace") for word in text.split(b"\0")] if text else []
