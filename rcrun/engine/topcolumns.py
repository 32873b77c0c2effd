"""Podman's descriptors for `top`: columns by name, some as the container sees them and some as the host does."""

from __future__ import annotations

import os
import stat
import time

from rcrun.engine import top
from rcrun.errors import InvalidInput
from rcrun.formats import capability, passwd
from rcrun.kernel import procfs
from rcrun.kernel.procfs import TICKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.kernel.procfs import Process

USUAL = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")
_LARGEST_FILE = 1 << 20
_BITS = 10
_SECCOMP = {"0": "disabled", "1": "strict", "2": "filter"}
_SPELLINGS = {
    "%C": "pcpu", "%G": "group", "%P": "ppid", "%U": "user", "%a": "args", "%c": "comm", "%g": "rgroup",
    "%n": "nice", "%p": "pid", "%r": "pgid", "%t": "etime", "%u": "ruser", "%x": "time", "%y": "tty",
    "%z": "vsz",
}  # fmt: skip


def descriptors(words: Sequence[str]) -> list[str]:
    """Their names; empty when these words are something else, that is, options of ps."""
    names = [_SPELLINGS.get(name, name) for word in words for name in word.split(",") if name]
    known = [name for name in names if name in _COLUMNS]
    if known and len(known) < len(names) and not any(word.startswith("-") for word in words):
        unknown = next(name for name in names if name not in _COLUMNS)
        raise InvalidInput(
            f'there is no column "{unknown}"', f"columns are: {' '.join(sorted(_COLUMNS))}"
        )
    return known if len(known) == len(names) else []


def table(pids: Sequence[int], init: int, names: Sequence[str]) -> top.Table:
    inside = Inside(init)
    rows = []
    for pid in pids:
        process = procfs.read_process(pid)
        if process is not None:
            seen = Seen(process, inside)
            rows.append([_COLUMNS[name][1](seen) for name in names])
    return [_COLUMNS[name][0] for name in names], rows


class Inside:
    """The names of users and groups as the container has them; nothing that lies there leads out of its root."""

    def __init__(self, init: int) -> None:
        self.users = self._names(init, b"/etc/passwd")
        self.groups = self._names(init, b"/etc/group")
        self.boot = time.clock_gettime(time.CLOCK_BOOTTIME)

    def _names(self, init: int, path: bytes) -> dict[int, str]:
        found: dict[int, str] = {}
        for fields in passwd.entries(_read_inside(init, path), 3):
            if fields[2].isdigit():
                found.setdefault(int(fields[2]), fields[0])
        return found


def _read_inside(init: int, path: bytes) -> str:
    from rcrun.kernel.syscalls import open_in_root

    try:
        root = os.open(f"/proc/{init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    finally:
        os.close(root)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, _LARGEST_FILE).decode("utf-8", "replace")
    finally:
        os.close(fd)


class Seen:
    """One process, with /proc/PID/status and the ids as its own user namespace has them."""

    def __init__(self, process: Process, inside: Inside) -> None:
        self.process = process
        self.inside = inside
        self.status = procfs.read_rows(f"/proc/{process.pid}/status")

    def ids(self, kind: str) -> list[int]:
        """Of `Uid` or `Gid`: real, effective, saved, of the file system, on the host."""
        return [int(word) for word in self.status.get(kind, "").split()] or [-1, -1, -1, -1]

    def inner(self, kind: str, host: int) -> int:
        map_name = "uid_map" if kind == "Uid" else "gid_map"
        try:
            with open(f"/proc/{self.process.pid}/{map_name}", encoding="ascii") as file:
                for line in file:
                    first, outside, count = map(int, line.split())
                    if outside <= host < outside + count:
                        return first + host - outside
        except (OSError, ValueError):
            pass
        return host

    def user(self, at: int) -> str:
        number = self.inner("Uid", self.ids("Uid")[at])
        return self.inside.users.get(number, str(number))

    def group(self, at: int) -> str:
        return self._group_name(self.inner("Gid", self.ids("Gid")[at]))

    def groups(self) -> str:
        numbers = [self.inner("Gid", int(word)) for word in self.status.get("Groups", "").split()]
        return ",".join(map(self._group_name, numbers)) or self.group(1)

    def _group_name(self, number: int) -> str:
        return self.inside.groups.get(number, str(number))

    def in_namespace(self, key: str, fallback: int) -> str:
        """The number that a pid has in the process's own pid namespace."""
        words = self.status.get(key, "").split()
        return words[-1] if words else str(fallback)

    def parent(self) -> str:
        """As the container has it: 0 for one whose parent is outside."""
        above = procfs.read_rows(f"/proc/{self.process.parent}/status").get("NSpid", "").split()
        own = self.status.get("NSpid", "").split()
        return above[-1] if above and len(above) == len(own) else "0"

    def capabilities(self, key: str) -> str:
        bits = int(self.status.get(key) or "0", 16)
        names = [name.removeprefix("CAP_") for name in capability.names_of(bits)]
        if not names:
            return "none"
        return "full" if len(names) == len(capability.NAMES) else ",".join(sorted(names))

    def label(self) -> str:
        try:
            with open(f"/proc/{self.process.pid}/attr/current", encoding="utf-8") as file:
                return file.read().strip("\0\n") or "?"
        except OSError:
            return "?"

    def elapsed(self) -> str:
        """Go's words for whole seconds."""
        seconds = int(max(0.0, self.inside.boot - self.process.start / TICKS))
        return _go_duration(seconds)


def _go_duration(seconds: int) -> str:
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    return (
        f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
    )


def _host_name(kind: str, number: int) -> str:
    import grp
    import pwd

    try:
        return pwd.getpwuid(number).pw_name if kind == "Uid" else grp.getgrgid(number).gr_name
    except (KeyError, OverflowError):
        return str(number)


def _host_groups(seen: Seen) -> str:
    numbers = [int(word) for word in seen.status.get("Groups", "").split()]
    return ",".join(_host_name("Gid", number) for number in numbers or seen.ids("Gid")[1:2])


_COLUMNS: dict[str, tuple[str, Callable[[Seen], str]]] = {
    "args": ("COMMAND", lambda s: top.command_text(s.process)),
    "capamb": ("AMBIENT CAPS", lambda s: s.capabilities("CapAmb")),
    "capbnd": ("BOUNDING CAPS", lambda s: s.capabilities("CapBnd")),
    "capeff": ("EFFECTIVE CAPS", lambda s: s.capabilities("CapEff")),
    "capinh": ("INHERITED CAPS", lambda s: s.capabilities("CapInh")),
    "capprm": ("PERMITTED CAPS", lambda s: s.capabilities("CapPrm")),
    "comm": ("COMMAND", lambda s: s.process.comm),
    "etime": ("ELAPSED", Seen.elapsed),
    "group": ("GROUP", lambda s: s.group(1)),
    "groups": ("GROUPS", Seen.groups),
    "hgroup": ("HGROUP", lambda s: _host_name("Gid", s.ids("Gid")[1])),
    "hgroups": ("HGROUPS", _host_groups),
    "hpid": ("HPID", lambda s: str(s.process.pid)),
    "huser": ("HUSER", lambda s: _host_name("Uid", s.ids("Uid")[1])),
    "label": ("LABEL", Seen.label),
    "nice": ("NI", lambda s: str(s.process.nice)),
    "pcpu": ("%CPU", lambda s: f"{top.cpu_percent(s.process):.3f}"),
    "pgid": ("PGID", lambda s: s.in_namespace("NSpgid", s.process.group)),
    "pid": ("PID", lambda s: s.in_namespace("NSpid", s.process.pid)),
    "ppid": ("PPID", Seen.parent),
    "rgroup": ("RGROUP", lambda s: s.group(0)),
    "rss": ("RSS", lambda s: str(s.process.resident >> _BITS)),
    "ruser": ("RUSER", lambda s: s.user(0)),
    "seccomp": ("SECCOMP", lambda s: _SECCOMP.get(s.status.get("Seccomp", ""), "?")),
    "state": ("STATE", lambda s: s.process.state),
    "stime": ("STIME", lambda s: top.start_text(s.process)),
    "time": ("TIME", lambda s: _go_duration(s.process.own_ticks // TICKS)),
    "tty": ("TTY", lambda s: top.terminal_name(s.process.terminal)),
    "user": ("USER", lambda s: s.user(1)),
    "vsz": ("VSZ", lambda s: str(s.process.virtual >> _BITS)),
}
