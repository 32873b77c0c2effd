"""A tree of files becomes members of a tar, by descriptors and following no link: whoever owns the tree may change it meanwhile."""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import RcrunError
from rcrun.storage import marks, tarheader, tarwrite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rcrun.storage.tarheader import Member
    from rcrun.storage.tarwrite import TarWriter

OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
LEAST_HOLES = (
    1 << 20
)  # a file with fewer bytes of holes is written out whole, which every tar reads
# Attributes of overlayfs, or of the host's policy.
_KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY_XATTRS = ("user.overlay.", "user.fuseoverlayfs.")
_DEVICES = (tarheader.CHARACTER, tarheader.BLOCK_DEVICE)
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
    small and equal headers, as layers have them; `acls` go along where the ids mean the same on both sides. `own`: we are
    not root of the container's ids but the user (uid, gid) who is its root; PermissionError for what is another's.
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
        own: tuple[int, int] | None = None,
    ) -> None:
        self.writer = writer
        self.note = note
        self.adjust = adjust
        self.devices = devices
        self.whole_seconds = whole_seconds
        self.xattrs = _KEPT_XATTRS if acls else _KEPT_XATTRS[:2]
        self.own = own
        self.mark: tuple[int, int] | None = (
            None  # of the member that `adjust` is given: noted owners
        )
        self.look: os.stat_result | None = None  # of the same, as it is on disk
        self.advanced: Callable[[int], None] | None = None
        self._believes_marks = marks.are_told()
        self._may_open = _no_device_opens()
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
        levels = [(fd, name, names_of(fd))]
        try:
            while levels:
                fd, name, names = levels[-1]
                if not names:
                    os.close(levels.pop()[0])
                    for extra in more(name) if more else ():
                        self.writer.add(extra)
                    continue
                base, is_file = names.pop()
                path = base if name in (b"", b".") else name + b"/" + base
                below = self.entry(fd, base, path, is_file=is_file)
                if below is not None:
                    levels.append((below, path, names_of(below)))
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise RcrunError("directories are nested too deeply to be copied") from error
            raise
        finally:
            for level in levels:
                os.close(level[0])

    def entry(self, dir_fd: int, base: bytes, name: bytes, *, is_file: bool = False) -> int | None:
        """One member; the descriptor of a directory, whose content is the caller's business.

        `is_file`: the directory says that it is a plain file, which spares the steps that keep us from opening anything else.
        """
        if is_file and self._may_open and self._opened(dir_fd, base, name):
            return None
        try:
            pin = os.open(base, _PIN, dir_fd=dir_fd)
        except FileNotFoundError:
            return None  # removed meanwhile
        try:
            return self._pinned(pin, name)
        finally:
            os.close(pin)

    def _opened(self, dir_fd: int, base: bytes, name: bytes) -> bool:
        """False for what is no plain file any more, or cannot be read: the long way tells why."""
        try:
            fd = os.open(base, _FILE, dir_fd=dir_fd)
        except OSError:
            return False
        try:
            look = os.fstat(fd)
            if not stat.S_ISREG(look.st_mode):
                return False
            entry = self._member(fd, look, tarheader.FILE, name)
            if entry.kind == tarheader.FILE:
                self._file(fd, look, entry)
            else:
                self._add_device(entry)
            return True
        finally:
            os.close(fd)

    def _pinned(self, pin: int, name: bytes) -> int | None:
        look = os.fstat(pin)
        kind = KINDS.get(stat.S_IFMT(look.st_mode), "")
        if not kind or (kind in _DEVICES and not self.devices):
            what = "a device" if kind else "a socket"
            self.note(f'left out "{tarheader.shown(name)}": it is {what}')
            return None
        entry = self._member(pin, look, kind, name, f"/proc/self/fd/{pin}")
        if entry.kind == tarheader.FILE:
            # The same file that was looked at, not what has its name by now.
            fd = os.open(f"/proc/self/fd/{pin}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._file(fd, look, entry)
            finally:
                os.close(fd)
        elif entry.kind == kind:
            self.writer.add(entry)
        else:
            self._add_device(entry)
        if kind == tarheader.DIRECTORY:
            return os.open(b".", OPEN_DIR, dir_fd=pin)
        return None

    def _add_device(self, entry: Member) -> None:
        """What stands for one, as root emulation has it."""
        if self.devices:
            self.writer.add(entry)
        else:
            self.note(f'left out "{entry.text()}": it is a device')

    def _member(
        self, pin: int, look: os.stat_result, kind: str, name: bytes, path: str = ""
    ) -> Member:
        """`path` leads to it where the descriptor only pins it."""
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
            entry.xattrs = self._xattrs_of(path or pin)
        if kind in _DEVICES:
            entry.major, entry.minor = os.major(look.st_rdev), os.minor(look.st_rdev)
        if self.own is not None:
            _as_roots(entry, self.own)
        self._take_mark(entry)
        self.look = look
        if self.adjust is not None:
            self.adjust(entry, name.rstrip(b"/"), pin)
        return entry

    def _take_mark(self, entry: Member) -> None:
        """What root emulation noted: it is no attribute of the container's."""
        text = entry.xattrs.pop(marks.OWNER, None) if entry.xattrs else None
        entry.xattrs = entry.xattrs or None
        mark = marks.parse(text) if text is not None and self._believes_marks else None
        self.mark = mark[:2] if mark else None
        if mark and mark[2] and entry.kind == tarheader.FILE:
            entry.kind, entry.major, entry.minor = mark[2:]
        if self.mark:
            marks.settle(entry, self.mark)

    def _file(self, fd: int, look: os.stat_result, entry: Member) -> None:
        if look.st_nlink > 1:
            first = self._links.setdefault((look.st_dev, look.st_ino), entry.name)
            if first != entry.name:
                entry.kind, entry.link = tarheader.HARD_LINK, first
                entry.xattrs = None
                self.writer.add(entry)
                return
        entry.size = entry.real_size = look.st_size
        pieces = [(0, look.st_size)]
        if look.st_size - look.st_blocks * 512 >= LEAST_HOLES:
            entry.sparse = pieces = _data_pieces(fd, look.st_size)
            entry.size = sum(length for _, length in pieces)
        self.writer.add_file(entry, fd, pieces, lambda: self._shorter(entry), self.advanced)

    def _shorter(self, entry: Member) -> None:
        self.note(f'"{entry.text()}" became shorter while it was read')

    def _xattrs_of(self, path: str | int) -> dict[str, bytes] | None:
        try:
            names = os.listxattr(path)
            if not names:
                return None
            kept = [
                name
                for name in names
                if name.startswith(self.xattrs) and not name.startswith(_OVERLAY_XATTRS)
            ]
            return {name: os.getxattr(path, name) for name in kept} or None
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES):
                return None
            raise


def _as_roots(entry: Member, own: tuple[int, int]) -> None:
    """What has ids in it, but the user's attributes, reads otherwise in a user namespace."""
    if (entry.uid, entry.gid) != own or not all(n.startswith("user.") for n in entry.xattrs or ()):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), entry.text())
    entry.uid = entry.gid = 0


def names_of(fd: int) -> list[tuple[bytes, bool]]:
    """What a directory has, in the reverse of their order, the next one is the last; and whether each is a plain file."""
    with os.scandir(fd) as entries:
        found = [(os.fsencode(each.name), each.is_file(follow_symlinks=False)) for each in entries]
    return sorted(found, reverse=True)


def _no_device_opens() -> bool:
    """Nobody can put a device in the place of a file, which opening would start: we are in a user namespace, or not root."""
    if os.geteuid():
        return True
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", "4294967295"]


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
