"""Look into a stack of directories as overlayfs would show it, without mounting anything.

Every component is opened by descriptor and no link is followed by the kernel, so that a path never
leaves the stack; links are read and resolved here, `/` being the stack's root.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LINKS = 40
OPAQUE_NAMES = ("user.overlay.opaque", "trusted.overlay.opaque")
_PARENT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A fifo or a device must not block us, nor a terminal become ours, before we know what it is.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Found:
    """What a path means: its true path in the stack, in which directory it lies, its status."""

    __slots__ = ("layer", "path", "status")

    def __init__(self, path: str, layer: int, status: os.stat_result) -> None:
        self.path = path
        self.layer = layer
        self.status = status


def lookup(lowers: Sequence[str], path: str, *, follow: bool = True) -> Found | None:
    """None when there is nothing; `layer` counts from the top."""
    with _Walk(lowers) as walk:
        return walk.find(path, follow=follow)


def read_file(lowers: Sequence[str], path: str, limit: int) -> bytes | None:
    """The first bytes of a regular file; None when there is none, or one that we may not read."""
    with _Walk(lowers) as walk:
        found = walk.find(path, follow=True)
        if found is None or not stat.S_ISREG(found.status.st_mode):
            return None
        return walk.read(found, limit)


def list_dir(lowers: Sequence[str], path: str) -> list[str] | None:
    """The names in a directory, sorted; None when it is none."""
    with _Walk(lowers) as walk:
        found = walk.find(path, follow=True)
        if found is None or not stat.S_ISDIR(found.status.st_mode):
            return None
        return walk.names()


class _Level:
    """One directory of the merged view: the descriptors of the directories that make it, top first."""

    __slots__ = ("fds", "name")

    def __init__(self, name: str, fds: list[tuple[int, int]]) -> None:
        self.name = name
        self.fds = fds  # (layer, descriptor)

    def close(self) -> None:
        for _, fd in self.fds:
            os.close(fd)


class _Walk:
    """A position in the merged view; a context manager."""

    __slots__ = ("_levels", "_lowers", "_name")

    def __init__(self, lowers: Sequence[str]) -> None:
        self._lowers = lowers
        self._levels: list[_Level] = []
        self._name = ""

    def __enter__(self) -> _Walk:
        root = _Level("", [])
        self._levels.append(root)
        for layer, lower in enumerate(self._lowers):
            fd = os.open(lower, _PARENT)
            root.fds.append((layer, fd))
            if layer + 1 < len(self._lowers) and _is_opaque(fd):
                break
        return self

    def __exit__(self, *_: object) -> None:
        self._climb(0)

    def find(self, path: str, *, follow: bool) -> Found | None:
        """Go there; the levels are then those of the directory, or of a file's parent."""
        todo = path.split("/")[::-1]
        links = 0
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                self._climb(max(1, len(self._levels) - 1))
                continue
            hit = self._hit(name)
            if hit is None:
                return None
            layer, fd, status = hit
            last = not any(part not in ("", ".") for part in todo)
            if stat.S_ISLNK(status.st_mode) and (follow or not last or "" in todo):
                links += 1
                if links > MOST_LINKS:
                    return None
                target = os.readlink(name, dir_fd=fd)
                if target.startswith("/"):
                    self._climb(1)
                todo.extend(target.split("/")[::-1])
            elif stat.S_ISDIR(status.st_mode):
                self._descend(name, layer)
            elif last and "" not in todo:
                self._name = name
                return Found(self._path(name), layer, status)
            else:
                return None
        layer, fd = self._levels[-1].fds[0]
        return Found(self._path(), layer, os.fstat(fd))

    def read(self, found: Found, limit: int) -> bytes | None:
        dir_fd = next(fd for layer, fd in self._levels[-1].fds if layer == found.layer)
        try:
            fd = os.open(self._name, _READ, dir_fd=dir_fd)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return None
            raise
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            return _read(fd, limit)
        finally:
            os.close(fd)

    def names(self) -> list[str]:
        seen: set[str] = set()
        shown = []
        for _, path_fd in self._levels[-1].fds:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=path_fd)
            try:
                for name in os.listdir(fd):
                    if name not in seen:
                        seen.add(name)
                        if not is_whiteout(os.stat(name, dir_fd=fd, follow_symlinks=False)):
                            shown.append(name)
            finally:
                os.close(fd)
        return sorted(shown)

    def _hit(self, name: str) -> tuple[int, int, os.stat_result] | None:
        """The topmost thing of that name in the current directory."""
        for layer, fd in self._levels[-1].fds:
            status = _status(name, fd)
            if status is not None:
                return None if is_whiteout(status) else (layer, fd, status)
        return None

    def _descend(self, name: str, first: int) -> None:
        """A directory and those of its name below, down to an opaque one or to something else."""
        level = _Level(name, [])
        above = self._levels[-1].fds
        self._levels.append(level)
        for layer, fd in above:
            if layer < first:
                continue
            status = _status(name, fd)
            if status is None:
                continue
            if not stat.S_ISDIR(status.st_mode):
                return
            below = os.open(name, _PARENT, dir_fd=fd)
            level.fds.append((layer, below))
            if layer != above[-1][0] and _is_opaque(below):
                return

    def _climb(self, depth: int) -> None:
        while len(self._levels) > depth:
            self._levels.pop().close()

    def _path(self, *names: str) -> str:
        return "/" + "/".join([*(level.name for level in self._levels[1:]), *names])


def is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _status(name: str, dir_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        # A directory of another id may be closed to us: then we cannot see what is in it.
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENAMETOOLONG):
            return None
        raise


def _is_opaque(fd: int) -> bool:
    for name in OPAQUE_NAMES:
        try:
            if os.getxattr(f"/proc/self/fd/{fd}", name) == b"y":
                return True
        except OSError:
            pass
    return False


def _read(fd: int, limit: int) -> bytes:
    parts = []
    while limit > 0 and (data := os.read(fd, min(limit, 1 << 16))):
        parts.append(data)
        limit -= len(data)
    return b"".join(parts)
