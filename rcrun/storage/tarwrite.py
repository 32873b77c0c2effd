"""The headers of a tar that we write: ustar, and a pax header where ustar has no room; the same member gives the same bytes."""

from __future__ import annotations

import errno
import os
import zlib

from rcrun.files import write_all
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
_NUMBERS = b"%07o\0%07o\0%07o\0%011o\0%011o\0        %b"
_MAGIC = b"ustar\x0000".ljust(72, b"\0")  # and the names of owner and group, which are not told
_PLAIN_END = _MAGIC.ljust(255, b"\0")
CHUNK = 1 << 18
MOST_SENT = 1 << 22
LEAST_SENT = 1 << 15  # from here on the kernel copies a file, without our reading it


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
    if entry.uid > MOST_OCTAL:
        records[b"uid"] = b"%d" % entry.uid
    if entry.gid > MOST_OCTAL:
        records[b"gid"] = b"%d" % entry.gid
    if size > MOST_LONG_OCTAL:
        records[b"size"] = b"%d" % size
    if entry.mtime % 1_000_000_000 or not 0 <= entry.mtime // 1_000_000_000 <= MOST_LONG_OCTAL:
        records[b"mtime"] = _decimal(entry.mtime)
    if entry.xattrs:
        for attribute, data in entry.xattrs.items():
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


def _fitting(number: int, most: int) -> int:
    """What has no room stands in a pax record."""
    return number if 0 <= number <= most else 0


def _header(entry: Member, name: bytes, size: int) -> bytes:
    """Header fields by hand: this is the inner loop of all that writes layers."""
    numbers = _NUMBERS % (
        entry.mode,
        _fitting(entry.uid, MOST_OCTAL),
        _fitting(entry.gid, MOST_OCTAL),
        _fitting(size, MOST_LONG_OCTAL),
        _fitting(entry.mtime // 1_000_000_000, MOST_LONG_OCTAL),
        entry.kind.encode("ascii"),
    )
    link = entry.link[:MOST_NAME].ljust(MOST_NAME, b"\0")
    end = _PLAIN_END
    if entry.kind in (tarheader.CHARACTER, tarheader.BLOCK_DEVICE):
        end = (_MAGIC + b"%07o\0%07o\0" % (entry.major, entry.minor)).ljust(255, b"\0")
    block = name.ljust(MOST_NAME, b"\0") + numbers + link + end
    # adler32's lower half is one more than the sum of the bytes: of a header it is less than the modulus.
    total = (zlib.adler32(block) & 0xFFFF) - 1
    return block[:148] + b"%06o\0 " % total + block[156:]


class TarWriter:
    """Members one after the other; `end` closes the archive, which cannot be told from a cut one before."""

    __slots__ = ("_sender", "_write", "size")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._sender = write if isinstance(write, Buffered) and write.sends else None
        self.size = 0

    def add(self, entry: Member, data: Iterable[bytes] = ()) -> None:
        """`data` gives exactly `entry.size` bytes."""
        self._put(encode(entry))
        for piece in data:
            self._put(piece)
        if entry.size % BLOCK:
            self._put(bytes(-entry.size % BLOCK))

    def add_file(
        self,
        entry: Member,
        fd: int,
        pieces: Iterable[tuple[int, int]],
        shorter: Callable[[], object],
        advanced: Callable[[int], object] | None = None,
    ) -> None:
        """Its data are these pieces (offset, length) of a file; zeros, if it became `shorter`."""
        self._put(encode(entry))
        for offset, length in pieces:
            if self._sender is not None and length >= LEAST_SENT:
                self._sender.send(fd, offset, length, shorter)
                self.size += length
                if advanced is not None:
                    advanced(length)
            else:
                self._copy(fd, offset, length, shorter, advanced)
        if entry.size % BLOCK:
            self._put(bytes(-entry.size % BLOCK))

    def _copy(
        self,
        fd: int,
        offset: int,
        length: int,
        shorter: Callable[[], object],
        advanced: Callable[[int], object] | None,
    ) -> None:
        while length:
            data = os.pread(fd, min(CHUNK, length), offset)
            if not data:
                shorter()
                data = bytes(min(CHUNK, length))
            self._put(data)
            offset += len(data)
            length -= len(data)
            if advanced is not None:
                advanced(len(data))

    def end(self) -> None:
        self._put(END)

    def _put(self, data: bytes) -> None:
        self._write(data)
        self.size += len(data)


class Buffered:
    """Small pieces gathered into large writes. With a descriptor, which is where `write` writes, files go there without a detour."""

    __slots__ = ("_fd", "_have", "_parts", "_write", "sends")

    MOST = 1 << 18

    def __init__(self, write: Write, fd: int = -1) -> None:
        self._write = write
        self._fd = fd
        self.sends = fd >= 0
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

    def send(self, fd: int, offset: int, count: int, shorter: Callable[[], object]) -> None:
        """Of a file, by the kernel where it can."""
        self.flush()
        _copy_file(self._fd, fd, offset, count, shorter, self._write)

    def flush(self) -> None:
        if self._parts:
            self._write(b"".join(self._parts))
            self._parts = []
            self._have = 0


def _copy_file(
    out_fd: int, fd: int, offset: int, count: int, shorter: Callable[[], object], write: Write
) -> None:
    """`write` writes to `out_fd`, too: for what the kernel cannot copy by itself."""
    sends = True
    while count:
        try:
            done = os.sendfile(out_fd, fd, offset, min(count, MOST_SENT)) if sends else 0
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            done = 0
        if not done:
            sends = False
            data = os.pread(fd, min(CHUNK, count), offset)
            if not data:
                shorter()
                data = bytes(min(CHUNK, count))
            write(data)
            done = len(data)
        offset += done
        count -= done


def to_descriptor(fd: int) -> Buffered:
    return Buffered(lambda data: write_all(fd, data), fd)
