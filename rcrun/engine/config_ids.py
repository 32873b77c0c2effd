"""The ids of a container whose user namespace is not the usual one: --userns, --uidmap and their kin. Pure."""

from __future__ import annotations

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.passwd import User
    from rcrun.kernel.identity import Identity

    Maps = tuple[IdMap, IdMap]

EXPLICIT = ("uidmap", "gidmap", "subuidname", "subgidname")
_WORDS = "host, keep-id, auto, nomap, private, container:NAME or ns:PATH"
_LEAST_AUTO, _MOST_AUTO, _NOBODY = 1024, 65536, 65534
_AUTO_SHAPE = "write auto[:size=NUMBER,uidmapping=INSIDE:OUTSIDE:COUNT,gidmapping=…]"


def maps(options: Options, word: str, facts: Facts, user: User) -> Maps:
    """From the container's numbers to the host's, for users and for groups."""
    identity = facts.identity
    kind, _, rest = word.partition(":")
    if any(options.get(key) for key in EXPLICIT):
        if kind not in ("", "private"):
            raise InvalidInput(f"conflicting options: --userns {word} and --uidmap or --gidmap")
        return _explicit(options, facts)
    if kind == "keep-id":
        return _kept(word, identity)
    if kind == "nomap" and not rest:
        return _without_caller(identity)
    if kind == "auto":
        return _automatic(rest, facts, user)
    if word == "private":
        if identity.kind == "root":
            raise InvalidInput("--userns private does not say which ids", "try --userns auto")
        raise AssertionError("the default of who is not root")
    raise InvalidInput(f'invalid --userns "{word}"', f"use {_WORDS}")


def is_shifted(ids: Maps, word: str, identity: Identity) -> bool:
    """Whether the files of unpacked layers have other owners than the container's numbers ask for."""
    if word.partition(":")[0] == "keep-id":
        return False  # the caller takes the place of the image's root
    return any(
        inside != ours
        for mine, theirs in zip(ids, (identity.uid_map, identity.gid_map), strict=True)
        for inside, ours, _ in idmap.between(mine, theirs)
    )


# ---- keep-id and nomap


def kept_ids(word: str, identity: Identity) -> tuple[int, int, int]:
    """The ids that the caller has inside with `keep-id[:uid=N,gid=N,size=N]`, and how many there are (0: all)."""
    if identity.kind == "root":
        raise InvalidInput("--userns keep-id is for callers who are not root")
    ids = {"uid": identity.uid, "gid": identity.gid, "size": 0}
    for option in filter(None, word.partition(":")[2].split(",")):
        key, _, value = option.partition("=")
        if key not in ids or not (value.isascii() and value.isdigit()):
            shape = "write keep-id[:uid=UID,gid=GID,size=NUMBER]"
            raise InvalidInput(f'invalid --userns "{word}"', shape)
        ids[key] = int(value)
    return ids["uid"], ids["gid"], ids["size"]


def _kept(word: str, identity: Identity) -> Maps:
    uid, gid, size = kept_ids(word, identity)
    if identity.kind == "single":
        return [(uid, identity.uid, 1)], [(gid, identity.gid, 1)]
    return (
        _first(_exchanged(identity.uid_map, uid), size, uid),
        _first(_exchanged(identity.gid_map, gid), size, gid),
    )


def _first(ids: IdMap, size: int, own: int) -> IdMap:
    """Those below `size`, and the caller's own."""
    if not size:
        return ids
    found = []
    for inside, outside, count in ids:
        if inside == own and count == 1:
            found.append((inside, outside, count))
        elif inside < size:
            found.append((inside, outside, min(count, size - inside)))
    return found


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
        pieces = _cut(pieces, 0, number, 1)
    return pieces


def _cut(ids: Iterable[idmap.Range], side: int, first: int, count: int) -> IdMap:
    """The rows without a range of what is inside (side 0) or outside (side 1)."""
    found: IdMap = []
    for row in ids:
        begin, end = row[side], row[side] + row[2]
        before = min(max(first - begin, 0), row[2])
        after = min(max(end - (first + count), 0), row[2])
        if before + after >= row[2]:
            found.append(row)
            continue
        if before:
            found.append((row[0], row[1], before))
        if after:
            skipped = row[2] - after
            found.append((row[0] + skipped, row[1] + skipped, after))
    return found


def _without_caller(identity: Identity) -> Maps:
    _require_more_ids("nomap", identity)
    if identity.kind == "root":
        raise InvalidInput("--userns nomap is for callers who are not root", "try --userns auto")
    return _packed(_cut(identity.uid_map, 0, 0, 1)), _packed(_cut(identity.gid_map, 0, 0, 1))


def _packed(ids: IdMap) -> IdMap:
    """The same ids outside, numbered inside from 0 on."""
    found, inside = [], 0
    for _, outside, count in ids:
        found.append((inside, outside, count))
        inside += count
    return found


def _require_more_ids(word: str, identity: Identity) -> None:
    if identity.kind == "single":
        raise HostLacks(
            f"--userns {word} needs subordinate ids: {identity.why}",
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
        )


# ---- maps as they are typed


def _explicit(options: Options, facts: Facts) -> Maps:
    uids = _asked_rows(options, "uid", facts)
    gids = _asked_rows(options, "gid", facts)
    if not uids and not gids:
        raise InvalidInput("invalid --uidmap: no id is mapped")
    return uids or gids, gids or uids


def _asked_rows(options: Options, which: str, facts: Facts) -> IdMap:
    """Of one kind; those that are typed for the other kind alone are left to it."""
    ours = facts.identity.uid_map if which == "uid" else facts.identity.gid_map
    rows: IdMap = []
    extends = False
    other = "gid" if which == "uid" else "uid"
    own_words = _split(options.get(f"{which}map"))
    for text in own_words or _split(options.get(f"{other}map")):
        flags, row = _row(text, f"--{which if own_words else other}map", ours)
        if other[0] in flags and which[0] not in flags:
            continue
        extends |= "+" in flags
        rows.append(row)
    if rows and extends:
        rows = _extended(rows, sum(count for _, _, count in ours))
    name = options.get(f"sub{which}name") or options.get(f"sub{other}name")
    if name and not rows:
        return _of_name(str(name), which, facts)
    _refuse_overlaps(rows, f"--{which}map")
    return _outside(rows, ours, f"--{which}map")


def _split(texts: Sequence[str] | None) -> list[str]:
    return [word for text in texts or () for word in text.split(",") if word]


def _row(text: str, flag: str, ours: IdMap) -> tuple[str, idmap.Range]:
    """`[+ug]INSIDE:OUTSIDE[:COUNT]`; outside is a number of ours, or with @ one of the host's."""
    flags = text[: len(text) - len(text.lstrip("+ug"))]
    parts = text[len(flags) :].split(":")
    numbers = [part.removeprefix("@") if at == 1 else part for at, part in enumerate(parts)]
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() for part in numbers):
        raise InvalidInput(f'invalid {flag} "{text}"', f"write it like {flag} 0:1:1000")
    inside, outside = int(numbers[0]), int(numbers[1])
    count = int(numbers[2]) if len(parts) == 3 else 1
    if not count or inside + count > idmap.ID_LIMIT:
        raise InvalidInput(f'invalid {flag} "{text}": there are no such ids')
    if parts[1].startswith("@"):
        found = idmap.to_inside(ours, outside)
        if found is None:
            raise InvalidInput(f'invalid {flag} "{text}": the id {outside} of the host is not ours')
        outside = found
    return flags, (inside, outside, count)


def _extended(rows: IdMap, total: int) -> IdMap:
    """What we have anyway, with these in the places that they want."""
    base: IdMap = [(0, 0, total)]
    for inside, outside, count in rows:
        base = _cut(_cut(base, 0, inside, count), 1, outside, count)
    return sorted([*rows, *base])


def _refuse_overlaps(rows: IdMap, flag: str) -> None:
    for side, what in ((0, "container"), (1, "host")):
        places = sorted((row[side], row[side] + row[2]) for row in rows)
        end = 0
        for begin, after in places:
            if begin < end:
                raise InvalidInput(f"{flag}: the id {begin} of the {what} is mapped twice")
            end = after


def _outside(rows: IdMap, ours: IdMap, flag: str) -> IdMap:
    """From our numbers to those of the host."""
    found: IdMap = []
    for inside, first, count in rows:
        while count:
            piece = next((row for row in ours if row[0] <= first < row[0] + row[2]), None)
            if piece is None:
                raise InvalidInput(
                    f"{flag}: {first} is not among our ids",
                    "0 is the caller, and those of /etc/subuid follow; see: rcrun info",
                )
            step = min(count, piece[0] + piece[2] - first)
            found.append((inside, piece[1] + first - piece[0], step))
            inside, first, count = inside + step, first + step, count - step
    if len(found) > idmap.MOST_RANGES:
        raise InvalidInput(f"{flag}: more than {idmap.MOST_RANGES} ranges of ids")
    return found


def _of_name(name: str, which: str, facts: Facts) -> IdMap:
    ranges = facts.subordinate(which, name)
    if not ranges:
        raise InvalidInput(f'--sub{which}name "{name}": /etc/sub{which} has no ids for that name')
    ours = facts.identity.uid_map if which == "uid" else facts.identity.gid_map
    for first, count in ranges:
        if facts.identity.kind != "root" and not _are_ours(ours, first, count):
            raise InvalidInput(
                f'--sub{which}name "{name}": its ids are not ours', f"use {facts.identity.uid}"
            )
    return _packed([(0, first, count) for first, count in ranges])


def _are_ours(ours: IdMap, first: int, count: int) -> bool:
    turned = [(outside, inside, many) for inside, outside, many in ours]
    return idmap.holds_range(turned, first, count)


# ---- auto


def _automatic(rest: str, facts: Facts, user: User) -> Maps:
    """Ids that no other container has: a range of ours for as many as the image's users need."""
    _require_more_ids("auto", facts.identity)
    size, rows = _auto_options(rest, facts.identity)
    size = size or _wanted(facts, user)
    found = []
    for which in ("uid", "gid"):
        own = rows[which]
        pool = _pool(which, facts)
        needed = size - sum(min(row[2], max(0, size - row[0])) for row in own)
        taken = [*facts.taken_ids(which), *[(row[1], row[2]) for row in own]]
        first = _free(pool, taken, needed)
        if first is None:
            most = max((count for _, count in pool), default=0)
            raise HostLacks(
                f"--userns auto: no {needed} {which}s in a row are left of {most}",
                "remove containers that have them, or ask for fewer: --userns auto:size=1024",
            )
        found.append(_filled(own, size, first))
    return found[0], found[1]


def _auto_options(rest: str, identity: Identity) -> tuple[int, dict[str, IdMap]]:
    size, rows = 0, {"uid": [], "gid": []}  # type: ignore[var-annotated]
    for word in filter(None, rest.split(",")):
        key, _, value = word.partition("=")
        which = key.removesuffix("mapping")
        if key == "size" and value.isdecimal() and 0 < int(value) <= _MOST_AUTO:
            size = int(value)
        elif key in ("uidmapping", "gidmapping"):
            ours = identity.uid_map if which == "uid" else identity.gid_map
            _, row = _row(value, f"--userns auto:{key}", ours)
            rows[which] += _outside([row], ours, f"--userns auto:{key}")
        else:
            raise InvalidInput(f'invalid --userns "auto:{rest}"', _AUTO_SHAPE)
    return size, rows


def _wanted(facts: Facts, user: User) -> int:
    """All of the image's users but nobody, and at least so many that most programs find theirs."""
    numbers = [user.uid, user.gid, _LEAST_AUTO - 1]
    for text, field in ((facts.passwd, 2), (facts.passwd, 3), (facts.group, 2)):
        for line in text.splitlines():
            words = line.split(":")
            if len(words) > field and words[field].isdecimal() and int(words[field]) < _NOBODY:
                numbers.append(int(words[field]))
    return min(max(numbers) + 1, _MOST_AUTO)


def _pool(which: str, facts: Facts) -> list[tuple[int, int]]:
    identity = facts.identity
    if identity.kind != "root":
        ours = identity.uid_map if which == "uid" else identity.gid_map
        return [(outside, count) for inside, outside, count in ours if inside]
    ranges = facts.subordinate(which, "containers")
    if not ranges:
        raise HostLacks(
            f'--userns auto: /etc/sub{which} has no ids for "containers"',
            f"echo containers:2147483647:2147483648 | sudo tee -a /etc/sub{which}",
        )
    return ranges


def _free(
    pool: Sequence[tuple[int, int]], taken: Iterable[tuple[int, int]], size: int
) -> int | None:
    others = sorted(taken)
    for first, count in pool:
        at = first
        for other, many in others:
            if other < at + size and at < other + many:
                at = other + many
        if at + size <= first + count:
            return at
    return None


def _filled(own: IdMap, size: int, first: int) -> IdMap:
    """The rows that were asked for, and every other number below `size` from the range."""
    gaps: IdMap = [(0, 0, size)]
    for inside, _, count in own:
        gaps = _cut(gaps, 0, inside, count)
    found = list(own)
    for inside, _, count in gaps:
        found.append((inside, first, count))
        first += count
    return sorted(found)
