"""Sparse files in tar: GNU's old header, and the pax forms 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats")."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.storage.tarnumber import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.tarheader import Member, TarReader
    from rcrun.storage.tarpax import Records

    SparseMap = list[tuple[int, int]]  # offset and length of each piece of data

BLOCK = 512
MOST_PIECES = 1 << 20


def read_map(
    reader: TarReader, member: Member, kind: bytes, block: bytes, records: Records
) -> None:
    """Set `sparse`, `real_size`, and the true name of a sparse file; leave others as they are."""
    if kind == b"S":
        _old_gnu(reader, member, block)
    elif records.get("GNU.sparse.major") == b"1":
        _name_and_size(member, records)
        _pax_1(reader, member)
    elif "GNU.sparse.map" in records:
        _name_and_size(member, records)
        member.sparse = _pairs(_numbers(records["GNU.sparse.map"].split(b","), member), member)
    else:
        return
    _check(member, reader.left)


def _name_and_size(member: Member, records: Records) -> None:
    member.name = records.get("GNU.sparse.name", member.name)
    size = records.get("GNU.sparse.realsize") or records.get("GNU.sparse.size")
    if size is None:
        raise _invalid(member)
    member.real_size = _numbers([size], member)[0]


def _old_gnu(reader: TarReader, member: Member, block: bytes) -> None:
    """Four pieces in the header, then 21 in each extension block, as long as a flag says so."""
    member.real_size = _number(block[483:495], member)
    fields = [block[at : at + 12] for at in range(386, 482, 12)]
    more = block[482]
    while more:
        extension = reader.stream.take(BLOCK)
        if len(extension) < BLOCK or len(fields) > 2 * MOST_PIECES:
            raise _invalid(member)
        fields += [extension[at : at + 12] for at in range(0, 504, 12)]
        more = extension[504]
    used = [field for field in fields if field[0]]
    member.sparse = _pairs([_number(field, member) for field in used], member)


def _pax_1(reader: TarReader, member: Member) -> None:
    """The map is text before the data: a count, then offsets and lengths, a line each, to a full block."""
    text = b""
    lines: list[bytes] = []
    wanted = 1
    while len(lines) < wanted:
        if reader.left < BLOCK:
            raise _invalid(member)
        text += reader.take_data(BLOCK)
        *complete, text = text.split(b"\n")
        if not lines and complete:
            count = _numbers(complete[:1], member)[0]
            if count > MOST_PIECES:
                raise _invalid(member)
            wanted = 1 + 2 * count
        lines += complete
    member.sparse = _pairs(_numbers(lines[1:wanted], member), member)


def _number(field: bytes, member: Member) -> int:
    return number(field, "sparse map", member.text())


def _numbers(words: list[bytes], member: Member) -> list[int]:
    if not all(word.isdigit() and len(word) <= 20 for word in words):
        raise _invalid(member)
    return [int(word) for word in words]


def _pairs(numbers: list[int], member: Member) -> SparseMap:
    if len(numbers) % 2 or len(numbers) > 2 * MOST_PIECES:
        raise _invalid(member)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _check(member: Member, stored: int) -> None:
    """Pieces in order, within the file, and exactly what is stored."""
    at = total = 0
    for offset, length in member.sparse or ():
        if offset < at:
            raise _invalid(member)
        at = offset + length
        total += length
    if at > member.real_size or total != stored:
        raise _invalid(member)


def _invalid(member: Member) -> InvalidInput:
    return InvalidInput(f'"{member.text()}" has an invalid map of a sparse file')
