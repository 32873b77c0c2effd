"""config.json's `linux`: namespaces, id maps, resources, devices, sysctls. Pure."""

from __future__ import annotations

from rcrun.engine.options import pairs
from rcrun.errors import InvalidInput
from rcrun.formats import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

    from rcrun.engine.config_process import Security
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats import spec
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.passwd import User
    from rcrun.kernel.identity import Identity

# What docker allows: keys that a namespace of the container's own holds.
_SYSCTLS = frozenset(
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni "
    "kernel.shm_rmid_forced kernel.domainname".split()
)
_LEAST_MEMORY = 6 << 20


def linux(
    options: Options, facts: Facts, user: User, security: Security, seccomp: Any
) -> spec.Linux:
    document: spec.Linux = {
        "namespaces": namespaces(options),
        "maskedPaths": security.masked,
        "readonlyPaths": security.readonly,
    }
    _map_ids(document, options, facts, user)
    resources = limits(options)
    if not facts.rootless:
        resources["devices"] = _device_rules(options)
    if resources:
        document["resources"] = resources
    if seccomp is not None:
        document["seccomp"] = seccomp
    if options.get("sysctl"):
        document["sysctl"] = sysctls(options)
    return document


def namespaces(options: Options) -> list[spec.Namespace]:
    kinds = ["mount"]
    for kind, key in (("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroupns")):
        if _is_private(options.get(key) or "private", key):
            kinds.append(kind)
    if options.get("network") != "host":
        kinds.append("network")
    return [{"type": kind} for kind in kinds]


def _is_private(word: str, key: str) -> bool:
    if word == "host":
        return False
    if word == "private" or (key == "ipc" and word in ("shareable", "none")):
        return True
    if word.partition(":")[0] in ("container", "ns", "pod"):
        raise InvalidInput(f"--{key} {word} is not supported yet")
    raise InvalidInput(f'invalid --{key} "{word}"', "use private or host")


def _map_ids(document: spec.Linux, options: Options, facts: Facts, user: User) -> None:
    maps = user_namespace_maps(options.get("userns") or "", facts.identity, user)
    if maps is None:
        return
    uids, gids = maps
    _refuse_unmapped(user, uids, gids)
    user.groups = _mapped_groups(user.groups, gids)
    document["namespaces"].insert(0, {"type": "user"})
    document["uidMappings"] = _rows(uids)
    document["gidMappings"] = _rows(gids)


def _rows(ids: IdMap) -> list[spec.IdMapping]:
    return [
        {"containerID": inside, "hostID": outside, "size": count} for inside, outside, count in ids
    ]


def user_namespace_word(options: Options, facts: Facts) -> str:
    """What was asked for; `keep-id` for `-v "$PWD:/w" -u "$(id -u):$(id -g)"`, which wants files of the caller."""
    word = str(options.get("userns") or "")
    user = str(options.get("user") or "").partition(":")[0]
    if word or facts.identity.kind != "mapped" or user != str(facts.identity.uid):
        return word
    from rcrun.engine.config_mounts import asked

    return "keep-id" if any(mount.kind == "bind" for mount in asked(options, {}, facts)) else ""


def user_namespace_maps(word: str, identity: Identity, user: User) -> tuple[IdMap, IdMap] | None:
    """The maps of the container's user namespace; None: it has none of its own."""
    kind = word.partition(":")[0]
    if kind in ("", "host"):
        if identity.kind == "root":
            return None
        if identity.kind == "single":
            # The one id that exists is the one that the process runs as.
            return [(user.uid, identity.uid, 1)], [(user.gid, identity.gid, 1)]
        return list(identity.uid_map), list(identity.gid_map)
    if kind == "keep-id":
        uid, gid = kept_ids(word, identity)
        if identity.kind == "single":
            return [(uid, identity.uid, 1)], [(gid, identity.gid, 1)]
        return _exchanged(identity.uid_map, uid), _exchanged(identity.gid_map, gid)
    if kind in ("auto", "nomap", "private", "ns", "container"):
        raise InvalidInput(f"--userns {word} is not supported yet")
    raise InvalidInput(f'invalid --userns "{word}"', "use host or keep-id")


def kept_ids(word: str, identity: Identity) -> tuple[int, int]:
    """The ids that the caller has inside with `keep-id[:uid=N,gid=N]`."""
    if identity.kind == "root":
        raise InvalidInput("--userns keep-id is for callers who are not root")
    ids = {"uid": identity.uid, "gid": identity.gid}
    for option in filter(None, word.partition(":")[2].split(",")):
        key, _, value = option.partition("=")
        if key not in ids or not (value.isascii() and value.isdigit()):
            raise InvalidInput(f'invalid --userns "{word}"', "write keep-id[:uid=UID,gid=GID]")
        ids[key] = int(value)
    return ids["uid"], ids["gid"]


def _exchanged(ids: IdMap, own: int) -> IdMap:
    """The caller's map with 0 and `own` in each other's place; every other id stays what it was.

    So the layers on disk serve unchanged: files of the image's root show as the caller's, the files of
    all other users as theirs.
    """
    if own == 0:
        return list(ids)
    outside = {inside: idmap.to_outside(ids, inside) for inside in (0, own)}
    if outside[own] is None:
        return [(own, outside[0] or 0, 1), *_without(ids, (0, own))]
    pieces = [(own, outside[0] or 0, 1), (0, outside[own] or 0, 1), *_without(ids, (0, own))]
    return sorted(pieces)


def _without(ids: IdMap, removed: tuple[int, ...]) -> IdMap:
    pieces = list(ids)
    for number in removed:
        split: IdMap = []
        for first, host, count in pieces:
            if not first <= number < first + count:
                split.append((first, host, count))
                continue
            before, after = number - first, first + count - number - 1
            if before:
                split.append((first, host, before))
            if after:
                split.append((number + 1, host + before + 1, after))
        pieces = split
    return pieces


def _refuse_unmapped(user: User, uids: IdMap, gids: IdMap) -> None:
    for what, number, ids in (("user", user.uid, uids), ("group", user.gid, gids)):
        if idmap.to_outside(ids, number) is None:
            raise InvalidInput(
                f"cannot run as {what} {number}: this container has {_count(ids)} ids of {what}s",
                "give yourself more subordinate ids, or choose another user with --user",
            )


def _count(ids: IdMap) -> int:
    return sum(count for _, _, count in ids)


def _mapped_groups(groups: list[int], gids: IdMap) -> list[int]:
    """Supplementary groups that exist in the container; with one id there are none."""
    if _count(gids) == 1:
        return []
    return [gid for gid in groups if idmap.to_outside(gids, gid) is not None]


def limits(options: Options) -> dict[str, Any]:
    """linux.resources, of what was asked for alone; whether the host can do it is found out later."""
    resources: dict[str, Any] = {}
    for name, values in (("memory", _memory(options)), ("cpu", _cpu(options))):
        if values:
            resources[name] = values
    pids = options.get("pids_limit")
    if pids is not None and pids > 0:
        resources["pids"] = {"limit": pids}
    return resources


def _memory(options: Options) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, name in (("memory", "limit"), ("memory_reservation", "reservation")):
        if options.get(key):
            found[name] = _bytes(options[key], key)
    if "limit" in found and found["limit"] < _LEAST_MEMORY:
        raise InvalidInput(f'invalid --memory "{options["memory"]}": the least is 6m')
    if options.get("memory_swap"):
        found["swap"] = _swap(str(options["memory_swap"]), found.get("limit", 0))
    return found


def _swap(text: str, limit: int) -> int:
    if not limit:
        raise InvalidInput("--memory-swap needs --memory")
    if text == "-1":
        return -1
    swap = _bytes(text, "memory_swap")
    if swap < limit:
        raise InvalidInput(f'invalid --memory-swap "{text}": it is memory and swap together')
    return swap


def _bytes(text: object, key: str) -> int:
    from rcrun.formats import size

    try:
        return size.parse(str(text))
    except InvalidInput as error:
        raise InvalidInput(f"--{key.replace('_', '-')}: {error.message}", error.hint) from error


def _cpu(options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if options.get("cpus"):
        found["quota"] = _cpus(str(options["cpus"]))
        found["period"] = 100_000
    for key, name in (("cpu_shares", "shares"), ("cpu_period", "period"), ("cpu_quota", "quota")):
        if options.get(key):
            found[name] = options[key]
    for key, name in (("cpuset_cpus", "cpus"), ("cpuset_mems", "mems")):
        if options.get(key):
            found[name] = _id_list(str(options[key]), key)
    return found


def _cpus(text: str) -> int:
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or not int(digits):
        raise InvalidInput(f'invalid --cpus "{text}": it is a number above 0')
    quota = int(float(text) * 100_000)
    if quota < 1000:
        raise InvalidInput(f'invalid --cpus "{text}": the least is 0.01')
    return quota


def _id_list(text: str, key: str) -> str:
    """`0-3,5`, as cpuset(7) writes lists."""
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and (not last.isdigit() or int(last) < int(first))):
            raise InvalidInput(f'invalid --{key.replace("_", "-")} "{text}"', "write it like 0-3,5")
    return text


def _device_rules(options: Options) -> list[dict[str, Any]]:
    """Root's devices cgroup: nothing but the default ones and those asked for; privileged: all."""
    if options.get("privileged"):
        return [{"allow": True, "access": "rwm"}]
    allowed = [("c", 1, n) for n in (3, 5, 7, 8, 9)] + [("c", 5, 0), ("c", 5, 2), ("c", 136, None)]
    rules: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    for kind, major, minor in allowed:
        rule: dict[str, Any] = {"allow": True, "type": kind, "major": major, "access": "rwm"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    return rules


def sysctls(options: Options) -> dict[str, str]:
    found = pairs(options["sysctl"], "--sysctl", bare=False)
    for key in found:
        if key.startswith("net."):
            needs, own = "network", options.get("network") != "host"
        elif key in _SYSCTLS or key.startswith("fs.mqueue."):
            word = options.get("uts" if key == "kernel.domainname" else "ipc")
            needs, own = "ipc", word != "host"
        else:
            raise InvalidInput(f'--sysctl "{key}" is not allowed: it is not of a namespace')
        if not own:
            raise InvalidInput(
                f'--sysctl "{key}" is not allowed with the host\'s {needs} namespace'
            )
    return found


def add_devices(document: spec.Spec, options: Options, facts: Facts) -> None:
    """--device: a node made by root, the host's node bound by anybody else."""
    from rcrun.formats import device

    for text in options["device"]:
        source, target, permissions = device.parse(text)
        status = facts.stat(source)
        if status is None:
            raise InvalidInput(f'invalid --device "{text}": "{source}" does not exist')
        if facts.rootless:
            _bind_device(document, source, target)
        else:
            _make_device(document, target, permissions, status, text)


def _bind_device(document: spec.Spec, source: str, target: str) -> None:
    document["mounts"].append(
        {
            "destination": target,
            "type": "bind",
            "source": source,
            "options": ["bind", "nosuid", "noexec", "rprivate"],
        }
    )


def _make_device(
    document: spec.Spec, target: str, permissions: str, status: os.stat_result, text: str
) -> None:
    import os
    import stat

    kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise InvalidInput(f'invalid --device "{text}": it is not a device')
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    document["linux"].setdefault("devices", []).append(
        {
            "path": target,
            "type": kind,
            "major": major,
            "minor": minor,
            "fileMode": stat.S_IMODE(status.st_mode),
            "uid": status.st_uid,
            "gid": status.st_gid,
        }
    )
    rules: list[Any] = document["linux"].setdefault("resources", {}).setdefault("devices", [])  # type: ignore[assignment]
    rules.append(
        {"allow": True, "type": kind, "major": major, "minor": minor, "access": permissions}
    )
