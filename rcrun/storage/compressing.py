"""A layer's tar, compressed for its way to others: by several threads, and the same bytes however many they are.

The gzip stream is one member of deflate blocks of a fixed size, each ended by a sync flush and compressed with
the 32 KiB before it as its dictionary (zlib manual, deflateSetDictionary), so that they can be made side by side.
"""

from __future__ import annotations

import os
import struct
import zlib

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import image as documents
from rcrun.storage.blobs import BlobWriter
from rcrun.storage.compression import optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.lease import Lease

BLOCK = 1 << 20
WINDOW = 1 << 15
# No name, no time; the system is "unknown" whatever it is (RFC 1952).
HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
DEFAULT_LEVELS = {"gzip": 6, "zstd": 3}
_HIGHEST = {"gzip": 9, "zstd": 22}
_MEDIA_TYPES = {"gzip": documents.LAYER_GZIP, "zstd": documents.LAYER_ZSTD}


def check_level(form: str, level: int | None) -> int:
    highest = _HIGHEST[form]
    if level is None:
        return DEFAULT_LEVELS[form]
    if not 1 <= level <= highest:
        raise InvalidInput(f"invalid compression level {level}: of {form} it is 1 to {highest}")
    return level


def compress_blob(
    store: Store,
    pieces: Iterator[bytes],
    lease: Lease,
    *,
    form: str = "gzip",
    level: int | None = None,
) -> Descriptor:
    """A new blob with these bytes compressed; its media type is OCI's."""
    number = check_level(form, level)
    stream = gzip_stream(pieces, number) if form == "gzip" else _zstd_stream(pieces, number)
    with BlobWriter(store, lease=lease) as writer:
        for data in stream:
            writer.write(data)
        return writer.commit(_MEDIA_TYPES[form])


def gzip_stream(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    count = len(os.sched_getaffinity(0))
    checksum, size, before = 0, 0, b""
    yield HEADER
    with ThreadPoolExecutor(count) as pool:
        running: deque[Callable[[], bytes]] = deque()
        for block in _blocks(pieces):
            checksum = zlib.crc32(block, checksum)
            size += len(block)
            running.append(pool.submit(_deflate, block, before, level).result)
            before = block[-WINDOW:]
            if len(running) > 2 * count:
                yield running.popleft()()
        while running:
            yield running.popleft()()
    yield zlib.compressobj(level, zlib.DEFLATED, -15).flush()
    yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _deflate(block: bytes, before: bytes, level: int) -> bytes:
    made = zlib.compressobj(level, zlib.DEFLATED, -15, zdict=before)
    return made.compress(block) + made.flush(zlib.Z_SYNC_FLUSH)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size, the last one shorter."""
    rest = bytearray()
    for piece in pieces:
        rest += piece
        while len(rest) >= BLOCK:
            yield bytes(rest[:BLOCK])
            del rest[:BLOCK]
    if rest:
        yield bytes(rest)


def _zstd_stream(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    zstandard = optional("zstandard")
    if zstandard is None:
        raise HostLacks("Python cannot write zstd here", "run: rcrun doctor; or use gzip")
    made = zstandard.ZstdCompressor(level=level, threads=-1).compressobj()
    for piece in pieces:
        yield made.compress(piece)
    yield made.flush()
