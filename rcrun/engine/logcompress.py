"""Rotated log files with gzip: made by the hidden command `__compress` after a rotation, and read again."""

from __future__ import annotations

import fcntl
import os
import zlib

from rcrun.files import is_at, unlink_if_there, write_all

GZIP = 16 + zlib.MAX_WBITS
MOST_FILES = 1000
_PIECE = 1 << 20


def compress(path: str) -> None:
    """PATH.1, wherever further rotations move it meanwhile."""
    try:
        fd = os.open(f"{path}.1", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    aside = f"{path}.{os.urandom(6).hex()}~"
    try:
        _write_gzip(fd, aside)
        _put_in_place(path, fd, aside)
    except FileNotFoundError:
        pass  # the container was removed meanwhile
    finally:
        unlink_if_there(aside)
        os.close(fd)


def _write_gzip(fd: int, aside: str) -> None:
    packer = zlib.compressobj(wbits=GZIP)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    out = os.open(aside, flags, 0o600)
    try:
        while piece := os.read(fd, _PIECE):
            write_all(out, packer.compress(piece))
        write_all(out, packer.flush())
    finally:
        os.close(out)


def _put_in_place(path: str, fd: int, aside: str) -> None:
    with _Settled(path):
        _replace(path, os.fstat(fd), aside)


class _Settled:
    """Holds the lock of the current file: the monitor renames none of them meanwhile."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1

    def __enter__(self) -> None:
        while self.fd < 0:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if is_at(fd, self.path):
                self.fd = fd
            else:
                os.close(fd)  # it was rotated while we waited

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _replace(path: str, known: os.stat_result, aside: str) -> None:
    for number in range(1, MOST_FILES + 1):
        name = f"{path}.{number}"
        try:
            if os.path.samestat(os.stat(name), known):
                os.rename(aside, f"{name}.gz")
                os.unlink(name)
                return
        except FileNotFoundError:
            continue  # the oldest has gone, or this one is compressed


def unpacked(path: str) -> int:
    """A descriptor of its content in memory; -1 when the file went away. One that is cut off ends there."""
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return -1
    fd = os.memfd_create("rcrun-log", os.MFD_CLOEXEC)
    unpacker = zlib.decompressobj(wbits=GZIP)
    with file:
        try:
            while piece := file.read(_PIECE):
                write_all(fd, unpacker.decompress(piece))
        except zlib.error:
            pass
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
