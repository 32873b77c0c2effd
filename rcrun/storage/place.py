"""Where a path leads: on the host as the kernel says, in a container as if its root were `/`, whatever links lie there."""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import InvalidInput
from rcrun.kernel.syscalls import MOST_LINKS, open_in_root

_DIR = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Place:
    """A root to look paths up in; without one, the host as this process sees it."""

    __slots__ = ("_root_fd", "label")

    def __init__(self, root_fd: int | None, label: str = "") -> None:
        self._root_fd = root_fd
        self.label = label

    def open(self, path: bytes, flags: int) -> int:
        if self._root_fd is None:
            return os.open(path, flags | os.O_CLOEXEC)
        return open_in_root(self._root_fd, path, flags)

    def settle(self, path: bytes, *, follow: bool) -> Spot:
        """The last directory on the way and the name in it; FileNotFoundError when there is no such directory.

        A link at the end that leads nowhere is followed, too: what it names can be made.
        """
        for _ in range(MOST_LINKS):
            above, base = os.path.split(path.rstrip(b"/"))
            if base in (b"", b".", b".."):
                return Spot(self.open(path or b".", _DIR), b".")
            spot = Spot(self.open(above or (b"/" if path.startswith(b"/") else b"."), _DIR), base)
            if not (follow and spot.is_link()):
                return spot
            path = spot.after_link(above) or path
            spot.close()
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))

    def text(self, path: bytes) -> str:
        return f"{self.label}{path.decode('utf-8', 'backslashreplace')}"


class Spot:
    """A name in a directory that is held open, whether something has that name or not."""

    __slots__ = ("base", "dir_fd")

    def __init__(self, dir_fd: int, base: bytes) -> None:
        self.dir_fd = dir_fd
        self.base = base

    def look(self) -> os.stat_result | None:
        try:
            return os.stat(self.base, dir_fd=self.dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_link(self) -> bool:
        look = self.look()
        return look is not None and stat.S_ISLNK(look.st_mode)

    def after_link(self, above: bytes) -> bytes | None:
        """Where the link leads; None when it is none any more."""
        try:
            return os.path.join(above, os.readlink(self.base, dir_fd=self.dir_fd))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def close(self) -> None:
        os.close(self.dir_fd)


def asks_directory(path: bytes) -> bool:
    """Whether it is written as a directory: docker follows a link at the end then, and takes nothing else."""
    return path.endswith(b"/") or os.path.basename(path) in (b".", b"..", b"")


def require_directory(place: Place, path: bytes, look: os.stat_result | None) -> None:
    if look is not None and not stat.S_ISDIR(look.st_mode) and asks_directory(path):
        raise InvalidInput(f'"{place.text(path)}" is not a directory')
