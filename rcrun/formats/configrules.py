"""What the runtime specification asks of config.json that no schema can say: members that need or exclude each other.

Each rule yields (path, words). The document may be of any shape: what is not as the schema has it is the schema's to tell,
and is passed over here.
"""

from __future__ import annotations

from rcrun.formats import capability, configrules_linux, mountopts
from rcrun.formats.rules import at, integer, items, members, strings, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.formats.rules import Fault, Path

# Text that is handed on as it is: nothing of it becomes a path, a word of a command or a key of the kernel's.
_OPAQUE = frozenset(("annotations", "listenerMetadata"))
_CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
_MOUNT_CHANGES = frozenset(
    "remount private rprivate slave rslave shared rshared unbindable runbindable".split()
)


def faults(document: object) -> Iterator[Fault]:
    yield from _unusable_texts(document, ())
    yield from _platforms(document)
    process = at(document, "process")
    yield from _rlimits(process)
    yield from _capabilities(process)
    yield from _scheduler(process)
    for key in ("initial", "final"):
        path: Path = ("process", "execCPUAffinity", key)
        yield from configrules_linux.list_faults(path, at(document, *path))
    yield from _mounts(document)
    yield from configrules_linux.faults(document)


def _unusable_texts(value: object, path: Path) -> Iterator[Fault]:
    """A C string ends at its first NUL; half of a surrogate pair is no text."""
    if isinstance(value, str):
        if "\0" in value and not _OPAQUE.intersection(path):
            yield path, "holds a NUL character"
        elif not value.isascii() and not is_encodable(value):
            yield path, "is no text that can be written as UTF-8"
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _unusable_texts(key, path)
            yield from _unusable_texts(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _unusable_texts(member, (*path, index))


def is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _platforms(document: object) -> Iterator[Fault]:
    """A Linux container has `root` (config.md, "Root"); the sections of other systems are for other systems."""
    foreign = [name for name in ("windows", "solaris", "vm", "zos", "freebsd") if name in members(document)]  # fmt: skip
    for name in foreign:
        yield (name,), "is not for Linux"
    if not foreign and isinstance(document, dict) and "root" not in document:
        yield (), '"root" is missing'


def _rlimits(process: object) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, limit in items(at(process, "rlimits")):
        path = ("process", "rlimits", index)
        name = at(limit, "type")
        if isinstance(name, str) and name in seen:
            yield (*path, "type"), f'"{name}" is there twice'
        elif isinstance(name, str):
            seen.add(name)
        soft, hard = integer(limit, "soft"), integer(limit, "hard")
        if soft is not None and hard is not None and soft > hard:
            yield path, f"the soft limit {soft} is above the hard limit {hard}"


def _capabilities(process: object) -> Iterator[Fault]:
    sets = {name: strings(at(process, "capabilities", name)) for name in _CAPABILITY_SETS}
    for name, words in sets.items():
        for index, word in words:
            if word.startswith("CAP_") and word not in capability.BITS:
                yield ("process", "capabilities", name, index), f'"{word}" is no capability'
    permitted = {word for _, word in sets["permitted"]}
    for index, word in sets["effective"]:
        if word not in permitted:
            place = ("process", "capabilities", "effective", index)
            yield place, f'"{word}" is not in "permitted"'


def _scheduler(process: object) -> Iterator[Fault]:
    """sched(7): each policy has numbers of its own."""
    path = ("process", "scheduler")
    asked = at(process, "scheduler")
    policy = at(asked, "policy")
    if policy == "SCHED_DEADLINE":
        yield from _deadline(asked)
    elif isinstance(policy, str):
        for key in ("runtime", "deadline", "period"):
            if integer(asked, key):
                yield (*path, key), f"is for SCHED_DEADLINE, not for {policy}"
    priority = integer(asked, "priority")
    if policy in ("SCHED_FIFO", "SCHED_RR") and not priority:
        yield path, f'{policy} needs a "priority" from 1 to 99'
    elif isinstance(policy, str) and policy not in ("SCHED_FIFO", "SCHED_RR") and priority:
        yield (*path, "priority"), f"is for SCHED_FIFO and SCHED_RR, not for {policy}"


def _deadline(asked: object) -> Iterator[Fault]:
    path = ("process", "scheduler")
    runtime, deadline = integer(asked, "runtime"), integer(asked, "deadline")
    period = integer(asked, "period")
    if not runtime or not deadline:
        yield path, 'SCHED_DEADLINE needs "runtime" and "deadline"'
        return
    if runtime > deadline:
        yield (*path, "runtime"), f"{runtime} is above the deadline {deadline}"
    if period and deadline > period:
        yield (*path, "deadline"), f"{deadline} is above the period {period}"


def _mounts(document: object) -> Iterator[Fault]:
    types = configrules_linux.namespace_types(document)
    for index, mount in items(at(document, "mounts")):
        path = ("mounts", index)
        yield from configrules_linux.root_faults((*path, "destination"), at(mount, "destination"))
        options = words_of(at(mount, "options"))
        kind = at(mount, "type")
        if {"bind", "rbind"} & options or kind in ("bind", "rbind"):
            if not at(mount, "source"):
                yield path, 'a bind mount needs a "source"'
            for number, word in strings(at(mount, "options")):
                if word not in mountopts.KNOWN:
                    yield (*path, "options", number), f'"{word}" is no option of a bind mount'
        elif kind in (None, "", "none") and not _MOUNT_CHANGES & options:
            yield path, '"type" is missing, and it is no bind mount'
        yield from _idmap(path, mount, options, has_user="user" in types)


def _idmap(path: Path, mount: object, options: set[str], *, has_user: bool) -> Iterator[Fault]:
    uids, gids = at(mount, "uidMappings"), at(mount, "gidMappings")
    if bool(uids) != bool(gids):
        there, missing = ("uidMappings", "gidMappings") if uids else ("gidMappings", "uidMappings")
        yield path, f'"{there}" needs "{missing}" beside it'
    if {"idmap", "ridmap"} & options and not uids and not gids and not has_user:
        yield path, "an idmapped mount needs mappings, its own or those of a user namespace"
    for name, rows in (("uidMappings", uids), ("gidMappings", gids)):
        yield from configrules_linux.mapping_faults((*path, name), rows)
