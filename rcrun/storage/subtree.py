"""Parts of a volume as mounts: a container may be changing the volume, so the kernel resolves the path, beneath it.

A volume is one of ours, or a directory of the host.
"""

from __future__ import annotations

import _socket
import os
import struct

from rcrun.errors import InvalidInput, NotFound, RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.kernel.identity import Identity
    from rcrun.kernel.shim import Plan

MOST = 100  # descriptors in a message; the kernel takes 253
_NUMBER = struct.Struct("i")


def open_parts(
    identity: Identity, root: str, paths: Sequence[str], *, steps: Plan = ()
) -> list[int]:
    """A descriptor for each path: a mount that is nowhere yet; the caller closes them. `steps` make the root."""
    if len(paths) > MOST:
        raise InvalidInput(f'more than {MOST} parts of the volume "{root}" are mounted')
    return _asked(identity, ["subtree", root, *paths], steps)


def open_paths(identity: Identity, paths: Sequence[str]) -> list[int]:
    """The same of paths of the host, which whoever mounts them may have no right to look at."""
    if len(paths) > MOST:
        raise InvalidInput(f"more than {MOST} directories and files are mounted")
    return _asked(identity, ["trees", *paths])


def _asked(identity: Identity, words: Sequence[str], steps: Plan = ()) -> list[int]:
    from rcrun.storage.work import Workers

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        with Workers(identity, mount=True) as workers:
            workers.start(words, stdin_fd=theirs.fileno(), steps=steps)
            theirs.close()
            for _ in workers.events():
                pass
        return _receive(ours)
    finally:
        ours.close()
        theirs.close()


def _receive(connection: _socket.socket) -> list[int]:
    room = _socket.CMSG_SPACE(MOST * _NUMBER.size)
    _, messages, _, _ = connection.recvmsg(1, room, _socket.MSG_CMSG_CLOEXEC)
    found = [
        number
        for level, kind, data in messages
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for (number,) in _NUMBER.iter_unpack(data)
    ]
    if not found:
        raise RcrunError("the worker of the store sent no mount")
    return found


def send(socket_fd: int, root: str, paths: Sequence[str]) -> None:
    """The worker's part, as root of our ids and in a mount namespace of its own."""
    from rcrun.kernel import trees

    try:
        root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise InvalidInput(f'cannot mount a part of "{root}": {reason}') from error
    what = "the volume" if os.path.basename(root) == "_data" else f'"{root}"'
    made = [_part(root_fd, path, what) for path in paths]
    _send(socket_fd, [trees.copy(f"/proc/self/fd/{fd}", recursive=True) for fd in made])


def send_paths(socket_fd: int, paths: Sequence[str]) -> None:
    from rcrun.kernel import trees

    _send(socket_fd, [trees.copy(path, recursive=True) for path in paths])


def _send(socket_fd: int, copies: Sequence[int]) -> None:
    data = b"".join([_NUMBER.pack(fd) for fd in copies])
    connection = _socket.socket(fileno=socket_fd)
    connection.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, data)])


def _part(root_fd: int, path: str, what: str) -> int:
    from rcrun.kernel.syscalls import open_in_root

    try:
        return open_in_root(root_fd, os.fsencode(path), os.O_PATH)
    except FileNotFoundError:
        raise NotFound(
            f'{what} has no "{path}": no such file or directory', f"make it in {what} first"
        ) from None
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise InvalidInput(f'cannot mount "{path}" of {what}: {reason}') from error
