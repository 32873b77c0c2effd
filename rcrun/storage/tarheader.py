"""The headers of a tar stream: ustar, pax and GNU; strict about sizes, lenient about what only looks odd.

Names stay bytes as they are in the archive; the reader of a member gives them meaning.
"""

from __future__ import annotations

import struct
import zlib

from rcrun.errors import InvalidInput
from rcrun.storage import tarpax, tarsparse
from rcrun.storage.tarnumber import number, odd_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.bytestream import ByteStream
    from rcrun.storage.tarpax import Records
    from rcrun.storage.tarsparse import SparseMap

BLOCK = 512
MOST_EXTENSION = 1 << 20  # a pax header or a GNU long name
MOST_EXTENSIONS = 16  # before one member
LARGEST_FILE = 1 << 43
LARGEST_DEVICE = (1 << 20) - 1
LARGEST_ID = (1 << 32) - 2  # the last one means "no change" to chown(2)

FILE, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = "0123456"
_FILES = (b"0", b"\x00", b"7", b"S")
_OLD_FILES = (b"0", b"\x00")  # a slash at the end of the name makes a directory
_HEADER_ONLY = b"123456"
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_ZEROS = bytes(BLOCK)


class Member:
    """One entry of the archive; `size` is what follows in the stream, `real_size` what the file has."""

    __slots__ = (
        "gid", "kind", "link", "major", "minor", "mode", "mtime", "name", "real_size", "size", "sparse",
        "uid", "xattrs",
    )  # fmt: skip

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    real_size: int
    mtime: int  # nanoseconds since the epoch
    link: bytes
    major: int
    minor: int
    xattrs: dict[str, bytes] | None
    sparse: SparseMap | None

    def text(self) -> str:
        """The name for messages."""
        return shown(self.name)


def shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


class TarReader:
    """Walks the headers; between two of them the caller takes what he wants of `stream`, by `left`."""

    __slots__ = ("_defaults", "_padding", "last", "left", "stream")

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.left = 0  # bytes of the current member's data that were not taken
        self.last = ""
        self._padding = 0
        self._defaults: Records = {}

    def next(self) -> Member | None:
        """The next member; None at the end of the archive."""
        self._finish_member()
        block = self._header_block()
        if block is None:
            return None
        records: Records | None = None
        for _ in range(MOST_EXTENSIONS):
            kind = block[156:157]
            if kind not in b"xXgLKV":
                return self._member(block, records)
            records = self._extension(kind, block, records or {})
            block = self._header_block()
            if block is None and not records:
                return None
            if block is None:
                raise InvalidInput("the archive ends after an extended header")
        raise InvalidInput("the archive has too many extended headers before one member")

    def copy_data(self, fd: int, count: int) -> None:
        """Write the next bytes of the member's data to the descriptor."""
        self.left -= count
        if not self.stream.copy_to(fd, count):
            raise self._cut_short()

    def take_data(self, count: int) -> bytes:
        self.left -= count
        data = self.stream.take(count)
        if len(data) != count:
            raise self._cut_short()
        return data

    def take_piece(self) -> memoryview:
        """Some of the member's data, where there is any left."""
        piece = self.stream.piece(self.left)
        if not piece:
            raise self._cut_short()
        self.left -= len(piece)
        return piece

    def _finish_member(self) -> None:
        rest = self.left + self._padding
        if rest and not self.stream.skip(rest):
            raise self._cut_short()
        self.left = self._padding = 0

    def _header_block(self) -> bytes | None:
        """The next header; None at the mark of the end, or where the stream ends without one."""
        block = self.stream.take(BLOCK)
        if len(block) < BLOCK:
            if block.strip(b"\0"):
                raise self._cut_short()
            return None
        if not _sum_fits(block):
            if block == _ZEROS:
                return None
            where = f' after "{self.last}"' if self.last else ""
            raise InvalidInput(f"this is not a tar archive, or it is damaged{where}")
        return block

    def _extension(self, kind: bytes, block: bytes, records: Records) -> Records:
        size = number(block[124:136], "size", "an extended header")
        if size > MOST_EXTENSION:
            raise InvalidInput(f"the archive has an extended header of {size} bytes")
        data = self.stream.take(size)
        if len(data) != size or not self.stream.skip(-size % BLOCK):
            raise self._cut_short()
        if kind == b"L":
            return {**records, "path": data.partition(b"\0")[0]}
        if kind == b"K":
            return {**records, "linkpath": data.partition(b"\0")[0]}
        if kind in b"xX":
            return {**records, **tarpax.parse(data)}
        if kind == b"g":
            self._defaults = {**self._defaults, **tarpax.parse(data)}
        return records

    def _member(self, block: bytes, records: Records | None) -> Member:
        (name, mode, uid, gid, size, mtime, _, kind, link, magic, _, _, major, minor, prefix) = (
            _HEADER.unpack(block)
        )
        member = Member()
        name = name.partition(b"\0")[0]
        if magic == b"ustar\x0000" and prefix[0]:
            name = prefix.partition(b"\0")[0] + b"/" + name
        member.name = name
        member.link = link.partition(b"\0")[0]
        member.xattrs = member.sparse = None
        member.major = member.minor = 0
        if records is not None or self._defaults:
            records = {**self._defaults, **(records or {})}
            member.name = records.get("path", member.name)
            member.link = records.get("linkpath", member.link)
        self.last = text = shown(member.name)
        member.mode = number(mode, "mode", text) & 0o7777
        member.uid = number(uid, "uid", text)
        member.gid = number(gid, "gid", text)
        member.size = number(size, "size", text)
        member.mtime = tarpax.clamped(number(mtime, "time", text, signed=True)) * 1_000_000_000
        member.kind = _kind(kind, member, text)
        if member.kind in (CHARACTER, BLOCK_DEVICE):
            member.major = number(major, "device", text)
            member.minor = number(minor, "device", text)
            if max(member.major, member.minor) > LARGEST_DEVICE:
                raise InvalidInput(f'"{text}" claims to be device {member.major}:{member.minor}')
        if records is not None:
            tarpax.apply(member, records)
        self._begin_data(member, kind, block, records or {})
        return member

    def _begin_data(self, member: Member, kind: bytes, block: bytes, records: Records) -> None:
        if kind in _HEADER_ONLY:
            member.size = 0
        self.left = member.size
        self._padding = -member.size % BLOCK
        member.real_size = member.size
        if member.kind == FILE:
            tarsparse.read_map(self, member, kind, block, records)
        text = self.last
        if member.size > LARGEST_FILE or member.real_size > LARGEST_FILE:
            raise InvalidInput(
                f'"{text}" claims to have {max(member.size, member.real_size)} bytes'
            )
        if member.uid > LARGEST_ID or member.gid > LARGEST_ID:
            raise InvalidInput(f'"{text}" claims to belong to {member.uid}:{member.gid}')

    def _cut_short(self) -> InvalidInput:
        where = f' in the middle of "{self.last}"' if self.last else ""
        return InvalidInput(f"the archive ends{where}: it is cut short")


def _kind(kind: bytes, member: Member, text: str) -> str:
    if kind in _FILES:
        return DIRECTORY if kind in _OLD_FILES and member.name.endswith(b"/") else FILE
    if kind in _HEADER_ONLY:
        return kind.decode("ascii")
    if kind == b"D":  # GNU: a directory and the list of its names
        return DIRECTORY
    raise InvalidInput(f'"{text}" has the type {kind!r}, which is unknown')


def _stored_sum(block: bytes) -> int:
    try:
        return int(block[148:156].rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        try:
            return odd_number(block[148:156], "checksum", "")
        except InvalidInput:
            return -1


def _sum_fits(block: bytes) -> bool:
    stored = _stored_sum(block)
    # adler32's lower half is one more than the sum of the bytes, modulo 65521: a sum at C's speed.
    total = (zlib.adler32(block) & 0xFFFF) - 1
    if (total - sum(block[148:156]) + 8 * 32 - stored) % 65521 == 0:
        return True
    # Old tars summed signed characters.
    rest = block[:148] + block[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in rest) + 8 * 32
    return stored == signed
