"""Things being made in tmp/: locked (flock) while their maker lives, so that leftovers can be told apart."""

from __future__ import annotations

import errno
import fcntl
import os

from rcrun.files import Lock, is_at, unlink_if_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.paths import Store


class Scratch:
    """One locked file or directory `tmp/PREFIX.RANDOM`; afterwards renamed to its place, or dropped."""

    __slots__ = ("fd", "path", "prefix", "tmp_dir")

    def __init__(self, store: Store, prefix: str) -> None:
        self.tmp_dir = store.tmp_dir()
        self.prefix = prefix
        self.path = ""
        self.fd = -1

    def make_file(self, mode: int = 0o644) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._make(lambda path: os.open(path, flags, mode))

    def make_dir(self) -> None:
        self._make(_make_dir)

    def _make(self, make: Callable[[str], int]) -> None:
        while self.fd < 0:
            path = f"{self.tmp_dir}/{self.prefix}.{os.urandom(6).hex()}"
            fd = make(path)
            if fd < 0:
                continue
            _lock(fd)
            if is_at(fd, path):
                self.fd, self.path = fd, path
            else:  # a sweeper found it between its making and its lock
                os.close(fd)

    def move_to(self, path: str) -> None:
        """Rename into place; FileExistsError leaves everything as it is."""
        os.rename(self.path, path)
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def drop(self) -> None:
        """Remove a file that was not moved; a directory is for whoever may remove its content."""
        if self.fd >= 0:
            try:
                os.unlink(self.path)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EISDIR):
                    raise
            finally:
                self.close()


def _make_dir(path: str) -> int:
    os.mkdir(path, 0o755)
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # a sweeper was quicker
        return -1


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        # NFS has no locks on what is not open for writing: a directory goes without, and is never swept.
        if error.errno not in (errno.EBADF, errno.ENOLCK):
            os.close(fd)
            raise


def lock_leftover(path: str) -> int | None:
    """A descriptor that holds the lock of a thing whose maker is gone; None when he lives."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            fd = os.open(path, flags | os.O_RDWR)
        except IsADirectoryError:
            fd = os.open(path, flags | os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO):
            return None
        raise
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EWOULDBLOCK, errno.EBADF, errno.ENOLCK):
            return None
        raise
    if is_at(fd, path):
        return fd
    os.close(fd)
    return None


class NamedLock:
    """An flock on `tmp/NAME.lock`, whose file goes away with its last holder; a context manager."""

    __slots__ = ("_lock",)

    def __init__(self, store: Store, name: str) -> None:
        self._lock = Lock(f"{store.tmp_dir()}/{name}.lock")

    def acquire(self, *, wait: bool = True) -> bool:
        while self._lock.acquire(wait=wait):
            if is_at(self._lock.fd, self._lock.path):
                return True
            self._lock.release()  # the holder before us has removed the file
        return False

    def release(self) -> None:
        if self._lock.fd >= 0:
            unlink_if_there(self._lock.path)
            self._lock.release()

    def held(self) -> NamedLock:
        """For `with`, after acquire()."""
        return self

    def __enter__(self) -> NamedLock:
        if self._lock.fd < 0:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
