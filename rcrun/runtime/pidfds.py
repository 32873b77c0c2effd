"""`--pidfd-socket`: the caller gets a descriptor of the process, which no later process can take the number of."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, InvalidInput


def send(path: str, pid: int) -> None:
    """Connect to the Unix socket at `path` and pass the pidfd."""
    import socket

    fd = os.pidfd_open(pid)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            socket.send_fds(connection, [b"pidfd"], [fd])
    except OSError as error:
        raise HostLacks(
            f'cannot send a pidfd to "{path}": {error.strerror}', "is the caller listening there?"
        ) from error
    finally:
        os.close(fd)


def send_from_file(path: str, pid_file: str) -> None:
    if not pid_file:
        raise InvalidInput("exec --pidfd-socket needs --pid-file")
    with open(pid_file, encoding="ascii") as file:
        send(path, int(file.read()))
