"""owners.jsonl (docs/store.md): what a file's inode could not record, kept beside the layer."""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rcrun.formats.idmap import IdMap
    from rcrun.storage.tarheader import Member

    # path, uid, gid, mode, type, major, minor
    Record = tuple[str, int, int, int, str, int, int]

_LETTERS = {"0": "-", "1": "-", "2": "l", "3": "c", "4": "b", "5": "d", "6": "p"}


class Ids:
    """Which ids exist in this user namespace, fast for the usual case of one gapless range from 0."""

    __slots__ = ("_ranges", "top")

    def __init__(self, ids: IdMap) -> None:
        self._ranges = [(first, first + count) for first, _, count in ids]
        self.top = 0
        while found := [end for first, end in self._ranges if first <= self.top < end]:
            self.top = max(found)

    def has(self, number: int) -> bool:
        return number < self.top or any(first <= number < end for first, end in self._ranges)


class Owners:
    """The records of one layer, by path; a later entry of the same name replaces an earlier one's."""

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: dict[bytes, Record] = {}

    def add(self, name: bytes, member: Member) -> None:
        self._records[name] = (
            name.decode("utf-8", "surrogateescape"),
            member.uid,
            member.gid,
            member.mode,
            _LETTERS[member.kind],
            member.major,
            member.minor,
        )

    def link(self, name: bytes, target: bytes) -> None:
        """A hard link shares what is recorded of its target."""
        record = self._records.get(target)
        if record is not None:
            self._records[name] = (name.decode("utf-8", "surrogateescape"), *record[1:])

    def has(self, name: bytes) -> bool:
        return name in self._records

    def forget(self, name: bytes) -> None:
        if self._records:
            self._records.pop(name, None)

    def forget_tree(self, name: bytes) -> None:
        below = name + b"/"
        self._records = {
            known: record
            for known, record in self._records.items()
            if known != name and not known.startswith(below)
        }

    def records(self) -> list[Record]:
        return list(self._records.values())

    def lines(self) -> list[str]:
        return [dump(record) for record in self._records.values()]


def dump(record: Sequence[object]) -> str:
    """One line; a name that is not UTF-8 is written with escapes, which a JSON reader gives back."""
    words = [
        _json.encode_basestring_ascii(word) if isinstance(word, str) else str(word)
        for word in record
    ]
    return f"[{','.join(words)}]\n"


def parse(lines: Iterable[bytes]) -> Iterator[Record]:
    from rcrun.files import parse_json

    for line in lines:
        path, uid, gid, mode, kind, major, minor = parse_json(line)
        yield path, uid, gid, mode, kind, major, minor


def read(path: str) -> dict[str, Record]:
    """The records by path; empty when the layer has none."""
    try:
        with open(path, "rb") as file:
            return {record[0]: record for record in parse(file)}
    except FileNotFoundError:
        return {}


def own_ids(which: str) -> Ids:
    """The ids of the user namespace that this process is in."""
    from rcrun.formats import idmap

    with open(f"/proc/self/{which}_map", encoding="ascii") as file:
        return Ids(idmap.parse_map(file.read()))
