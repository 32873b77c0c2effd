"""Waiting for changes in directories (inotify(7)), by ctypes: for cold code alone."""

from __future__ import annotations

import ctypes
import errno
import os
import select

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
CHANGES = IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE
_BUFFER = 1 << 16
# An editor or two may have all that a user gets (fs.inotify.max_user_instances): then we look so often.
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOSPC)
_SECONDS_BETWEEN_LOOKS = 0.1


class Watch:
    """Of the entries of a directory; a context manager. Begin it, then look, then wait: so nothing is missed."""

    __slots__ = ("fd",)

    def __init__(self, path: str, mask: int = CHANGES) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(path), mask) < 0:
            number = ctypes.get_errno()
            self.close()
            if number in _USED_UP:
                return
            raise OSError(number, os.strerror(number), path)

    def wait(self, seconds: float | None, *others: int) -> bool:
        """For a change, or for one of the other descriptors; False when the time is up. Nothing may have changed."""
        if self.fd < 0:
            return _look_again(seconds, others)
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


def _look_again(seconds: float | None, others: tuple[int, ...]) -> bool:
    poll = select.poll()
    for fd in others:
        poll.register(fd, select.POLLIN)
    is_last = seconds is not None and seconds <= _SECONDS_BETWEEN_LOOKS
    pause = max(0, seconds or 0) if is_last else _SECONDS_BETWEEN_LOOKS
    return bool(poll.poll(pause * 1000)) or not is_last
