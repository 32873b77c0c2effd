"""Containers that say themselves when they have started (`io.containers.sdnotify: container`): a socket for each, as long as the play waits."""

from __future__ import annotations

import _socket
import os
import select

from rcrun.errors import NotFound, RcrunError
from rcrun.files import unlink_if_there
from rcrun.kernel.process import open_pidfd
from rcrun.paths import make_private_dir
from rcrun.storage import containers
from rcrun.storage.claims import ContainerLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

LONGEST_MESSAGE = 4096


class Readiness:
    """A context manager around the start; a container's record names its socket meanwhile."""

    __slots__ = ("_container", "_path", "_socket")

    def __init__(self, context: Context, container: Container) -> None:
        self._container = container
        self._path = f"{context.store.live_dir}/ready-{os.urandom(6).hex()}"
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)

    def __enter__(self) -> Readiness:
        make_private_dir(os.path.dirname(self._path))
        self._socket.bind(self._path)
        self._note(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        unlink_if_there(self._path)
        try:
            self._note("")
        except NotFound:
            pass  # the play has failed, or it was a short one

    def _note(self, path: str) -> None:
        with ContainerLock(self._container):
            if path:
                self._container.record["notify_socket"] = path
            else:
                self._container.record.pop("notify_socket", None)
            self._container.save()

    def wait(self) -> None:
        """RcrunError when it ended without a word."""
        now = containers.status(self._container)
        pidfd = open_pidfd(now.pid, now.pid_start) if now.is_running else None
        try:
            while not self._is_ready():
                if pidfd is None:
                    raise RcrunError(
                        f'container "{self._container.name}" ended before it was ready'
                    )
                if self._wait_for(pidfd):
                    os.close(pidfd)
                    pidfd = None  # what it has said before its end counts
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def _wait_for(self, pidfd: int) -> bool:
        """Until something is said, or it has ended: whether it has."""
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        return pidfd in [fd for fd, _ in poll.poll()]

    def _is_ready(self) -> bool:
        while True:
            try:
                message = self._socket.recv(LONGEST_MESSAGE, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            if b"READY=1" in message.split(b"\n"):
                return True


def of_pod(context: Context, ids: Iterable[str]) -> list[Readiness]:
    """Of those containers that are to say it."""
    loaded = [containers.load(context.store, each) for each in ids]
    return [
        Readiness(context, each)
        for each in loaded
        if each is not None and each.record.get("notify") == "container"
    ]
