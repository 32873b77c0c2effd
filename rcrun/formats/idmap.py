"""Maps of ids: `container first : host first : count`, and the files that grant subordinate ids."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    Range = tuple[int, int, int]  # inside, outside, count
    IdMap = list[Range]

ID_LIMIT = 1 << 32
MOST_RANGES = 340  # user_namespaces(7), "Defining user and group ID mappings"


def parse_map(text: str) -> IdMap:
    """The content of /proc/PID/uid_map."""
    return [
        (int(inside), int(outside), int(count))
        for inside, outside, count in (line.split() for line in text.splitlines() if line.strip())
    ]


def subordinate_ranges(text: str, owners: Collection[str]) -> list[tuple[int, int]]:
    """(first, count) of every usable line of subuid(5) that belongs to one of the owners."""
    found: list[tuple[int, int]] = []
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(":")
        first, _, count = rest.partition(":")
        if owner in owners and first.isdigit() and count.isdigit() and int(count) > 0:
            found.append((int(first), int(count)))
    return found


def map_of(own: int, ranges: Iterable[tuple[int, int]]) -> IdMap:
    """Id 0 is our own and the subordinate ranges follow; a range that overlaps an earlier one is left out."""
    ids: IdMap = [(0, own, 1)]
    inside = 1
    for first, count in ranges:
        overlaps = any(
            first < outside + many and outside < first + count for _, outside, many in ids
        )
        if overlaps or first + count > ID_LIMIT or len(ids) == MOST_RANGES:
            continue
        ids.append((inside, first, count))
        inside += count
    return ids


def to_outside(ids: Sequence[Range], inside: int) -> int | None:
    for first, outside, count in ids:
        if first <= inside < first + count:
            return outside + inside - first
    return None


def to_inside(ids: Sequence[Range], outside: int) -> int | None:
    for inside, first, count in ids:
        if first <= outside < first + count:
            return inside + outside - first
    return None


def holds_range(ids: Sequence[Range], first: int, count: int) -> bool:
    """Whether every id of the range is mapped, counted as seen inside."""
    while count > 0:
        for inside, _, many in ids:
            if inside <= first < inside + many:
                step = inside + many - first
                first += step
                count -= step
                break
        else:
            return False
    return True


def words(ids: Sequence[Range]) -> list[str]:
    return [str(number) for row in ids for number in row]


def between(ids: Sequence[Range], others: Sequence[Range]) -> IdMap:
    """Rows from the numbers of one namespace to those of another, for ids that both have."""
    rows = []
    for inside, outside, count in ids:
        for other_inside, other_outside, other_count in others:
            first = max(outside, other_outside)
            last = min(outside + count, other_outside + other_count)
            if first < last:
                row = (inside + first - outside, other_inside + first - other_outside, last - first)
                rows.append(row)
    return rows
