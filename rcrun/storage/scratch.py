"""Things being made in tmp/: locked (flock) while their maker lives, so that leftovers can be told apart."""

from __future__ import annotations

import errno
import fcntl
import os

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


def is_at(fd: int, path: str) -> bool:
    """Whether the descriptor is still the thing at the path."""
    ours = os.fstat(fd)
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


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

    __slots__ = ("fd", "path")

    def __init__(self, store: Store, name: str) -> None:
        self.path = f"{store.tmp_dir()}/{name}.lock"
        self.fd = -1

    def acquire(self, *, wait: bool = True) -> bool:
        kind = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, kind)
            except OSError as error:
                os.close(fd)
                if error.errno == errno.EWOULDBLOCK:
                    return False
                raise
            if is_at(fd, self.path):
                self.fd = fd
                return True
            os.close(fd)  # the holder before us has removed the file

    def release(self) -> None:
        if self.fd >= 0:
            os.unlink(self.path)
            os.close(self.fd)
            self.fd = -1

    def held(self) -> NamedLock:
        """For `with`, after acquire()."""
        return self

    def __enter__(self) -> NamedLock:
        if self.fd < 0:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
