"""config.json's `linux`: namespaces, id maps, resources, devices, sysctls. Pure."""

from __future__ import annotations

from rcrun.engine.options import pairs
from rcrun.errors import InvalidInput
from rcrun.formats import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.config_join import Joined
    from rcrun.engine.config_process import Security
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats import spec
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.passwd import User

# What docker allows: keys that a namespace of the container's own holds.
_SYSCTLS = frozenset(
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni "
    "kernel.shm_rmid_forced kernel.domainname".split()
)
_LIMITS = (
    "memory", "memory_reservation", "memory_swap", "cpus", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus",
    "cpuset_mems", "pids_limit", "blkio_weight", "blkio_weight_device", "device_read_bps", "device_write_bps",
    "device_read_iops", "device_write_iops", "cgroup_conf",
)  # fmt: skip
_NAMESPACE_FILES = {"network": "net", "mount": "mnt"}


def linux(
    options: Options,
    facts: Facts,
    user: User,
    security: Security,
    seccomp: Any,
    joined: Joined | None = None,
) -> spec.Linux:
    document: spec.Linux = {
        "namespaces": namespaces(options, joined),
        "maskedPaths": security.masked,
        "readonlyPaths": security.readonly,
    }
    if joined is not None and "user" in joined:
        _join_ids(document, facts, user, joined)
    else:
        _map_ids(document, options, facts, user)
    resources: dict[str, Any] = {}
    if any(options.get(key) not in (None, ()) for key in _LIMITS):
        from rcrun.engine.config_limits import limits

        resources = limits(options, facts.stat)
    _cgroup_place(document, options, facts)
    if options.get("personality"):
        document["personality"] = {"domain": _domain(str(options["personality"]))}
    if not facts.rootless:
        resources["devices"] = _device_rules(options)
    if resources:
        document["resources"] = resources
    if seccomp is not None:
        document["seccomp"] = seccomp
    if options.get("sysctl"):
        document["sysctl"] = sysctls(options)
    return document


def namespaces(options: Options, joined: Joined | None = None) -> list[spec.Namespace]:
    found: list[spec.Namespace] = [{"type": "mount"}]
    for kind, key in (("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroupns")):
        if joined is not None and kind in joined:
            found.append({"type": kind, "path": namespace_path(kind)})
        elif _is_private(options.get(key) or "private", key):
            found.append({"type": kind})
    if joined is not None and "network" in joined:
        found.append({"type": "network", "path": namespace_path("network")})
    elif options.get("network") != "host":
        found.append({"type": "network"})
    return found


def namespace_path(kind: str, pid: int = 0) -> str:
    """Where a start finds a namespace that is joined is known then: until then it is nobody's (0)."""
    return f"/proc/{pid}/ns/{_NAMESPACE_FILES.get(kind, kind)}"


def _is_private(word: str, key: str) -> bool:
    if word == "host":
        return False
    if word == "private" or (key == "ipc" and word in ("shareable", "none")):
        return True
    if word.partition(":")[0] == "pod":
        raise InvalidInput(f"--{key} {word} is for containers of a pod", "rcrun run --pod NAME …")
    raise InvalidInput(f'invalid --{key} "{word}"', "use private, host, container:NAME or ns:PATH")


def _join_ids(document: spec.Linux, facts: Facts, user: User, joined: Joined) -> None:
    """The ids are the other container's; of a namespace at a path they are not known yet."""
    from rcrun.engine import config_join

    document["namespaces"].insert(0, {"type": "user", "path": namespace_path("user")})
    maps = config_join.maps(joined)
    if maps is None:
        return
    config_join.users_of_one_id(user, maps)
    _refuse_unmapped(user, *maps)
    user.groups = _mapped_groups(user.groups, maps[1])
    document["uidMappings"], document["gidMappings"] = _rows(maps[0]), _rows(maps[1])


def _cgroup_place(document: spec.Linux, options: Options, facts: Facts) -> None:
    parent = options.get("cgroup_parent")
    if not parent:
        return
    document["cgroupsPath"] = cgroup_place(str(parent), facts.container_id)


def cgroup_place(parent: str, container_id: str) -> str:
    if parent.endswith(".slice") and "/" not in parent:
        from rcrun.cgroup.properties import expand_slice

        expand_slice(parent)
        return f"{parent}:rcrun:{container_id}"
    return f"{parent.rstrip('/')}/rcrun-{container_id}.scope"


def _domain(word: str) -> str:
    domain = word.upper()
    if domain not in ("LINUX", "LINUX32"):
        raise InvalidInput(f'invalid --personality "{word}"', "use LINUX or LINUX32")
    return domain


def _map_ids(document: spec.Linux, options: Options, facts: Facts, user: User) -> None:
    maps = _user_namespace_maps(options, facts, user)
    if maps is None:
        return
    uids, gids = maps
    _refuse_unmapped(user, uids, gids)
    user.groups = _mapped_groups(user.groups, gids)
    document["namespaces"].insert(0, {"type": "user"})
    document["uidMappings"] = _rows(uids)
    document["gidMappings"] = _rows(gids)


_EXPLICIT_IDS = ("uidmap", "gidmap", "subuidname", "subgidname")


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


def _user_namespace_maps(options: Options, facts: Facts, user: User) -> tuple[IdMap, IdMap] | None:
    """The maps of the container's user namespace; None: it has none of its own."""
    word, identity = str(options.get("userns") or ""), facts.identity
    explicit = any(options.get(key) for key in _EXPLICIT_IDS)
    usual = ("", "host") if identity.kind == "root" else ("", "host", "private")
    if word not in usual or explicit:
        from rcrun.engine import config_ids

        return config_ids.maps(options, word, facts, user)
    if identity.kind == "root":
        return None
    if identity.kind == "single":
        # The one id that exists is the one that the process runs as.
        return [(user.uid, identity.uid, 1)], [(user.gid, identity.gid, 1)]
    return list(identity.uid_map), list(identity.gid_map)


def _refuse_unmapped(user: User, uids: IdMap, gids: IdMap) -> None:
    for what, number, ids in (("user", user.uid, uids), ("group", user.gid, gids)):
        if idmap.to_outside(ids, number) is None:
            raise InvalidInput(
                f"cannot run as {what} {number}: it is not among the {_count(ids)} ids of {what}s of this container",
                "give yourself more subordinate ids, or choose another user with --user",
            )


def _count(ids: IdMap) -> int:
    return sum(count for _, _, count in ids)


def _mapped_groups(groups: list[int], gids: IdMap) -> list[int]:
    """Supplementary groups that exist in the container; with one id there are none."""
    if _count(gids) == 1:
        return []
    return [gid for gid in groups if idmap.to_outside(gids, gid) is not None]


def _device_rules(options: Options) -> list[dict[str, Any]]:
    """Root's devices cgroup: nothing but the default ones and those asked for; privileged: all."""
    if options.get("privileged"):
        return [{"allow": True, "access": "rwm"}]
    if options.get("device_cgroup_rule"):
        from rcrun.engine.config_devices import cgroup_rules

        more = cgroup_rules(options["device_cgroup_rule"])
    else:
        more = []
    allowed = [("c", 1, n) for n in (3, 5, 7, 8, 9)] + [("c", 5, 0), ("c", 5, 2), ("c", 136, None)]
    rules: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    for kind, major, minor in allowed:
        rule: dict[str, Any] = {"allow": True, "type": kind, "major": major, "access": "rwm"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    return rules + more


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
