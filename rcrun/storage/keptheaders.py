"""A layer's tar without the content of its files, kept when its blob is dropped: with the layer's directory it is that tar again.

Runs in the worker, which may read the files. Behind a first line the stream is a row of records: what stands in the tar
as it is, and then a file of the directory, or a part of one. It is compressed with gzip, which every Python reads.
"""

from __future__ import annotations

import os
import stat
import struct

from rcrun.errors import InvalidInput, RcrunError
from rcrun.files import unlink_if_there, write_all
from rcrun.kernel.syscalls import open_in_root
from rcrun.paths import Store, make_private_dir
from rcrun.storage import layerfiles, recipes, tarheader
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import decompressed
from rcrun.storage.membername import clean
from rcrun.storage.scratch import Scratch
from rcrun.storage.tarheader import TarReader
from rcrun.storage.tarsplit import CHUNK, content, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    Say = Callable[[object], None]

FIRST_LINE = b"rcrun tar headers 1\n"
_RECORD = struct.Struct(
    "<QQQI"
)  # bytes as they are, where in the file, how many of it, length of its name
_MOST_NAME = 1 << 16
_OTHER = "its files do not make that tar again"
_LEVEL = 6


class Extent:
    """A stretch of the tar that is a stretch of a file."""

    __slots__ = ("at", "name", "offset", "size")

    def __init__(self, at: int, name: bytes, offset: int, size: int) -> None:
        self.at = at
        self.name = name
        self.offset = offset
        self.size = size


def extents(blob_fd: int) -> Iterator[Extent]:
    """Of the files that a tar has, in their order."""
    stream = ByteStream(iter(lambda: os.read(blob_fd, CHUNK), b""))
    reader = TarReader(stream)
    while (member := reader.next()) is not None:
        name = clean(member.name, member)
        if member.kind != tarheader.FILE or name.rpartition(b"/")[2].startswith(b".wh."):
            continue
        at = stream.tell()
        for offset, size in member.sparse or (
            [] if member.sparse is not None else [(0, member.size)]
        ):
            if size:
                yield Extent(at, name, offset, size)
            at += size


def write(blob_fd: int, out_fd: int) -> int:
    """The headers of the tar `blob_fd`, whose size is the answer's."""
    import zlib

    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    size = 0

    def put(data: bytes) -> None:
        nonlocal size
        packed = packer.compress(data)
        size += len(packed)
        write_all(out_fd, packed)

    put(FIRST_LINE)
    at, end = 0, os.fstat(blob_fd).st_size
    for each in (*_walked(blob_fd), Extent(end, b"", 0, 0)):
        put(_RECORD.pack(each.at - at, each.offset, each.size, len(each.name)))
        while at < each.at:
            data = os.pread(blob_fd, min(CHUNK, each.at - at), at)
            if not data:
                raise InvalidInput("the blob became shorter")
            put(data)
            at += len(data)
        put(each.name)
        at += each.size
    rest = packer.flush()
    write_all(out_fd, rest)
    return size + len(rest)


def _walked(blob_fd: int) -> list[Extent]:
    """All, since their walk moves the descriptor's position."""
    os.lseek(blob_fd, 0, os.SEEK_SET)
    return list(extents(blob_fd))


def pieces(headers_fd: int, files: _Files) -> Iterator[bytes]:
    """The tar again."""
    stream = ByteStream(decompressed(lambda size: os.read(headers_fd, size)))
    if stream.take(len(FIRST_LINE)) != FIRST_LINE:
        raise InvalidInput("the kept headers are damaged, or of another version of rcrun")
    while True:
        record = stream.take(_RECORD.size)
        if not record:
            return
        plain, offset, size, length = _RECORD.unpack(_whole(record, _RECORD.size))
        while plain:
            data = stream.take(min(plain, CHUNK))
            if not data:
                raise _cut()
            plain -= len(data)
            yield data
        if size:
            name = _whole(stream.take(min(length, _MOST_NAME)), length)
            yield from content(files.open(name, offset), name, size)


class _Files:
    """The regular files of a layer, and nothing else: to open a device may do something. A context manager."""

    __slots__ = ("_parent_fd", "_parent_name", "_root_fd")

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._parent_fd = -1
        self._parent_name = b""

    def open(self, name: bytes, offset: int) -> int:
        """As the layer was unpacked: the links above a file are followed, within the layer."""
        parent, _, base = name.rpartition(b"/")
        if self._parent_fd < 0 or parent != self._parent_name:
            self.__exit__()
            self._parent_fd = open_in_root(self._root_fd, parent, os.O_PATH | os.O_DIRECTORY)
            self._parent_name = parent
        status = os.stat(base, dir_fd=self._parent_fd, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput(f'"{tarheader.shown(name)}" is no file')
        fd = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._parent_fd)
        if offset:
            os.lseek(fd, offset, os.SEEK_SET)
        return fd

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        if self._parent_fd >= 0:
            os.close(self._parent_fd)
            self._parent_fd = -1


def _whole(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise _cut()
    return data


def _cut() -> InvalidInput:
    return InvalidInput("the kept headers are cut short")


def assemble(headers_path: str, diff_dir: str, out_fd: int = -1) -> tuple[str, int]:
    """Digest and size of the tar, which is written to the descriptor, if there is one."""
    headers_fd = os.open(headers_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        root_fd = os.open(diff_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _Files(root_fd) as files:
                return written(pieces(headers_fd, files), out_fd)
        finally:
            os.close(root_fd)
    finally:
        os.close(headers_fd)


# ---- in the worker


def tell(words: Sequence[str], say: Say) -> None:
    """HEADERS DIFF: the tar to the file 0."""
    digest, size = assemble(words[0], words[1], 0)
    say({"digest": digest, "size": size})


def check(words: Sequence[str], say: Say) -> None:
    """STORE KIND (HEX CHAIN)…: tell of those that are not their tar again."""
    store, kind = Store(words[0], ""), words[1]
    for digits, chain in zip(words[2::2], words[3::2], strict=True):
        try:
            diff_dir = f"{store.layer_dir(kind, chain)}/diff"
            found = assemble(recipes.headers_path(store, digits), diff_dir)[0]
            fault = (
                "" if found == f"sha256:{digits}" else "its files are not those that it was made of"
            )
        except (RcrunError, OSError) as error:
            fault = _reason(error)
        if fault:
            say({"chain": chain, "fault": f"{fault}, and its blob was dropped"})


def prepare(job: Mapping[str, Any], say: Say) -> None:
    """{"store", "kind", "layers": [[hex of the blob, chain, whether it is a tar of its own]…]}: what dropping them takes.

    Of tars the headers, which with the layer's directory were that tar again just now. All of it is on the disk then, so
    the layers are not doubted after a crash.
    """
    store, kind = Store(job["store"], ""), job["kind"]
    make_private_dir(recipes.folder(store))
    ready = []
    for digits, chain, is_tar in job["layers"]:
        layer_dir = store.layer_dir(kind, chain)
        reason, stays = _unready(layer_dir), False
        if is_tar and not reason:
            reason = _keep(store, digits, layer_dir)
            stays = reason == _OTHER
        if reason:
            say({"blob": digits, "reason": reason, "stays": stays})
        else:
            ready.append((digits, layer_dir))
    _sync(store)
    for digits, layer_dir in ready:
        reason = _unready(layer_dir)
        if not reason:
            unlink_if_there(f"{layer_dir}/pending")
        say({"blob": digits, "reason": reason})


def _unready(layer_dir: str) -> str:
    note = layerfiles.read_pending(layer_dir)
    if note is None:
        return ""
    if note["implied"]:
        return "its layer was never used"
    if layerfiles.is_doubtful(note):
        return "the host crashed while its layer was new"
    is_ours = (
        note["boot"] == layerfiles.boot()
    )  # what another host has not written yet, no sync here writes
    return (
        "" if is_ours or layerfiles.is_settled(layer_dir) else "another host is unpacking its layer"
    )


def _keep(store: Store, digits: str, layer_dir: str) -> str:
    """Empty, or why the tar cannot be made again."""
    scratch = Scratch(store, "headers")
    try:
        blob_fd = os.open(store.blob_path(f"sha256:{digits}"), os.O_RDONLY | os.O_CLOEXEC)
        try:
            scratch.make_file(0o644)
            write(blob_fd, scratch.fd)
        finally:
            os.close(blob_fd)
        os.fdatasync(scratch.fd)
        found = assemble(scratch.path, f"{layer_dir}/diff")[0]
        if found != f"sha256:{digits}":
            return _OTHER
        scratch.move_to(recipes.headers_path(store, digits))
    except (RcrunError, OSError) as error:
        return _reason(error)
    finally:
        scratch.drop()
    return ""


def _reason(error: RcrunError | OSError) -> str:
    if isinstance(error, RcrunError):
        return error.message
    return f'"{os.fsdecode(error.filename or "")}": {(error.strerror or str(error)).lower()}'


def _sync(store: Store) -> None:
    from rcrun.kernel.syscalls import syncfs

    fd = os.open(store.root_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)
