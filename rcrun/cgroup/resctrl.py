"""Classes of service of the processor's caches and memory bandwidth: `linux.intelRdt` in the kernel's resctrl file system.

The root of that file system is an argument. Run by itself, `python -BIS resctrl.py PID TASKS_FILE…`, it puts a process in.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.formats.spec import IntelRdt

_DEFAULT_CLASS = "/"
_KERNELS_NAMES = frozenset(("info", "mon_groups", "mon_data", ".", ".."))


class Placed:
    """Where the processes of a container go: `tasks` files, and the directories `made` for it alone, inmost last."""

    __slots__ = ("made", "tasks")

    def __init__(self, tasks: list[str], made: list[str]) -> None:
        self.tasks = tasks
        self.made = made


def find() -> str:
    """Where resctrl is mounted; "" where it is not."""
    for line in read_text("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("resctrl "):
            return left.split()[4]
    return ""


def place(root: str, asked: IntelRdt, container_id: str) -> Placed:
    """Make and set what config-linux.md, "IntelRdt", wants for this container; nothing is left of it after an error."""
    if not root:
        raise HostLacks(
            '"linux.intelRdt" needs the resctrl file system, which is not mounted on this host',
            "if the processor has it (grep -ow rdt_a /proc/cpuinfo): "
            "sudo mount -t resctrl resctrl /sys/fs/resctrl",
        )
    lines = schemata_lines(asked)
    closid = asked.get("closID") or ""
    name = closid or container_id
    if name in _KERNELS_NAMES or ("/" in name and name != _DEFAULT_CLASS):
        raise InvalidInput(f'"{name}" cannot be the "closID" of "linux.intelRdt"')
    group = root if name == _DEFAULT_CLASS else f"{root}/{name}"
    placed = Placed([f"{group}/tasks"], [])
    try:
        _class_of_service(placed, group, lines, closid)
        if asked.get("enableMonitoring"):
            monitor = f"{group}/mon_groups/{container_id}"
            _make(monitor, "monitoring groups")
            placed.made.append(monitor)
            placed.tasks.append(f"{monitor}/tasks")
    except BaseException:
        remove(placed.made)
        raise
    return placed


def schemata_lines(asked: IntelRdt) -> list[str]:
    """In the order in which they are to be written."""
    l3, bandwidth = asked.get("l3CacheSchema") or "", asked.get("memBwSchema") or ""
    if bandwidth and (not bandwidth.startswith("MB:") or "\n" in bandwidth):
        raise InvalidInput(
            f'"memBwSchema" of "linux.intelRdt" is one line that begins with MB:, not "{bandwidth}"'
        )
    schemata = asked.get("schemata") or []
    for line in schemata:
        if "\n" in line:
            raise InvalidInput(f'a line of "linux.intelRdt.schemata" holds a line break: {line!r}')
    # bandwidths have a field of their own: older callers write them into both
    first = [line for line in l3.split("\n") if line and not line.startswith("MB:")]
    return [*first, *([bandwidth] if bandwidth else []), *schemata]


def _class_of_service(placed: Placed, group: str, lines: list[str], closid: str) -> None:
    name = os.path.basename(group)
    if not os.path.isdir(group):
        if closid and not lines:
            raise InvalidInput(
                f'the class of service "{closid}" of "linux.intelRdt" does not exist',
                'make it first, or say what it is: "l3CacheSchema", "memBwSchema", "schemata"',
            )
        _make(group, "classes of service")
        if not closid:
            placed.made.append(group)
    elif lines:
        _compare(name, lines, read_text(f"{group}/schemata"))
    if lines:
        _write_schemata(group, lines)


def _compare(name: str, lines: Iterable[str], there: str) -> None:
    """A class that others use is not changed: what is asked of caches and bandwidth must be what it has."""
    present = dict(_parsed(line) for line in there.splitlines() if ":" in line)
    for line in lines:
        resource, wanted = _parsed(line)
        if resource not in ("L3", "MB"):
            continue
        found = present.get(resource, {})
        if any(found.get(domain) != value for domain, value in wanted.items()):
            raise InvalidInput(
                f'the class of service "{name}" of "linux.intelRdt" exists and has another schema '
                f'than "{line}"',
                'use another "closID"',
            )


def _parsed(line: str) -> tuple[str, dict[str, int]]:
    resource, _, domains = line.partition(":")
    values: dict[str, int] = {}
    for part in domains.split(";"):
        domain, equals, value = part.partition("=")
        if not equals:
            continue
        try:
            values[domain.strip()] = int(value, 16)
        except ValueError:
            raise InvalidInput(f'"{line}" in "linux.intelRdt" is no schema as in L3:0=ff') from None
    return resource.strip(), values


def _write_schemata(group: str, lines: Sequence[str]) -> None:
    try:
        _write(f"{group}/schemata", "".join(f"{line}\n" for line in lines))
    except OSError as error:
        root = group if os.path.isdir(f"{group}/info") else os.path.dirname(group)
        said = read_text(f"{root}/info/last_cmd_status").strip()
        raise InvalidInput(
            f'cannot set the schemata "{", ".join(lines)}" of "linux.intelRdt": '
            f"{said if said not in ('', 'ok') else error.strerror}"
        ) from error


def _make(path: str, what: str) -> None:
    try:
        os.mkdir(path, 0o755)
    except OSError as error:
        hint = f"the processor has only so many {what}; see the files num_* in resctrl's info"
        raise HostLacks(
            f'cannot make "{path}" for "linux.intelRdt": {error.strerror}', hint
        ) from error


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())  # at once: the kernel takes all of it or none
    finally:
        os.close(fd)


def remove(made: Sequence[str]) -> None:
    for path in reversed(made):
        try:
            os.rmdir(path)
        except OSError:
            pass  # somebody else has removed it, or holds it


def helper_records(tasks: Sequence[str]) -> list[list[str]]:
    """Of the plan: the init goes in before it runs anything."""
    if not tasks:
        return []
    return [
        ["helper", "/dev/null", sys.executable, "-BIS", os.path.abspath(__file__), "@PID@", *tasks]
    ]


def main(words: Sequence[str]) -> int:
    pid, *tasks = words
    for path in tasks:
        try:
            _write(path, pid)
        except OSError as error:
            print(f'cannot put the process into "{path}": {error.strerror}', file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
