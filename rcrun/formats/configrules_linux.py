"""The rules of config-linux.md that no schema can say (see configrules.py)."""

from __future__ import annotations

from rcrun.formats import sysctl
from rcrun.formats.idmap import ID_LIMIT, MOST_RANGES
from rcrun.formats.rules import at, integer, items, members, strings, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.formats.rules import Fault, Path

_WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_NEEDS_NODES = frozenset(
    "MPOL_BIND MPOL_INTERLEAVE MPOL_WEIGHTED_INTERLEAVE MPOL_PREFERRED_MANY".split()
)
_WITHOUT_NODES = frozenset(("MPOL_DEFAULT", "MPOL_LOCAL"))


def faults(document: object) -> Iterator[Fault]:
    linux = at(document, "linux")
    yield from _namespaces(linux)
    yield from _names(document)
    yield from _mappings(linux)
    yield from _paths(linux)
    yield from _devices(linux)
    yield from _net_devices(linux)
    yield from _sysctl(linux)
    yield from _resources(at(linux, "resources"))
    yield from _memory_policy(at(linux, "memoryPolicy"))
    yield from _seccomp(at(linux, "seccomp"))


def namespace_types(document: object) -> set[str]:
    rows = [at(row, "type") for _, row in items(at(document, "linux", "namespaces"))]
    return {kind for kind in rows if isinstance(kind, str)}


def _namespaces(linux: object) -> Iterator[Fault]:
    seen: set[str] = set()
    path = ("linux", "namespaces")
    for index, row in items(at(linux, "namespaces")):
        kind = at(row, "type")
        if isinstance(kind, str) and kind in seen:
            yield (*path, index, "type"), f'"{kind}" is there twice'
        elif isinstance(kind, str):
            seen.add(kind)
    if at(linux, "timeOffsets") and "time" not in seen:
        yield ("linux", "timeOffsets"), 'needs {"type": "time"} in "linux.namespaces"'


def _names(document: object) -> Iterator[Fault]:
    """Without a namespace of its own they would be the host's."""
    for field in ("hostname", "domainname"):
        if at(document, field) and "uts" not in namespace_types(document):
            yield (field,), 'needs {"type": "uts"} in "linux.namespaces"'


def _sysctl(linux: object) -> Iterator[Fault]:
    for name in members(at(linux, "sysctl")):
        path = ("linux", "sysctl", name)
        kind = sysctl.namespace_of(sysctl.key_of(name))
        if not kind:
            yield path, "is not of a namespace: it would change the host"
        elif kind not in namespace_types({"linux": linux}):
            yield path, f'needs {{"type": "{kind}"}} in "linux.namespaces"'


# ---- ids


def _mappings(linux: object) -> Iterator[Fault]:
    given = [name for name in ("uidMappings", "gidMappings") if at(linux, name)]
    for name in given:
        path = ("linux", name)
        if "user" not in namespace_types({"linux": linux}):
            yield path, 'needs {"type": "user"} in "linux.namespaces"'
        yield from mapping_faults(path, at(linux, name))
    if len(given) == 1:
        other = "gidMappings" if given[0] == "uidMappings" else "uidMappings"
        yield ("linux", given[0]), f'needs "{other}" beside it'


def mapping_faults(path: Path, rows: object) -> Iterator[Fault]:
    """user_namespaces(7): ranges neither overlap nor go beyond 32 bits, and there are not too many."""
    if len(items(rows)) > MOST_RANGES:
        yield path, f"has {len(items(rows))} rows; the kernel takes {MOST_RANGES}"
        return
    for side in ("containerID", "hostID"):
        seen: list[tuple[int, int]] = []
        for index, row in items(rows):
            first, size = integer(row, side), integer(row, "size")
            if first is None or size is None:
                continue
            if first + size > ID_LIMIT:
                yield (*path, index), f"ends beyond the last id, {ID_LIMIT - 1}"
            if any(first < other + count and other < first + size for other, count in seen):
                yield (*path, index, side), f"{first} is in the range of an earlier row"
            seen.append((first, size))


# ---- devices and paths


def _paths(linux: object) -> Iterator[Fault]:
    for name in ("maskedPaths", "readonlyPaths"):
        for index, path in strings(at(linux, name)):
            yield from root_faults(("linux", name, index), path)
    for index, device in items(at(linux, "devices")):
        yield from root_faults(("linux", "devices", index, "path"), at(device, "path"))


def root_faults(path: Path, text: object) -> Iterator[Fault]:
    if isinstance(text, str) and all(part in ("", ".", "..") for part in text.split("/")):
        yield path, f'"{text}" is the root itself'


def _devices(linux: object) -> Iterator[Fault]:
    seen: dict[str, tuple[object, ...]] = {}
    for index, device in items(at(linux, "devices")):
        name = at(device, "path")
        if not isinstance(name, str):
            continue
        numbers = tuple(at(device, key) for key in ("type", "major", "minor"))
        if seen.setdefault(name, numbers) != numbers:
            yield ("linux", "devices", index, "path"), f'"{name}" is another device already'


def _net_devices(linux: object) -> Iterator[Fault]:
    seen: set[str] = set()
    for name, device in members(at(linux, "netDevices")).items():
        inside = at(device, "name") or name
        if not isinstance(inside, str) or "%d" in inside:
            continue
        if inside in seen:
            yield ("linux", "netDevices", name), f'"{inside}" is the name of another one already'
        seen.add(inside)


# ---- resources


def _resources(resources: object) -> Iterator[Fault]:
    path = ("linux", "resources")
    for key in ("cpus", "mems"):
        yield from list_faults((*path, "cpu", key), at(resources, "cpu", key))
    cpu, memory = at(resources, "cpu"), at(resources, "memory")
    quota, burst = integer(cpu, "quota"), integer(cpu, "burst")
    if quota is not None and quota > 0 and burst is not None and burst > quota:
        yield (*path, "cpu", "burst"), f"{burst} is above the quota {quota}"
    limit, swap = integer(memory, "limit"), integer(memory, "swap")
    if swap is not None and swap > 0 and limit is not None and limit > swap:
        yield (*path, "memory", "swap"), f"{swap}, memory and swap together, is below {limit}"
    yield from _sizes_twice(resources)


def _sizes_twice(resources: object) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, row in items(at(resources, "hugepageLimits")):
        size = at(row, "pageSize")
        if isinstance(size, str) and size in seen:
            place = ("linux", "resources", "hugepageLimits", index, "pageSize")
            yield place, f'"{size}" is there twice'
        elif isinstance(size, str):
            seen.add(size)


def list_faults(path: Path, text: object) -> Iterator[Fault]:
    """Of a list as in `0-3,7`, whose words the schema has seen."""
    if not isinstance(text, str):
        return
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if dash and first.isdecimal() and last.isdecimal() and int(first) > int(last):
            yield path, f'"{part.strip()}" ends before it begins'


def _memory_policy(policy: object) -> Iterator[Fault]:
    path = ("linux", "memoryPolicy")
    mode, nodes = at(policy, "mode"), at(policy, "nodes")
    if not isinstance(mode, str):
        return
    if mode in _NEEDS_NODES and not nodes:
        yield path, f'{mode} needs "nodes"'
    if mode in _WITHOUT_NODES and nodes:
        yield (*path, "nodes"), f"{mode} takes none"
    if {"MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"} <= words_of(at(policy, "flags")):
        yield (*path, "flags"), "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other"
    yield from list_faults((*path, "nodes"), nodes)


# ---- seccomp


def _seccomp(seccomp: object) -> Iterator[Fault]:
    path = ("linux", "seccomp")
    actions = [at(rule, "action") for _, rule in items(at(seccomp, "syscalls"))]
    default = at(seccomp, "defaultAction")
    if default == "SCMP_ACT_NOTIFY":
        yield (*path, "defaultAction"), "SCMP_ACT_NOTIFY would ask about the call that tells of it"
    if "SCMP_ACT_NOTIFY" in actions and not at(seccomp, "listenerPath"):
        yield path, 'SCMP_ACT_NOTIFY needs "listenerPath"'
    if at(seccomp, "listenerMetadata") and not at(seccomp, "listenerPath"):
        yield (*path, "listenerMetadata"), 'needs "listenerPath" beside it'
    if integer(seccomp, "defaultErrnoRet") is not None and _takes_no_errno(default):
        yield (*path, "defaultErrnoRet"), f"{default} gives no error"
    for index, rule in items(at(seccomp, "syscalls")):
        action = at(rule, "action")
        if integer(rule, "errnoRet") is not None and _takes_no_errno(action):
            yield (*path, "syscalls", index, "errnoRet"), f"{action} gives no error"


def _takes_no_errno(action: object) -> bool:
    return isinstance(action, str) and action not in _WITH_ERRNO
