"""Compressed streams, told apart by their first bytes; read in pieces of bounded size."""

from __future__ import annotations

import zlib

from rcrun.errors import HostLacks, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import ModuleType
    from typing import Any

    Read = Callable[[int], bytes]

CHUNK = 1 << 20
READ = 1 << 17
LONGEST_MAGIC = 6
_SKIPPABLE_ZSTD = range(0x184D2A50, 0x184D2A60)


def kind_of(head: bytes) -> str:
    """`gzip`, `zstd`, `xz`, `bzip2`, or empty for what is not compressed."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (
        len(head) >= 4 and int.from_bytes(head[:4], "little") in _SKIPPABLE_ZSTD
    ):
        return "zstd"
    if head.startswith(b"\xfd7zXZ\0"):
        return "xz"
    if head.startswith(b"BZh") and head[3:4].isdigit():
        return "bzip2"
    return ""


def decompressed(read: Read) -> Iterator[bytes]:
    """The content, whatever it is compressed with; InvalidInput when it is damaged or cut short."""
    head = b""
    while len(head) < LONGEST_MAGIC and (more := read(READ)):
        head += more
    kind = kind_of(head)
    if not kind:
        return _plain(read, head)
    return _checked(kind, _READERS[kind](read, head))


def reader_of(pieces: Iterator[bytes]) -> Read:
    """What `decompressed` reads from, of bytes that come in pieces."""
    rest = b""

    def read(size: int) -> bytes:
        nonlocal rest
        rest = rest or next(pieces, b"")
        data, rest = rest[:size], rest[size:]
        return data

    return read


def optional(name: str) -> ModuleType | None:
    """A module that need not be installed."""
    from rcrun.packages import installed

    try:
        return installed(name)
    except ImportError:
        return None


def _plain(read: Read, head: bytes) -> Iterator[bytes]:
    if head:
        yield head
    while data := read(CHUNK):
        yield data


def _checked(kind: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Give the faults of every library one form."""
    try:
        yield from pieces
    except OSError as error:
        if error.errno is not None:
            raise
        raise InvalidInput(f"the {kind} stream is damaged: {error}") from error  # bz2's way
    except EOFError as error:
        raise InvalidInput(f"the {kind} stream is cut short") from error
    except Exception as error:
        if type(error).__name__ in ("error", "LZMAError", "ZstdError", "IsalError"):
            raise InvalidInput(f"the {kind} stream is damaged: {error}") from error
        raise


def _gzip(read: Read, head: bytes) -> Iterator[bytes]:
    isal = optional("isal.isal_zlib")
    data = head
    while data:
        member = isal.decompressobj(31) if isal else zlib.decompressobj(31)
        data = yield from _member(member, read, data)
        data = data.lstrip(b"\0") or _past_padding(read)
        if data and not data.startswith(b"\x1f"):
            raise InvalidInput("the gzip stream is damaged: something else follows it")


def _member(member: Any, read: Read, data: bytes) -> Generator[bytes, None, bytes]:
    """One member of a gzip file; what followed it in the input is returned."""
    while not member.eof:
        if not data:
            data = read(READ)
            if not data:
                raise EOFError
        piece = member.decompress(data, CHUNK)
        data = member.unconsumed_tail
        if piece:
            yield piece
        while len(piece) == CHUNK and not data and not member.eof:
            piece = member.decompress(b"", CHUNK)
            if piece:
                yield piece
    rest: bytes = member.unused_data
    return rest


def _past_padding(read: Read) -> bytes:
    while data := read(READ):
        data = data.lstrip(b"\0")
        if data:
            return data
    return b""


def _streams(make: Callable[[], Any], read: Read, head: bytes) -> Iterator[bytes]:
    """Streams one after the other, with the interface that lzma and bz2 share."""
    data = head
    while data:
        stream = make()
        while not stream.eof:
            if stream.needs_input and not data:
                data = read(READ)
                if not data:
                    raise EOFError
            piece = stream.decompress(data, CHUNK)
            data = b""
            if piece:
                yield piece
        data = stream.unused_data.lstrip(b"\0") or _past_padding(read)


def _xz(read: Read, head: bytes) -> Iterator[bytes]:
    import lzma

    return _streams(lzma.LZMADecompressor, read, head)


def _bzip2(read: Read, head: bytes) -> Iterator[bytes]:
    import bz2

    return _streams(bz2.BZ2Decompressor, read, head)


def _zstd(read: Read, head: bytes) -> Iterator[bytes]:
    zstandard = optional("zstandard")
    if zstandard is not None:
        return _zstandard(zstandard, read, head)
    builtin = optional("compression.zstd")  # Python 3.14
    if builtin is not None:
        return _streams(builtin.ZstdDecompressor, read, head)
    return _by_program(["zstd", "-dcq"], read, head)


def _zstandard(zstandard: Any, read: Read, head: bytes) -> Iterator[bytes]:
    source = _Source(read, head)
    with zstandard.ZstdDecompressor().stream_reader(
        source, read_size=READ, read_across_frames=True
    ) as reader:
        while piece := reader.read(CHUNK):
            yield piece


class _Source:
    """What zstandard reads from."""

    def __init__(self, read: Read, head: bytes) -> None:
        self._read = read
        self._head = head

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._read(size)


def _by_program(argv: list[str], read: Read, head: bytes) -> Iterator[bytes]:
    import subprocess
    import threading

    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        raise HostLacks(
            "this layer is compressed with zstd, which Python cannot read here",
            "run: rcrun doctor",
        ) from None
    failures: list[BaseException] = []
    feeder = threading.Thread(target=_feed, args=(process.stdin, read, head, failures), daemon=True)
    with process:
        feeder.start()
        assert process.stdout is not None
        assert process.stderr is not None
        while piece := process.stdout.read(CHUNK):
            yield piece
        feeder.join()
        said = process.stderr.read().decode("utf-8", "replace").strip()
    if failures:
        raise failures[0]
    if process.returncode != 0:
        raise InvalidInput(f"the {argv[0]} stream is damaged: {said or process.returncode}")


def _feed(pipe: Any, read: Read, head: bytes, failures: list[BaseException]) -> None:
    try:
        with pipe:
            data = head
            while data:
                pipe.write(data)
                data = read(READ)
    except BrokenPipeError:
        pass  # its exit status tells why
    except BaseException as error:
        failures.append(error)


_READERS: dict[str, Callable[[Read, bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "xz": _xz,
    "bzip2": _bzip2,
}
