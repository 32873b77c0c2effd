"""System calls that Python does not have, by ctypes; only for cold code, since ctypes costs milliseconds."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 40  # path_resolution(7)

_SYS_OPENAT2 = 437  # the same number on every architecture; Linux 5.6
_AT_EMPTY_PATH, _STATX_BTIME = 0x1000, 0x800
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_HOW_SIZE = ctypes.sizeof(_OpenHow)


def openat2(dir_fd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    how = _OpenHow(flags, mode, resolve)
    while True:
        fd: int = _libc.syscall(_SYS_OPENAT2, dir_fd, path, ctypes.byref(how), _HOW_SIZE)
        if fd >= 0:
            return fd
        error = ctypes.get_errno()
        # EAGAIN: a rename or mount elsewhere made the kernel unsure about `..` (openat2(2)).
        if error not in (errno.EINTR, errno.EAGAIN):
            raise OSError(error, os.strerror(error), os.fsdecode(path))


def open_in_root(root_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open a path as a process whose root is that directory would; no link leads out of it."""
    return _open_in_root(root_fd, path or b".", flags | os.O_CLOEXEC, mode)


def open_beneath(dir_fd: int, path: bytes, flags: int) -> int:
    """Open what is beneath a directory, where no component of the path is a link: ELOOP or ENOTDIR else."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if _open_in_root is _by_kernel:
        return openat2(dir_fd, path or b".", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    return _beneath_by_steps(dir_fd, path, flags)


def _beneath_by_steps(dir_fd: int, path: bytes, flags: int) -> int:
    *above, base = [part for part in path.split(b"/") if part not in (b"", b".")] or [b"."]
    if b".." in (*above, base):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
    fd = os.open(".", _STEP, dir_fd=dir_fd)
    try:
        for name in above:
            below = os.open(name, _STEP, dir_fd=fd)
            os.close(fd)
            fd = below
        return os.open(base, flags, dir_fd=fd)
    finally:
        os.close(fd)


def birth_of(fd: int) -> int:
    """When the inode was made, in nanoseconds since the epoch; 0 where the file system does not know."""
    look = ctypes.create_string_buffer(256)  # struct statx
    if _libc.statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, look) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    seconds, nanoseconds = struct.unpack_from("qI", look.raw, 80)
    return int(seconds * 1_000_000_000 + nanoseconds)


def syncfs(fd: int) -> None:
    if _libc.syncfs(fd) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _by_kernel(root_fd: int, path: bytes, flags: int, mode: int) -> int:
    return openat2(root_fd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def _by_steps(root_fd: int, path: bytes, flags: int, mode: int) -> int:
    """The same without openat2: one component after the other, none of them followed by the kernel."""
    stack = [os.open(".", _STEP, dir_fd=root_fd)]
    try:
        name = _walk(stack, path, nofollow=bool(flags & os.O_NOFOLLOW))
        if name:
            return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=stack[-1])
        return os.open(".", flags & ~os.O_NOFOLLOW, mode, dir_fd=stack[-1])
    finally:
        _rewind(stack, 0)


def _walk(stack: list[int], path: bytes, *, nofollow: bool) -> bytes:
    """Go to the parent of the last component, which is returned; empty when the path names a directory passed."""
    todo = path.split(b"/")[::-1]
    links = 0
    while todo:
        name = todo.pop()
        if name == b"..":
            _rewind(stack, max(1, len(stack) - 1))
        elif name not in (b"", b"."):
            target = _link_target(name, stack[-1])
            if target is None or (nofollow and not todo):
                if not any(part not in (b"", b".") for part in todo):
                    return name
                stack.append(os.open(name, _STEP, dir_fd=stack[-1]))
                continue
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
            if target.startswith(b"/"):
                _rewind(stack, 1)
            todo.extend(target.split(b"/")[::-1])
    return b""


def _rewind(stack: list[int], depth: int) -> None:
    while len(stack) > depth:
        os.close(stack.pop())


def _link_target(name: bytes, dir_fd: int) -> bytes | None:
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _choose() -> Callable[[int, bytes, int, int], int]:
    try:
        os.close(openat2(-100, b"/", os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS))
    except OSError:  # before Linux 5.6, or a seccomp filter that does not know it
        return _by_steps
    return _by_kernel


_open_in_root = _choose()
