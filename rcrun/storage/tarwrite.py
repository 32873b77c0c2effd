"""The headers of a tar that we write: ustar, and a pax header where ustar has no room; the same member gives the same bytes."""

from __future__ import annotations

import struct

from rcrun.storage import tarheader
from rcrun.storage.tarheader import BLOCK, Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Write = Callable[[bytes], object]

END = bytes(2 * BLOCK)
MOST_NAME = 100
MOST_OCTAL = 0o7777777
MOST_LONG_OCTAL = 0o77777777777
SPARSE_DIR = b"GNUSparseFile.0"
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")


def member(name: bytes, kind: str, mode: int) -> Member:
    """An entry of root's without data, from the epoch."""
    made = Member()
    made.name, made.kind, made.mode = name, kind, mode
    made.uid = made.gid = made.size = made.real_size = made.mtime = made.major = made.minor = 0
    made.link = b""
    made.xattrs = made.sparse = None
    return made


def encode(entry: Member) -> bytes:
    """The headers, and the map of a sparse file; `size` bytes of data follow, and padding."""
    if entry.sparse is None:
        return _encode(entry, entry.name, entry.size, {})
    above, _, base = entry.name.rpartition(b"/")
    pieces = [number for piece in entry.sparse for number in piece]
    text = b"".join(b"%d\n" % number for number in (len(entry.sparse), *pieces))
    text += bytes(-len(text) % BLOCK)
    records = {
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": entry.name,
        b"GNU.sparse.realsize": b"%d" % entry.real_size,
    }
    short = b"/".join(filter(None, (above, SPARSE_DIR, base)))
    return _encode(entry, short, len(text) + entry.size, records) + text


def _encode(entry: Member, name: bytes, size: int, records: dict[bytes, bytes]) -> bytes:
    records = {**records, **_pax_records(entry, name, size)}
    header = _header(entry, name[:MOST_NAME], size)
    if not records:
        return header
    data = b"".join(_record(key, value) for key, value in sorted(records.items()))
    before = member(b"PaxHeaders/" + name.rpartition(b"/")[2][:80], "x", 0o644)
    return _header(before, before.name, len(data)) + data + bytes(-len(data) % BLOCK) + header


def _pax_records(entry: Member, name: bytes, size: int) -> dict[bytes, bytes]:
    records = {}
    if len(name) > MOST_NAME:
        records[b"path"] = name
    if len(entry.link) > MOST_NAME:
        records[b"linkpath"] = entry.link
    for key, value, most in (
        (b"uid", entry.uid, MOST_OCTAL),
        (b"gid", entry.gid, MOST_OCTAL),
        (b"size", size, MOST_LONG_OCTAL),
    ):
        if value > most:
            records[key] = b"%d" % value
    if entry.mtime % 1_000_000_000 or not 0 <= entry.mtime // 1_000_000_000 <= MOST_LONG_OCTAL:
        records[b"mtime"] = _decimal(entry.mtime)
    for attribute, data in (entry.xattrs or {}).items():
        records[b"SCHILY.xattr." + attribute.encode("utf-8", "surrogateescape")] = data
    return records


def _decimal(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return sign + (b"%d.%09d" % (seconds, rest)).rstrip(b"0").rstrip(b".")


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _octal(number: int, digits: int) -> bytes:
    return b"%0*o\0" % (digits, number if 0 <= number < 8**digits else 0)


def _header(entry: Member, name: bytes, size: int) -> bytes:
    is_device = entry.kind in (tarheader.CHARACTER, tarheader.BLOCK_DEVICE)
    fields = [
        name,
        _octal(entry.mode, 7),
        _octal(entry.uid, 7),
        _octal(entry.gid, 7),
        _octal(size, 11),
        _octal(entry.mtime // 1_000_000_000, 11),
        b" " * 8,
        entry.kind.encode("ascii"),
        entry.link[:MOST_NAME],
        b"ustar\x0000",
        b"",
        b"",
        _octal(entry.major, 7) if is_device else b"",
        _octal(entry.minor, 7) if is_device else b"",
        b"",
    ]
    block = _HEADER.pack(*fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


class TarWriter:
    """Members one after the other; `end` closes the archive, which cannot be told from a cut one before."""

    __slots__ = ("_write", "size")

    def __init__(self, write: Write) -> None:
        self._write = write
        self.size = 0

    def add(self, entry: Member, data: Iterable[bytes] = ()) -> None:
        """`data` gives exactly `entry.size` bytes."""
        self._put(encode(entry))
        for piece in data:
            self._put(piece)
        if entry.size % BLOCK:
            self._put(bytes(-entry.size % BLOCK))

    def end(self) -> None:
        self._put(END)

    def _put(self, data: bytes) -> None:
        self._write(data)
        self.size += len(data)


class Buffered:
    """Small pieces gathered into large writes."""

    __slots__ = ("_have", "_parts", "_write")

    MOST = 1 << 18

    def __init__(self, write: Write) -> None:
        self._write = write
        self._parts: list[bytes] = []
        self._have = 0

    def __call__(self, data: bytes) -> None:
        if len(data) >= self.MOST:
            self.flush()
            self._write(data)
            return
        self._parts.append(data)
        self._have += len(data)
        if self._have >= self.MOST:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            self._write(b"".join(self._parts))
            self._parts = []
            self._have = 0
