"""What a container has changed, from its upper directory and what lies below it: nothing else is walked.

Where there is no upper directory (`whole`) the two trees are compared.
"""

from __future__ import annotations

import os
import stat

from rcrun.errors import HostLacks, RcrunError
from rcrun.formats import idmap
from rcrun.storage.layered import is_whiteout
from rcrun.storage.pack import OPEN_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rcrun.formats.idmap import IdMap

ADDED, CHANGED, DELETED = "A", "C", "D"
_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque", "user.fuseoverlayfs.opaque")
_INDIRECT = ("trusted.overlay.redirect", "trusted.overlay.metacopy")
FUSE_WHITEOUT = b".wh."
FUSE_OPAQUE = b".wh..wh..opq"


class Change:
    """One path; `dir_fd` and `base` lead to what it is now, until the next one is asked for.

    `layer` is the lower that has it, too (-1: none); `is_opaque`: nothing below shows through it;
    `is_implied`: deleted because its directory is a new one.
    """

    __slots__ = ("base", "dir_fd", "is_file", "is_implied", "is_opaque", "kind", "layer", "path")

    def __init__(self, kind: str, path: bytes, dir_fd: int, base: bytes, layer: int) -> None:
        self.kind = kind
        self.path = path
        self.dir_fd = dir_fd
        self.base = base
        self.layer = layer
        self.is_file = self.is_opaque = self.is_implied = False


class Below:
    """One directory of the lowers, merged: descriptors, top first, with the numbers of their lowers."""

    __slots__ = ("fds",)

    def __init__(self, fds: Sequence[tuple[int, int]]) -> None:
        self.fds = list(fds)

    def look(self, name: bytes) -> tuple[int, os.stat_result] | None:
        for layer, fd in self.fds:
            status = _status(name, fd)
            if status is not None:
                return None if is_whiteout(status) else (layer, status)
        return None

    def enter(self, name: bytes) -> Below:
        """The directory of that name; an empty one where there is none."""
        found: list[tuple[int, int]] = []
        for layer, fd in self.fds:
            status = _status(name, fd)
            if status is None:
                continue
            if not stat.S_ISDIR(status.st_mode):
                break
            below = os.open(name, OPEN_DIR, dir_fd=fd)
            found.append((layer, below))
            if is_opaque(below):
                break
        return Below(found)

    def names(self) -> set[bytes]:
        found = {os.fsencode(name) for _, fd in self.fds for name in os.listdir(fd)}
        return {name for name in found if self.look(name) is not None}

    def close(self) -> None:
        for _, fd in self.fds:
            os.close(fd)


class _Level:
    __slots__ = ("below", "deleted", "fd", "names", "path", "unsaid")

    def __init__(self, fd: int, path: bytes, below: Below) -> None:
        self.fd = fd
        self.path = path
        self.below = below
        self.names: list[bytes] = []
        self.deleted: set[bytes] = set()
        self.unsaid: Change | None = None  # of the directory itself, which may be nobody's doing


class Changes:
    """`hidden` are the mount points that the engine makes: empty ones do not count, nor what was made for them.

    `ids`: rows from the numbers of the upper to the image's, where they differ.
    """

    def __init__(
        self,
        upper: str,
        lowers: Sequence[str],
        *,
        whole: bool = False,
        fuse: bool = False,
        hidden: Collection[bytes] = (),
        ids: tuple[IdMap, IdMap] | None = None,
    ) -> None:
        self.ids = ids
        self.upper = upper
        self.lowers = lowers
        self.whole = whole
        self.fuse = fuse
        self.hidden = frozenset(hidden)
        self._ways = {
            path[:at] for path in self.hidden for at, byte in enumerate(path) if byte == 0x2F
        }

    def walk(self) -> Iterator[Change]:
        """By path, a directory before what is in it."""
        below = Below([(at, os.open(path, OPEN_DIR)) for at, path in enumerate(self.lowers)])
        levels = [self._level(os.open(self.upper, OPEN_DIR), b"", below)]
        try:
            while levels:
                level = levels[-1]
                if not level.names:
                    _close(levels.pop())
                    continue
                name = level.names.pop()
                change, deeper = self._visit(level, name)
                if change is not None:
                    yield from _said(levels)
                    yield change
                if deeper is not None:
                    levels.append(deeper)
        except OSError as error:
            if error.errno == 24:  # EMFILE
                raise RcrunError("directories are nested too deeply") from error
            raise
        finally:
            for level in levels:
                _close(level)

    def _level(self, fd: int, path: bytes, below: Below) -> _Level:
        level = _Level(fd, path, below)
        names = set(map(os.fsencode, os.listdir(fd)))
        if self.fuse:
            gone = {n for n in names if n.startswith(FUSE_WHITEOUT)}
            names -= gone
            level.deleted = {name[len(FUSE_WHITEOUT) :] for name in gone - {FUSE_OPAQUE}}
        if self.whole:
            level.deleted = below.names() - names
        level.names = sorted(names | level.deleted, reverse=True)
        return level

    def _visit(self, level: _Level, name: bytes) -> tuple[Change | None, _Level | None]:
        path = level.path + b"/" + name if level.path else name
        known = level.below.look(name)
        layer = known[0] if known else -1
        look = None if name in level.deleted else _status(name, level.fd)
        if look is None or is_whiteout(look):
            if known is None:
                return None, None
            change = Change(DELETED, path, level.fd, name, layer)
            change.is_implied = name in level.deleted and not (self.whole or self.fuse)
            return change, None
        if path in self.hidden and known is None and _is_empty(level.fd, name, look):
            return None, None
        change = Change(CHANGED if known else ADDED, path, level.fd, name, layer)
        change.is_file = stat.S_ISREG(look.st_mode)
        if not stat.S_ISDIR(look.st_mode):
            same = (
                self.whole
                and known is not None
                and self._has_same_look(look, known)
                and _is_same(look, known[1], level, name)
            )
            return (None if same else change), None
        return self._directory(level, change, look, known)

    def _directory(
        self,
        level: _Level,
        change: Change,
        look: os.stat_result,
        known: tuple[int, os.stat_result] | None,
    ) -> tuple[Change | None, _Level | None]:
        fd = os.open(change.base, OPEN_DIR, dir_fd=level.fd)
        below = level.below.enter(change.base)
        deeper = self._level(fd, change.path, below)
        if not self.whole and below.fds and (is_opaque(fd) or self._is_fuse_opaque(fd)):
            change.is_opaque = True
            deeper.deleted = below.names() - set(deeper.names)
            deeper.names = sorted({*deeper.names, *deeper.deleted}, reverse=True)
        if known is not None and not stat.S_ISDIR(known[1].st_mode):
            change.is_opaque = not self.whole
        is_same = self._has_same_look(look, known)
        if (self.whole and is_same) or (change.path in self._ways and (known is None or is_same)):
            deeper.unsaid = change
            return None, deeper
        return change, deeper

    def _has_same_look(
        self, look: os.stat_result, known: tuple[int, os.stat_result] | None
    ) -> bool:
        """In the numbers of the image, which a copy may have others for."""
        if known is None:
            return False
        there = known[1]
        uid: int | None = look.st_uid
        gid: int | None = look.st_gid
        if self.ids:
            uid, gid = (
                idmap.to_outside(self.ids[0], uid or 0),
                idmap.to_outside(self.ids[1], gid or 0),
            )
        return (look.st_mode, uid, gid) == (there.st_mode, there.st_uid, there.st_gid)

    def _is_fuse_opaque(self, fd: int) -> bool:
        return self.fuse and _status(FUSE_OPAQUE, fd) is not None


def _said(levels: Sequence[_Level]) -> Iterator[Change]:
    """Directories that count now that something in them does."""
    for level in levels:
        if level.unsaid is not None:
            yield level.unsaid
            level.unsaid = None


def _is_same(look: os.stat_result, there: os.stat_result, level: _Level, name: bytes) -> bool:
    if stat.S_ISLNK(look.st_mode):
        fd = level.below.fds[0][1]
        for _, fd in level.below.fds:
            if _status(name, fd) is not None:
                break
        return os.readlink(name, dir_fd=level.fd) == os.readlink(name, dir_fd=fd)
    return (look.st_size, look.st_mtime_ns, look.st_rdev) == (
        there.st_size,
        there.st_mtime_ns,
        there.st_rdev,
    )


def _is_empty(dir_fd: int, name: bytes, look: os.stat_result) -> bool:
    if stat.S_ISREG(look.st_mode):
        return look.st_size == 0
    if not stat.S_ISDIR(look.st_mode):
        return False
    fd = os.open(name, OPEN_DIR, dir_fd=dir_fd)
    try:
        return not os.listdir(fd)
    finally:
        os.close(fd)


def is_opaque(fd: int) -> bool:
    """Also refuses what only a mounted overlay can follow."""
    names = os.listxattr(fd)
    if any(name in names for name in _INDIRECT):
        raise HostLacks(
            "cannot tell the container's changes: its overlay keeps redirected directories",
            "echo N | sudo tee /sys/module/overlay/parameters/redirect_dir, and make the container anew",
        )
    return any(name in names and os.getxattr(fd, name) == b"y" for name in _OPAQUE)


def _status(name: bytes, dir_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _close(level: _Level) -> None:
    os.close(level.fd)
    level.below.close()
