"""Who we are and which ids we may give to a container; a missing piece makes one-id mode, never an error."""

from __future__ import annotations

import os
import zlib

from rcrun.files import read_text
from rcrun.formats import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.formats.idmap import IdMap

CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN = 6, 7, 21
WHOLE_MAP = [(0, 0, idmap.ID_LIMIT - 1)]


class Identity:
    """`kind` is `root` (no user namespace is needed), `mapped` (several ids) or `single` (one id).

    The maps tell which ids exist inside; with `root` they are those of the namespace we are in.
    `nested` is true for root of a user namespace: trusted xattrs and device nodes are refused there.
    """

    __slots__ = (
        "gid", "gid_map", "kind", "nested", "newgidmap", "newuidmap", "uid", "uid_map", "unshared", "why",
    )  # fmt: skip

    def __init__(
        self,
        uid: int,
        gid: int,
        kind: str,
        uid_map: IdMap,
        gid_map: IdMap,
        *,
        newuidmap: str = "",
        newgidmap: str = "",
        nested: bool = False,
        why: str = "",
        unshared: str = "",
    ) -> None:
        self.unshared = unshared  # within `rcrun unshare`: what the caller is outside
        self.uid = uid
        self.gid = gid
        self.kind = kind
        self.uid_map = uid_map
        self.gid_map = gid_map
        self.newuidmap = newuidmap
        self.newgidmap = newgidmap
        self.nested = nested
        self.why = why

    @property
    def rootless(self) -> bool:
        """Nobody's root, or root of a user namespace: the kernel refuses what only the host's root may."""
        return self.kind != "root" or self.nested

    def layer_kind(self) -> str:
        """The KIND of docs/store.md: layers of one kind are alike in owners and overlay xattrs."""
        if self.kind == "single" or (self.kind == "root" and not self.nested):
            return self.kind
        if self.unshared:
            return self.unshared  # the ids are those of its layers
        if sum(count for _, _, count in self.uid_map) == 1:
            return "single"
        # Who is which number outside differs from one such namespace to the next, from one host of a shared home to
        # the other, and after somebody has changed /etc/subuid.
        kind = "nested" if self.kind == "root" else self.kind
        return f"{kind}-{zlib.crc32(repr((self.uid_map, self.gid_map)).encode()):08x}"


def current(environ: Mapping[str, str]) -> Identity:
    uid, gid = os.geteuid(), os.getegid()
    status = _process_status()
    uids, gids = _own_map("uid"), _own_map("gid")
    if environ.get("RCRUN_IDMAP") == "single":
        return single(uid, gid, "RCRUN_IDMAP asks for it")
    if uid == 0:
        outside = environ.get("RCRUN_UNSHARED", "")
        outside = (
            outside if outside.startswith(("mapped-", "single")) and "/" not in outside else ""
        )
        return _as_root(gid, status["CapEff"], uids, gids, outside)
    return _as_user(uid, gid, environ, status, uids, gids)


def single(uid: int, gid: int, why: str) -> Identity:
    return Identity(uid, gid, "single", [(0, uid, 1)], [(0, gid, 1)], why=why)


def namespace_records(identity: Identity) -> list[list[str]]:
    """`uidmap` and `gidmap` of docs/plan.md; none for root, who needs no user namespace."""
    if identity.kind == "root":
        return []
    return [
        ["uidmap", identity.newuidmap, *idmap.words(identity.uid_map)],
        ["gidmap", identity.newgidmap, *idmap.words(identity.gid_map)],
    ]


def _as_root(gid: int, capabilities: str, uids: IdMap, gids: IdMap, unshared: str) -> Identity:
    held = int(capabilities, 16)
    if held >> CAP_SYS_ADMIN & 1:
        nested = uids != WHOLE_MAP or gids != WHOLE_MAP
        return Identity(
            0, gid, "root", uids, gids, nested=nested, unshared=unshared if nested else ""
        )
    if held >> CAP_SETUID & 1 and held >> CAP_SETGID & 1:
        # Root of a container without CAP_SYS_ADMIN may still write the map of a child namespace.
        return Identity(0, gid, "mapped", _same(uids), _same(gids), nested=True)
    return single(0, gid, "this process is root without CAP_SETUID and CAP_SETGID")


def _as_user(
    uid: int,
    gid: int,
    environ: Mapping[str, str],
    status: Mapping[str, str],
    uids: IdMap,
    gids: IdMap,
) -> Identity:
    name = _user_name(uid)
    owners = {str(uid), name} - {""}
    uid_ranges = _usable(read_text("/etc/subuid"), owners, uids)
    gid_ranges = _usable(read_text("/etc/subgid"), owners, gids)
    for file, ranges in (("/etc/subuid", uid_ranges), ("/etc/subgid", gid_ranges)):
        if not ranges:
            return single(uid, gid, f'no subordinate ids for user "{name or uid}" in {file}')
    if status.get("NoNewPrivs") == "1":
        return single(uid, gid, "no_new_privs is set, so newuidmap has no privilege")
    tools = {}
    for tool in ("newuidmap", "newgidmap"):
        tools[tool], why = _find_tool(tool, environ.get("PATH", ""))
        if why:
            return single(uid, gid, why)
    return Identity(
        uid,
        gid,
        "mapped",
        idmap.map_of(uid, uid_ranges),
        idmap.map_of(gid, gid_ranges),
        newuidmap=tools["newuidmap"],
        newgidmap=tools["newgidmap"],
    )


def _process_status() -> dict[str, str]:
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        rows = [line.partition(":") for line in file]
    return {key: value.strip() for key, _, value in rows}


def held_capabilities() -> int:
    """Our own effective ones, as a mask."""
    return int(_process_status()["CapEff"], 16)


def _own_map(which: str) -> IdMap:
    """The map of the user namespace that we are in."""
    text = read_text(f"/proc/self/{which}_map")
    return idmap.parse_map(text) if text else list(WHOLE_MAP)  # a kernel without user namespaces


def _same(ids: IdMap) -> IdMap:
    """The ids of this namespace, as they are, for a child namespace."""
    return [(inside, inside, count) for inside, _, count in ids]


def _usable(text: str, owners: set[str], ids: IdMap) -> list[tuple[int, int]]:
    """The granted ranges that exist in our own user namespace."""
    return [
        (first, count)
        for first, count in idmap.subordinate_ranges(text, owners)
        if idmap.holds_range(ids, first, count)
    ]


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _find_tool(name: str, search: str) -> tuple[str, str]:
    """The path of a program that gains privilege when it is run, or why there is none."""
    whys = []
    for folder in _folders(search):
        path = f"{folder}/{name}"
        if not os.access(path, os.X_OK):
            continue
        if not _is_privileged(path):
            whys.append(f'"{path}" is neither set-user-ID nor does it have file capabilities')
        elif os.statvfs(path).f_flag & os.ST_NOSUID:
            whys.append(f'"{path}" is on a file system mounted nosuid')
        else:
            return path, ""
    return "", whys[0] if whys else f'"{name}" is not installed'


def _folders(search: str) -> Sequence[str]:
    folders = [folder for folder in search.split(":") if folder.startswith("/")]
    return [*folders, "/usr/bin", "/bin"]


def _is_privileged(path: str) -> bool:
    status = os.stat(path)
    if status.st_mode & 0o4000 and status.st_uid == 0:
        return True
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False
