"""Mounts that are nowhere yet, held by a descriptor: made here for a container that may not make them itself.

For cold code, by ctypes. The kernel wants rights in the user namespace that owns the file system, which a container
in a user namespace of its own does not have (mount_setattr(2), mknod(2)).
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from rcrun.formats.idmap import IdMap

# the same numbers on every architecture; Linux 5.2, the last one 5.12
_OPEN_TREE, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 430, 431, 432, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE, _AT_NOFOLLOW = -100, 0x1000, 0x8000, 0x100
_CLONE, _CLOEXEC, _FS_CLOEXEC, _CREATE = 1, os.O_CLOEXEC, 1, 6
_IDMAP, _NEWUSER = 0x100000, 0x10000000
_SLAVE = 1 << 19
_libc = ctypes.CDLL(None, use_errno=True)


def copy(path: str, *, recursive: bool, nofollow: bool = False) -> int:
    """What `path` shows, as a tree of its own that tells the host nothing of what is mounted in it."""
    flags = _CLONE | _CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    flags |= _AT_NOFOLLOW if nofollow else 0
    tree = _call(path, _OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
    _set(tree, path, recursive=recursive, propagation=_SLAVE)
    return tree


def copy_fd(fd: int) -> int:
    """The same of what a descriptor shows, without what is mounted beneath: no path is needed, nor a procfs."""
    tree = _call("", _OPEN_TREE, fd, b"", _CLONE | _CLOEXEC | _AT_EMPTY_PATH)
    _set(tree, "", recursive=False, propagation=_SLAVE)
    return tree


def map_ids(tree: int, path: str, namespace: int, *, recursive: bool) -> None:
    """Files show the owners that the user namespace gives them."""
    _set(tree, path, recursive=recursive, set_=_IDMAP, namespace=namespace)


def device(kind: int, number: int, mode: int, uid: int, gid: int) -> int:
    """A tree that is one device node, on a file system that nothing else has; `kind` as in st_mode."""
    context = _call("tmpfs", _FSOPEN, b"tmpfs", _FS_CLOEXEC)
    try:
        _call("tmpfs", _FSCONFIG, context, _CREATE, None, None, 0)
        root = _call("tmpfs", _FSMOUNT, context, _FS_CLOEXEC, 0)
    finally:
        os.close(context)
    try:
        os.mknod("node", kind | 0o600, number, dir_fd=root)
        os.chown("node", uid, gid, dir_fd=root)
        os.chmod("node", mode, dir_fd=root)
        return _call("node", _OPEN_TREE, root, b"node", _CLONE | _CLOEXEC)
    finally:
        os.close(root)


def user_namespace(uid_map: IdMap, gid_map: IdMap) -> int:
    """A user namespace that only a descriptor holds."""
    ours, theirs = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(theirs[1])
        _hold_a_namespace(ours[1], theirs[0])
    os.close(ours[1])
    try:
        error = int.from_bytes(os.read(ours[0], 4), "little")
        if error:
            raise OSError(error, os.strerror(error), "user namespace")
        for name, ids in (("uid_map", uid_map), ("gid_map", gid_map)):
            _write(
                f"/proc/{pid}/{name}",
                "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ids),
            )
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (ours[0], *theirs):
            os.close(fd)  # which ends the child
        os.waitpid(pid, 0)


def _hold_a_namespace(told: int, held: int) -> NoReturn:
    error = 0 if _libc.unshare(_NEWUSER) == 0 else ctypes.get_errno()
    os.write(told, error.to_bytes(4, "little"))
    os.read(held, 1)
    os._exit(0)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())  # once: the kernel takes a map in one piece
    finally:
        os.close(fd)


def _set(
    tree: int,
    path: str,
    *,
    recursive: bool,
    set_: int = 0,
    propagation: int = 0,
    namespace: int = 0,
) -> None:
    attributes = (ctypes.c_uint64 * 4)(set_, 0, propagation, namespace)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _call(path, _MOUNT_SETATTR, tree, b"", flags, ctypes.byref(attributes), size)


def _call(path: str, number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), path)
    return result
