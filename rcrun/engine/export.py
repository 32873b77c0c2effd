"""export: a container's root as one tar, without what is mounted in it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from rcrun.engine.diff import changes_job, worker_events
from rcrun.engine.eventlog import container_event
from rcrun.engine.rootfs import Layers
from rcrun.errors import RcrunError
from rcrun.files import PIPE_SIZE, dump_json, wide_pipe, write_all
from rcrun.storage.stillthere import StillThere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


def export(context: Context, container: Container, out_fd: int) -> None:
    """It may run meanwhile, and change while it is read."""
    with StillThere(container):
        steps, path = Layers(container).merged(context, container)
        job = {**changes_job(context, container), "root": path}
        with _Spliced(out_fd) as spliced:
            words = ["export", dump_json(job)]
            for _ in worker_events(
                context, words, steps=steps, stream_fd=spliced.worker_fd, started=spliced.take
            ):
                pass
    container_event(container, "export")


class _Spliced:
    """Between the worker and a file: its pages reach us by a pipe, and while it reads the next ones we have them copied.

    What is no plain file, or is appended to, the worker writes itself.
    """

    __slots__ = ("_out_fd", "_reader", "worker_fd")

    def __init__(self, out_fd: int) -> None:
        self._out_fd = out_fd
        self._reader = -1
        self.worker_fd = out_fd

    def __enter__(self) -> _Spliced:
        is_plain = stat.S_ISREG(os.fstat(self._out_fd).st_mode)
        if is_plain and not fcntl.fcntl(self._out_fd, fcntl.F_GETFL) & os.O_APPEND:
            self._reader, self.worker_fd = wide_pipe()
        return self

    def take(self) -> None:
        if self._reader < 0:
            return
        os.close(self.worker_fd)
        self.worker_fd = self._out_fd
        try:
            self._move()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RcrunError(f"cannot write the archive: {reason}") from error

    def _move(self) -> None:
        try:
            while os.splice(self._reader, self._out_fd, PIPE_SIZE):
                pass
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            while data := os.read(self._reader, PIPE_SIZE):  # a file system that takes no pages
                write_all(self._out_fd, data)

    def __exit__(self, *_: object) -> None:
        if self._reader >= 0:
            os.close(self._reader)
        if self.worker_fd != self._out_fd:
            os.close(self.worker_fd)


class OutputFile:
    """A new file beside the one that it replaces once it is whole; a context manager."""

    __slots__ = ("_aside", "fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1
        self._aside = ""

    def __enter__(self) -> OutputFile:
        try:
            if os.path.exists(self.path) and not os.path.isfile(self.path):
                self.fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)  # a device or a fifo
                return self
            real = os.path.realpath(self.path)
            self._aside = f"{real}.{os.getpid()}~"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self.fd = os.open(self._aside, flags, 0o666)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise RcrunError(f'cannot write "{self.path}": {reason}') from error
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        os.close(self.fd)
        if self._aside:
            if kind is None:
                os.rename(self._aside, os.path.realpath(self.path))
            else:
                os.unlink(self._aside)
