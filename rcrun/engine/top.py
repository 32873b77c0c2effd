"""The processes of a container: in `ps -ef`'s columns, as the host's ps prints them, or in podman's descriptors."""

from __future__ import annotations

import os
import time

from rcrun.engine.processes import pids_of
from rcrun.errors import HostLacks, InvalidInput, WrongState
from rcrun.kernel import procfs
from rcrun.kernel.procfs import TICKS
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.kernel.procfs import Process
    from rcrun.storage.containers import Container

    Table = tuple[Sequence[str], list[list[str]]]

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_PLAIN = ((), ("-ef",), ("ef",))


def top(container: Container, words: Sequence[str] = (), *, podman: bool = False) -> Table:
    """Titles and rows. `words` are options of ps or descriptors; without any, docker's columns or podman's."""
    now = status(container)
    if not now.is_running:
        raise WrongState(
            f"container {container.id} is not running", f"rcrun start {container.name}"
        )
    from rcrun.engine import topcolumns

    pids = pids_of(container, now)
    chosen = topcolumns.descriptors(words) if words else []
    if podman and not words:
        chosen = topcolumns.descriptors(topcolumns.USUAL)
    if chosen:
        return topcolumns.table(pids, now.pid, chosen)
    if tuple(words) in _PLAIN:
        return TITLES, [row for row in map(_row, pids) if row]
    return by_ps(pids, words)


# The host's ps.


def by_ps(pids: Sequence[int], words: Sequence[str]) -> Table:
    """What ps prints with these options, of these processes."""
    options = [part for word in words for part in word.split()]
    chosen = ",".join(map(str, pids))
    # Some options (such as f) go without -q only; then what ps prints of others is left out.
    text = _run_ps(["-q", chosen, *options], None)
    text = text or _run_ps(options, " ".join(options))
    header, *lines = text.splitlines() or [""]
    titles = header.split()
    if "PID" not in titles:
        raise InvalidInput(f'"ps {" ".join(options)}" prints no column PID', "add it: -eo pid,comm")
    at, wanted, rows, keeps = titles.index("PID"), set(map(str, pids)), [], False
    for line in lines:
        fields = line.split(None, len(titles) - 1)
        if len(fields) <= at:
            continue
        # A thread's line has a dash for the process above it.
        keeps = fields[at] in wanted or (fields[at] == "-" and keeps)
        if keeps:
            rows.append(fields)
    return titles, rows


def _run_ps(options: Sequence[str], told: str | None) -> str:
    """Its output; where it does not like the options nothing, or with `told` an error."""
    import subprocess

    environment = {**os.environ, "COLUMNS": "10000", "PS_PERSONALITY": ""}
    try:
        done = subprocess.run(["ps", *options], check=False, capture_output=True, env=environment)
    except FileNotFoundError:
        raise HostLacks(
            "ps is not installed on this host",
            "install procps, or name columns: rcrun top NAME pid user args",
        ) from None
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "replace")
    if told is None:
        return ""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
    raise InvalidInput(f'"ps {told}": {lines[0].removeprefix("error: ")}')


# `ps -ef` without ps.


def _row(pid: int) -> list[str]:
    """Nothing for one that ended meanwhile."""
    process = procfs.read_process(pid)
    if process is None:
        return []
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return []
    return [
        _user_name(uid), str(pid), str(process.parent), str(int(cpu_percent(process))),
        start_text(process), terminal_name(process.terminal), clock(process.own_ticks // TICKS),
        command_text(process),
    ]  # fmt: skip


def cpu_percent(process: Process) -> float:
    lived = time.clock_gettime(time.CLOCK_BOOTTIME) - process.start / TICKS
    return 100 * process.own_ticks / TICKS / max(1.0, lived)


def command_text(process: Process) -> str:
    return " ".join(procfs.command_words(process.pid)) or f"[{process.comm}]"


def clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def start_text(process: Process) -> str:
    now = time.time()
    moment = now - time.clock_gettime(time.CLOCK_BOOTTIME) + process.start / TICKS
    return time.strftime("%H:%M" if now - moment < 86_400 else "%b%d", time.localtime(moment))


def terminal_name(device: int) -> str:
    if device == 0:
        return "?"
    major, minor = os.major(device), os.minor(device)
    return f"pts/{minor}" if 136 <= major < 144 else f"{major}:{minor}"


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
