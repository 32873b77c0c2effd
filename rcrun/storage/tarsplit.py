"""A layer of podman's store as the tar that it was: the pieces that tar-split kept, and the files of its directory.

Runs in the worker, where we may read the files; the caller compares the digest with the one that the image names.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.files import parse_json, write_all
from rcrun.kernel.syscalls import open_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

FILE = 1
SEGMENT = 2
CHUNK = 1 << 20
LONGEST_LINE = 64 << 20


def assemble(split_path: str, diff_dir: str, out_fd: int) -> tuple[str, int]:
    """The digest and the size of what was written."""
    root_fd = os.open(diff_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return written(_pieces(split_path, root_fd), out_fd)
    finally:
        os.close(root_fd)


def written(pieces: Iterator[bytes], out_fd: int = -1) -> tuple[str, int]:
    """Digest and size of what is written to the descriptor, or of what would be."""
    import hashlib

    content = hashlib.sha256()
    size = 0
    for data in pieces:
        content.update(data)
        size += len(data)
        if out_fd >= 0:
            write_all(out_fd, data)
    return f"sha256:{content.hexdigest()}", size


def _pieces(split_path: str, root_fd: int) -> Iterator[bytes]:
    import binascii
    import gzip

    with gzip.open(split_path, "rb") as lines:
        while line := lines.readline(LONGEST_LINE):
            entry = _entry(line, split_path)
            if entry["type"] == SEGMENT:
                yield binascii.a2b_base64(entry.get("payload") or "")
            elif entry["type"] == FILE and entry.get("size"):
                yield from _file(root_fd, _name(entry), int(entry["size"]))


def _entry(line: bytes, path: str) -> dict[str, Any]:
    try:
        entry = parse_json(line)
        if isinstance(entry, dict) and entry.get("type") in (FILE, SEGMENT):
            return entry
    except ValueError:
        pass
    raise InvalidInput(f'"{path}" is not what tar-split writes')


def _name(entry: dict[str, Any]) -> bytes:
    import binascii

    raw = entry.get("name_raw")
    return binascii.a2b_base64(raw) if raw else os.fsencode(str(entry.get("name", "")))


def _file(root_fd: int, name: bytes, size: int) -> Iterator[bytes]:
    yield from content(
        open_beneath(root_fd, name.lstrip(b"/"), os.O_RDONLY | os.O_NONBLOCK), name, size
    )


def content(fd: int, name: bytes, size: int) -> Iterator[bytes]:
    """So many bytes of an open file, which is closed then."""
    try:
        left = size
        while left and (data := os.read(fd, min(left, CHUNK))):
            left -= len(data)
            yield data
    finally:
        os.close(fd)
    if left:
        raise InvalidInput(f'"{os.fsdecode(name)}" of the layer is shorter than it was')


def tell(words: Sequence[str], say: Callable[[object], None]) -> None:
    """SPLIT DIR: to the file 0."""
    digest, size = assemble(words[0], words[1], 0)
    say({"digest": digest, "size": size})
