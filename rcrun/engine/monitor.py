"""Talking with a container's monitor: its attach socket (docs/plan.md), and the wait for the end."""

from __future__ import annotations

import _signal
import _socket
import os
import select
import time

from rcrun.kernel.process import open_pidfd
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container, Status

LARGEST_PACKET = 65_536 + 1
SECONDS_OF_MONITOR = 20


def connect(path: str) -> _socket.socket | None:
    """To a socket whose path may be of any length; None when nobody listens there."""
    folder, _, name = path.rpartition("/")
    try:
        folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder_fd}/{name}")
    except OSError:
        connection.close()
        return None
    finally:
        os.close(folder_fd)
    return connection


class Ending:
    """The wait for a running container's end: its monitor tells, else the kernel does; a context manager.

    The monitor says `X` after the exit file and the removal of a --rm container, so who waited sees both.
    """

    __slots__ = ("connection", "container", "exit_code", "pidfds")

    def __init__(self, container: Container, running: Status) -> None:
        self.container = container
        self.exit_code: int | None = None
        self.connection = connect(container.live_path("attach.sock"))
        if self.connection is not None:
            try:
                self.connection.send(b"H\0")
            except OSError:
                self._hang_up()
        self.pidfds = [
            fd
            for fd in (
                open_pidfd(running.pid, running.pid_start) if running.pid else None,
                open_pidfd(running.monitor, running.monitor_start) if running.monitor else None,
            )
            if fd is not None
        ]

    def wait(self, seconds: float | None) -> bool:
        """True once it ended; False when the time is up."""
        until = None if seconds is None else time.monotonic() + seconds
        while self.connection is not None or self.pidfds:
            if not self._poll(until):
                return False
        return True

    def _poll(self, until: float | None) -> bool:
        poll = select.poll()
        if self.connection is not None:
            poll.register(self.connection.fileno(), select.POLLIN)
        else:
            poll.register(self.pidfds[0], select.POLLIN)
        rest = None if until is None else max(0, (until - time.monotonic()) * 1000)
        if not poll.poll(rest):
            return False
        if self.connection is not None:
            self._read_packet(self.connection)
        else:
            os.close(self.pidfds.pop(0))
        return True

    def _read_packet(self, connection: _socket.socket) -> None:
        try:
            packet = connection.recv(LARGEST_PACKET)
        except OSError:
            packet = b""
        if not packet:
            self._hang_up()  # the monitor was killed: the processes tell
        elif packet[:1] == b"X":
            self.exit_code = int.from_bytes(packet[1:5], "little")
            self._hang_up()
            self._close_pidfds()

    def _hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _close_pidfds(self) -> None:
        while self.pidfds:
            os.close(self.pidfds.pop())

    def __enter__(self) -> Ending:
        return self

    def __exit__(self, *error: object) -> None:
        self._hang_up()
        self._close_pidfds()


def wait_for_monitor(running: Status) -> None:
    """Until it is gone: once a service's stop command has ended, systemd kills a main process that is about to end itself."""
    fd = open_pidfd(running.monitor, running.monitor_start) if running.monitor else None
    if fd is None:
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(SECONDS_OF_MONITOR * 1000)
    finally:
        os.close(fd)


def wait_for_end(container: Container) -> int:
    """The exit code of the run that goes on now, or of the last one; 0 if it never ran."""
    now = status(container)
    if now.word == "restarting":
        from rcrun.engine.conditions import next_run

        now = next_run(container, now)
    if not now.is_running:
        return now.exit_code
    with Ending(container, now) as ending:
        ending.wait(None)
    if ending.exit_code is not None:
        return ending.exit_code  # the files of a --rm container are gone by now
    return status(container).exit_code


def send_signal(running: Status, signal: int) -> bool:
    """To the container's init; False when it is gone."""
    fd = open_pidfd(running.pid, running.pid_start)
    if fd is None:
        return False
    try:
        _signal.pidfd_send_signal(fd, signal)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True
