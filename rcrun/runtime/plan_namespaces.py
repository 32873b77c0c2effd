"""Which namespaces a container gets: config.json made complete, and its records. Pure."""

from __future__ import annotations

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import idmap
from rcrun.formats.spec import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.spec import IdMapping, Linux, Namespace, Spec
    from rcrun.runtime.host import Host


def complete(spec: Spec, host: Host) -> Spec:
    """The configuration with the user namespace and the maps that the caller needs and did not write.

    A user cannot do without a user namespace; root gets one only when it is asked for. Completing
    twice changes nothing.
    """
    linux = spec.get("linux") or {}
    namespaces = list(linux.get("namespaces") or [])
    own = _find(namespaces, "user")
    if own is None:
        if host.identity.kind == "root":
            return spec
        namespaces.insert(0, {"type": "user"})
    elif own.get("path"):
        return spec
    filled: Linux = {**linux, "namespaces": namespaces}
    uids, gids = _default_maps(spec, host)
    if not linux.get("uidMappings"):
        filled["uidMappings"] = _as_config(uids)
    if not linux.get("gidMappings"):
        filled["gidMappings"] = _as_config(gids)
    return {**spec, "linux": filled}


def _default_maps(spec: Spec, host: Host) -> tuple[IdMap, IdMap]:
    identity = host.identity
    if identity.kind == "root":
        return _unchanged(identity.uid_map), _unchanged(identity.gid_map)
    if identity.kind == "single":
        # The one id must be the one that the process runs as, or it could not become it.
        user = (spec.get("process") or {}).get("user") or {}
        return [(user.get("uid", 0), identity.uid, 1)], [(user.get("gid", 0), identity.gid, 1)]
    return identity.uid_map, identity.gid_map


def _unchanged(ids: IdMap) -> IdMap:
    return [(inside, inside, count) for inside, _, count in ids]


def _as_config(ids: IdMap) -> list[IdMapping]:
    return [
        {"containerID": inside, "hostID": outside, "size": count} for inside, outside, count in ids
    ]


def ids_of(mappings: list[IdMapping] | None) -> IdMap:
    return [(row["containerID"], row["hostID"], row["size"]) for row in mappings or []]


def _find(namespaces: list[Namespace], kind: str) -> Namespace | None:
    for namespace in namespaces:
        if namespace["type"] == kind:
            return namespace
    return None


class Namespaces:
    """The namespaces of a completed configuration: `new` kinds, `joined` kind → path, and the maps."""

    __slots__ = ("gid_map", "joined", "new", "uid_map")

    def __init__(self, spec: Spec) -> None:
        linux = spec.get("linux") or {}
        self.new: list[str] = []
        self.joined: dict[str, str] = {}
        for namespace in linux.get("namespaces") or []:
            self._add(namespace["type"], namespace.get("path") or "")
        self.uid_map = ids_of(linux.get("uidMappings"))
        self.gid_map = ids_of(linux.get("gidMappings"))

    def _add(self, kind: str, path: str) -> None:
        if kind not in NAMESPACES:
            raise InvalidInput(f'unknown namespace type "{kind}" in "linux.namespaces"')
        if kind in self:
            raise InvalidInput(f'namespace type "{kind}" is twice in "linux.namespaces"')
        if path:
            if not path.startswith("/"):
                raise InvalidInput(f'the path "{path}" of the {kind} namespace is not absolute')
            self.joined[kind] = path
        else:
            self.new.append(kind)

    def __contains__(self, kind: str) -> bool:
        return kind in self.new or kind in self.joined

    def kinds(self) -> list[str]:
        return [kind for kind in NAMESPACES if kind in self]

    def owned(self, kind: str) -> bool:
        """Whether the container's user namespace may be taken for the owner of this namespace.

        A new one always is. One that is joined belongs to whoever made it: to a new user namespace never.
        """
        return kind in self.new or (kind in self.joined and "user" not in self.new)


def namespace_records(spec: Spec, host: Host) -> list[list[str]]:
    """`uidmap`, `gidmap`, `join`, `unshare` and `time-offset` of a completed configuration."""
    namespaces = Namespaces(spec)
    _refuse_misfits(spec, namespaces)
    records = _map_records(namespaces, host) if "user" in namespaces.new else []
    records += [
        ["join", kind, namespaces.joined[kind]] for kind in NAMESPACES if kind in namespaces.joined
    ]
    records.append(["unshare", ",".join(kind for kind in NAMESPACES if kind in namespaces.new)])
    offsets = (spec.get("linux") or {}).get("timeOffsets") or {}
    for clock, offset in offsets.items():
        seconds, nanoseconds = offset.get("secs", 0), offset.get("nanosecs", 0)
        records.append(["time-offset", clock, str(seconds), str(nanoseconds)])
    return records


def _refuse_misfits(spec: Spec, namespaces: Namespaces) -> None:
    linux = spec.get("linux") or {}
    if "mount" not in namespaces.new:
        raise InvalidInput(
            '"linux.namespaces": a container needs a mount namespace of its own',
            'add {"type": "mount"} to "linux.namespaces"',
        )
    # of one that is joined they say what it has, as callers of pods write it
    if "user" not in namespaces and (namespaces.uid_map or namespaces.gid_map):
        raise InvalidInput(
            '"linux.uidMappings" and "linux.gidMappings" need a user namespace',
            'add {"type": "user"} to "linux.namespaces"',
        )
    for field in ("hostname", "domainname"):
        if spec.get(field) and "uts" not in namespaces:
            raise InvalidInput(
                f'"{field}" needs a uts namespace', 'add {"type": "uts"} to "linux.namespaces"'
            )
    for clock in linux.get("timeOffsets") or {}:
        if clock not in ("monotonic", "boottime"):
            raise InvalidInput(f'unknown clock "{clock}" in "linux.timeOffsets"')
        if "time" not in namespaces.new:
            raise InvalidInput(
                '"linux.timeOffsets" needs a new time namespace',
                'add {"type": "time"} to "linux.namespaces"',
            )


def _map_records(namespaces: Namespaces, host: Host) -> list[list[str]]:
    identity = host.identity
    records = []
    for name, ids, own, tool in (
        ("uidmap", namespaces.uid_map, identity.uid, identity.newuidmap),
        ("gidmap", namespaces.gid_map, identity.gid, identity.newgidmap),
    ):
        if not ids:
            raise InvalidInput(f'a new user namespace needs "linux.{name[:3]}Mappings"')
        alone = len(ids) == 1 and ids[0][1:] == (own, 1)
        if alone or _may_write_any_map(host):
            tool = ""
        elif not tool:
            raise HostLacks(
                f'cannot map the ids of "linux.{name[:3]}Mappings": {identity.why}',
                "map only your own id, or give yourself subordinate ids: "
                "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
            )
        records.append([name, tool, *idmap.words(ids)])
    return records


def _may_write_any_map(host: Host) -> bool:
    """Root, also of a user namespace without CAP_SYS_ADMIN, has CAP_SETUID and CAP_SETGID."""
    return host.identity.kind == "root" or (
        host.identity.kind == "mapped" and host.identity.uid == 0
    )
