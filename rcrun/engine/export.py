"""export: a container's root as one tar, without what is mounted in it."""

from __future__ import annotations

import os

from rcrun.engine.diff import changes_job
from rcrun.engine.eventlog import container_event
from rcrun.engine.rootfs import Layers
from rcrun.engine.work import worker_events
from rcrun.errors import RcrunError
from rcrun.files import dump_json
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
        for _ in worker_events(context, ["export", dump_json(job)], steps=steps, stream_fd=out_fd):
            pass
    container_event(container, "export")


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
