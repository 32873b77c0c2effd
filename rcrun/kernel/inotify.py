"""Waiting for changes in directories (inotify(7)), by ctypes: for cold code alone."""

from __future__ import annotations

import ctypes
import os
import select

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
CHANGES = IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE
_BUFFER = 1 << 16


class Watch:
    """Of the entries of a directory; a context manager. Begin it, then look, then wait: so nothing is missed."""

    __slots__ = ("fd",)

    def __init__(self, path: str, mask: int = CHANGES) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(path), mask) < 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, os.strerror(number), path)

    def wait(self, seconds: float | None, *others: int) -> bool:
        """For a change, or for one of the other descriptors; False when the time is up."""
        poll = select.poll()
        for fd in (self.fd, *others):
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(None if seconds is None else max(0, seconds * 1000))]
        if self.fd in ready:
            try:
                os.read(self.fd, _BUFFER)
            except BlockingIOError:
                pass
        return bool(ready)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
