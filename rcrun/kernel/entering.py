"""A look from within another process's mount namespace, by a child that shows itself to nobody there. Cold."""

from __future__ import annotations

import _socket
import ctypes
import os
import struct

from rcrun.kernel import trees
from rcrun.kernel.process import is_alive
from rcrun.kernel.syscalls import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_NEWNS, _NEWUSER = 0x20000, 0x10000000
_SET_DUMPABLE = 4
_NUMBER = struct.Struct("i")
_libc = ctypes.CDLL(None, use_errno=True)


def tree_of(pid: int, start: int, path: bytes) -> int:
    """What `path` shows within the root of that process, as a mount that is nowhere yet; no link leads out of it."""
    pidfd = os.pidfd_open(pid)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        if not is_alive(pid, start):
            raise ProcessLookupError(3, "no such process")
        child = os.fork()
        if child == 0:
            _enter(pidfd, pid, path, theirs)
        theirs.close()
        answer, messages, _, _ = ours.recvmsg(
            4, _socket.CMSG_SPACE(_NUMBER.size), _socket.MSG_CMSG_CLOEXEC
        )
        os.waitpid(child, 0)
    finally:
        os.close(pidfd)
        ours.close()
        theirs.close()
    if not messages:
        number = int.from_bytes(answer, "little") or 5
        raise OSError(number, os.strerror(number))
    found: int = _NUMBER.unpack(messages[0][2])[0]
    return found


def id_maps(namespace: int) -> list[str]:
    """The texts of uid_map and gid_map of a user namespace that we own; nothing where that cannot be told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _call("prctl", _SET_DUMPABLE, 0, 0, 0, 0)
            _call("setns", namespace, _NEWUSER)
            for which in ("uid", "gid"):
                with open(f"/proc/self/{which}_map", "rb") as file:
                    os.write(writer, file.read() + b"\0")
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        texts = pipe.read().decode().split("\0")[:-1]
    os.waitpid(child, 0)
    return texts if len(texts) == 2 else []


def _enter(pidfd: int, pid: int, path: bytes, connection: _socket.socket) -> NoReturn:
    """Who is in a namespace of the container's could be traced by its root, unless it is not dumpable."""
    error = 0
    try:
        _call("prctl", _SET_DUMPABLE, 0, 0, 0, 0)
        theirs = os.stat(f"/proc/{pid}/ns/user").st_ino
        is_other = theirs != os.stat("/proc/self/ns/user").st_ino
        _call("setns", pidfd, _NEWNS | (_NEWUSER if is_other else 0))
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        place = open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
        tree = trees.copy_fd(place)
        connection.sendmsg(
            [b"\0\0\0\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _NUMBER.pack(tree))]
        )
    except OSError as failed:
        error = failed.errno or 5
    except BaseException:
        error = 5
    if error:
        connection.send(error.to_bytes(4, "little"))
    os._exit(0)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
