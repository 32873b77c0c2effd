"""The processes of a container as the host sees them: those of its pid namespace, in `ps -ef`'s columns."""

from __future__ import annotations

import os
import time

from rcrun.errors import WrongState
from rcrun.files import subdirectories
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


def top(container: Container) -> list[list[str]]:
    now = status(container)
    if not now.is_running:
        raise WrongState(
            f"container {container.id} is not running", f"rcrun start {container.name}"
        )
    namespace = _namespace(now.pid)
    pids = sorted(int(name) for name in subdirectories("/proc") if name.isdigit())
    rows = [_row(pid) for pid in pids if namespace and _namespace(pid) == namespace]
    return [row for row in rows if row]


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _row(pid: int) -> list[str]:
    """Nothing for one that ended meanwhile."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            _, _, rest = file.read().rpartition(b")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").replace(b"\0", b" ")
        with open(f"/proc/{pid}/comm", "rb") as file:
            name = file.read().strip()
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return []
    fields = rest.split()
    ticks = os.sysconf("SC_CLK_TCK")
    spent = (int(fields[11]) + int(fields[12])) // ticks
    started = _boot_time() + int(fields[19]) / ticks
    lived = max(1.0, time.time() - started)
    command = words.decode("utf-8", "replace") or f"[{name.decode('utf-8', 'replace')}]"
    return [
        _user_name(uid), str(pid), fields[1].decode(), str(int(100 * spent / lived)),
        _start(started), _terminal(int(fields[4])),
        f"{spent // 3600:02}:{spent // 60 % 60:02}:{spent % 60:02}", command,
    ]  # fmt: skip


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _start(moment: float) -> str:
    recent = time.time() - moment < 86_400
    return time.strftime("%H:%M" if recent else "%b%d", time.localtime(moment))


def _terminal(device: int) -> str:
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
