"""A tree of files becomes members of a tar, by descriptors and following no link: whoever owns the tree may change it meanwhile."""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import RcrunError
from rcrun.storage import marks, tarheader, tarwrite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rcrun.storage.tarheader import Member
    from rcrun.storage.tarwrite import TarWriter

OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 1 << 18
LEAST_HOLES = (
    1 << 20
)  # a file with fewer bytes of holes is written out whole, which every tar reads
# Attributes of overlayfs, or of the host's policy.
_KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY_XATTRS = ("user.overlay.", "user.fuseoverlayfs.")
KINDS = {
    stat.S_IFREG: tarheader.FILE,
    stat.S_IFDIR: tarheader.DIRECTORY,
    stat.S_IFLNK: tarheader.SYMLINK,
    stat.S_IFIFO: tarheader.FIFO,
    stat.S_IFCHR: tarheader.CHARACTER,
    stat.S_IFBLK: tarheader.BLOCK_DEVICE,
}


class Packer:
    """`note` is told of what was left out, or changed while it was read.

    `adjust` may change a member before it is written; `devices` are members, else left out; `whole_seconds` makes
    small and equal headers, as layers have them; `acls` go along where the ids mean the same on both sides.
    """

    def __init__(
        self,
        writer: TarWriter,
        note: Callable[[str], None],
        *,
        adjust: Callable[[Member, bytes, int], object] | None = None,
        devices: bool = True,
        whole_seconds: bool = False,
        acls: bool = True,
    ) -> None:
        self.writer = writer
        self.note = note
        self.adjust = adjust
        self.devices = devices
        self.whole_seconds = whole_seconds
        self.xattrs = _KEPT_XATTRS if acls else _KEPT_XATTRS[:2]
        self.mark: tuple[int, int] | None = (
            None  # of the member that `adjust` is given: noted owners
        )
        self.advanced: Callable[[int], None] | None = None
        self._links: dict[tuple[int, int], bytes] = {}

    def tree(self, dir_fd: int, base: bytes, name: bytes) -> None:
        """The entry `base` as the member `name`, and all that is in it."""
        fd = self.entry(dir_fd, base, name)
        if fd is not None:
            self.content(fd, name)

    def content(
        self, fd: int, name: bytes, more: Callable[[bytes], Iterable[Member]] | None = None
    ) -> None:
        """What is in a directory, whose descriptor is closed; `more` adds members to a directory."""
        levels = [(fd, name, _names(fd))]
        try:
            while levels:
                fd, name, names = levels[-1]
                if not names:
                    os.close(levels.pop()[0])
                    for extra in more(name) if more else ():
                        self.writer.add(extra)
                    continue
                base = names.pop()
                path = base if name in (b"", b".") else name + b"/" + base
                below = self.entry(fd, base, path)
                if below is not None:
                    levels.append((below, path, _names(below)))
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise RcrunError("directories are nested too deeply to be copied") from error
            raise
        finally:
            for level in levels:
                os.close(level[0])

    def entry(self, dir_fd: int, base: bytes, name: bytes) -> int | None:
        """One member; the descriptor of a directory, whose content is the caller's business."""
        try:
            pin = os.open(base, _PIN, dir_fd=dir_fd)
        except FileNotFoundError:
            return None  # removed meanwhile
        try:
            return self._pinned(pin, name)
        finally:
            os.close(pin)

    def _pinned(self, pin: int, name: bytes) -> int | None:
        look = os.fstat(pin)
        kind = KINDS.get(stat.S_IFMT(look.st_mode), "")
        if not kind or (kind in (tarheader.CHARACTER, tarheader.BLOCK_DEVICE) and not self.devices):
            what = "a device" if kind else "a socket"
            self.note(f'left out "{tarheader.shown(name)}": it is {what}')
            return None
        entry = self._member(pin, look, kind, name)
        if entry.kind != kind and not self.devices:
            self.note(f'left out "{tarheader.shown(name)}": it is a device')
            return None
        if entry.kind == tarheader.FILE:
            self._file(pin, look, entry)
            return None
        self.writer.add(entry)
        if kind == tarheader.DIRECTORY:
            return os.open(b".", OPEN_DIR, dir_fd=pin)
        return None

    def _member(self, pin: int, look: os.stat_result, kind: str, name: bytes) -> Member:
        if kind == tarheader.DIRECTORY:
            name += b"/"
        entry = tarwrite.member(name, kind, stat.S_IMODE(look.st_mode))
        entry.uid, entry.gid = look.st_uid, look.st_gid
        entry.mtime = look.st_mtime_ns
        if self.whole_seconds:
            entry.mtime -= entry.mtime % 1_000_000_000
        if kind == tarheader.SYMLINK:
            entry.link = os.readlink(b"", dir_fd=pin)
        else:
            entry.xattrs = self._xattrs_of(pin)
        if kind in (tarheader.CHARACTER, tarheader.BLOCK_DEVICE):
            entry.major, entry.minor = os.major(look.st_rdev), os.minor(look.st_rdev)
        self._take_mark(entry)
        if self.adjust is not None:
            self.adjust(entry, name.rstrip(b"/"), pin)
        return entry

    def _take_mark(self, entry: Member) -> None:
        """What root emulation noted: it is no attribute of the container's."""
        text = entry.xattrs.pop(marks.OWNER, None) if entry.xattrs else None
        entry.xattrs = entry.xattrs or None
        mark = marks.parse(text) if text is not None else None
        self.mark = mark[:2] if mark else None
        if mark and mark[2] and entry.kind == tarheader.FILE:
            entry.kind, entry.major, entry.minor = mark[2:]
        if self.mark:
            marks.settle(entry, self.mark)

    def _file(self, pin: int, look: os.stat_result, entry: Member) -> None:
        if look.st_nlink > 1:
            first = self._links.setdefault((look.st_dev, look.st_ino), entry.name)
            if first != entry.name:
                entry.kind, entry.link = tarheader.HARD_LINK, first
                entry.xattrs = None
                self.writer.add(entry)
                return
        # The same file that was looked at, not what has its name by now.
        fd = os.open(f"/proc/self/fd/{pin}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            entry.size = entry.real_size = look.st_size
            pieces = [(0, look.st_size)]
            if look.st_size - look.st_blocks * 512 >= LEAST_HOLES:
                entry.sparse = pieces = _data_pieces(fd, look.st_size)
                entry.size = sum(length for _, length in pieces)
            self.writer.add(entry, self._data(fd, pieces, entry))
        finally:
            os.close(fd)

    def _data(self, fd: int, pieces: list[tuple[int, int]], entry: Member) -> Iterator[bytes]:
        for offset, length in pieces:
            while length:
                data = os.pread(fd, min(CHUNK, length), offset)
                if not data:
                    self.note(f'"{entry.text()}" became shorter while it was read')
                    yield from _zeros(length)
                    break
                yield data
                offset += len(data)
                length -= len(data)
                if self.advanced is not None:
                    self.advanced(len(data))

    def _xattrs_of(self, pin: int) -> dict[str, bytes] | None:
        path = f"/proc/self/fd/{pin}"
        try:
            names = [
                name
                for name in os.listxattr(path)
                if name.startswith(self.xattrs) and not name.startswith(_OVERLAY_XATTRS)
            ]
            return {name: os.getxattr(path, name) for name in names} or None
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES):
                return None
            raise


def _names(fd: int) -> list[bytes]:
    """In the reverse of their order: the next one is the last."""
    return sorted(map(os.fsencode, os.listdir(fd)), reverse=True)


def _zeros(count: int) -> Iterator[bytes]:
    while count:
        yield bytes(min(count, CHUNK))
        count -= min(count, CHUNK)


def _data_pieces(fd: int, size: int) -> list[tuple[int, int]]:
    """Offset and length of what is no hole; an empty one at the end, as GNU tar writes it, tells the size."""
    pieces = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start < at:
            pieces.append((start, at - start))
    if not pieces or sum(pieces[-1]) < size:
        pieces.append((size, 0))
    return pieces
