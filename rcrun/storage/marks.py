"""Owners and devices that root emulation noted (docs/store.md): attributes of files, and a log for what takes none.

The container itself may write such an attribute. It says no more than chown(2) there could.
"""

from __future__ import annotations

import errno
import os
import stat

from rcrun.storage import tarheader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.tarheader import Member

PREFIX = "user.rcrun."
OWNER = "user.rcrun.owner"
LOG = "owners.log"  # beside the upper directory
SAME = (1 << 32) - 1
_DEVICES = {b"c": tarheader.CHARACTER, b"b": tarheader.BLOCK_DEVICE}
_MOST_NUMBER = 1 << 32
_PLAIN = (stat.S_IFREG, stat.S_IFDIR)


def apply(entry: Member, value: bytes) -> bool:
    """Whether it was one: `UID:GID` or `UID:GID:KIND:MAJOR:MINOR`, of an empty file."""
    words = value.split(b":")
    numbers = words[:2] + words[3:]
    if not all(word.isdigit() and len(word) < 11 for word in numbers):
        return False
    found = [int(word) for word in numbers]
    if len(words) not in (2, 5) or max(found[:2]) >= SAME or max(found) >= _MOST_NUMBER:
        return False
    if len(words) == 5:
        if entry.kind != tarheader.FILE or words[2] not in _DEVICES:
            return False
        entry.kind = _DEVICES[words[2]]
        entry.major, entry.minor = found[2:]
    entry.uid, entry.gid = found[:2]
    return True


def birth(fd: int) -> int:
    """When the inode was made, in nanoseconds; 0 where the file system does not know."""
    from rcrun.kernel.syscalls import birth_of

    return birth_of(fd)


class Log:
    """What the log of a container says; a later line of the same inode wins, and -1 in it keeps what was said before."""

    __slots__ = ("_noted",)

    def __init__(self, path: str) -> None:
        self._noted: dict[int, tuple[int, int, int]] = {}
        try:
            with open(path, "rb") as file:
                for line in file:
                    self._add(line.split())
        except FileNotFoundError:
            pass

    def _add(self, words: list[bytes]) -> None:
        if len(words) != 4:
            return  # cut short: the disk was full
        inode, born, uid, gid = map(int, words)
        before = self._noted.get(inode)
        if before is not None and before[0] == born:
            uid, gid = (before[1] if uid == SAME else uid), (before[2] if gid == SAME else gid)
        self._noted[inode] = (born, 0 if uid == SAME else uid, 0 if gid == SAME else gid)

    def give(self, entry: Member, pin: int, lower_path: str) -> bool:
        """To what `pin` is; a copy of a lower's file may have been known by that one's inode."""
        if not self._noted:
            return False
        inodes = [os.fstat(pin).st_ino]
        if lower_path:
            try:
                inodes.append(os.lstat(lower_path).st_ino)
            except OSError:
                pass
        for inode in inodes:
            noted = self._noted.get(inode)
            if noted is not None and noted[0] == birth(pin):
                entry.uid, entry.gid = noted[1:]
                return True
        return False


class Notebook:
    """Notes owners as the shim does for a container; for what a worker puts into a root."""

    __slots__ = ("_fd",)

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def note(self, fd: int, uid: int, gid: int) -> None:
        """`fd` may be one that only stands for a place."""
        look = os.fstat(fd)
        path = f"/proc/self/fd/{fd}"
        if stat.S_IFMT(look.st_mode) in _PLAIN and (uid or gid):
            os.setxattr(path, OWNER, b"%d:%d" % (uid, gid))
            return
        if stat.S_IFMT(look.st_mode) in _PLAIN:
            try:
                os.removexattr(path, OWNER)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                    raise
        os.write(self._fd, b"%d %d %d %d\n" % (look.st_ino, birth(fd), uid, gid))
