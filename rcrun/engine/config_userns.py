"""--userns: which ids the container has. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.passwd import User
    from rcrun.kernel.identity import Identity


def maps(word: str, identity: Identity, user: User) -> tuple[IdMap, IdMap] | None:
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
        return exchanged(identity.uid_map, uid), exchanged(identity.gid_map, gid)
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


def exchanged(ids: IdMap, own: int) -> IdMap:
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


def refuse_unmapped(user: User, uids: IdMap, gids: IdMap) -> None:
    for what, number, ids in (("user", user.uid, uids), ("group", user.gid, gids)):
        if idmap.to_outside(ids, number) is None:
            raise InvalidInput(
                f"cannot run as {what} {number}: this container has {_count(ids)} ids of {what}s",
                "give yourself more subordinate ids, or choose another user with --user",
            )


def _count(ids: IdMap) -> int:
    return sum(count for _, _, count in ids)


def mapped_groups(groups: list[int], gids: IdMap) -> list[int]:
    """Supplementary groups that exist in the container; with one id there are none."""
    if _count(gids) == 1:
        return []
    return [gid for gid in groups if idmap.to_outside(gids, gid) is not None]
