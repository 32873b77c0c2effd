"""Owners and devices that root emulation noted (docs/store.md): attributes of files, and a log for what takes none.

The container itself may write such an attribute. Where all its processes are one user of the host, it says no more than
chown(2) there could; anywhere else any of its users could claim root's files so, and nobody asks.
"""

from __future__ import annotations

import errno
import os
import stat

from rcrun.storage import tarheader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.storage.owners import Record
    from rcrun.storage.tarheader import Member

PREFIX = "user.rcrun."
OWNER = "user.rcrun.owner"
LOG = "owners.log"  # beside the upper directory
SAME = (1 << 32) - 1
_DEVICES = {b"c": tarheader.CHARACTER, b"b": tarheader.BLOCK_DEVICE}
_MOST_NUMBER = 1 << 32
_PLAIN = (stat.S_IFREG, stat.S_IFDIR)


def parse(value: bytes) -> tuple[int, int, str, int, int] | None:
    """Owner, group (SAME: nothing is said), and the kind of tar and numbers of a device; None for anything else."""
    words = value.split(b":")
    numbers = words[:2] + words[3:]
    if len(words) not in (2, 5) or not all(word.isdigit() and len(word) < 11 for word in numbers):
        return None
    found = [int(word) for word in numbers]
    if max(found) >= _MOST_NUMBER or (len(words) == 5 and words[2] not in _DEVICES):
        return None
    if len(words) == 2:
        return found[0], found[1], "", 0, 0
    return found[0], found[1], _DEVICES[words[2]], found[2], found[3]


def are_told() -> bool:
    """Whether we are where they count: in a user namespace of a single id."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        rows = file.read().split()
    return rows[2:] == ["1"]


def settle(entry: Member, asked: tuple[int, int]) -> None:
    """The member has the owner of before; what was asked for takes its place."""
    entry.uid, entry.gid = (
        before if said == SAME else said
        for said, before in zip(asked, (entry.uid, entry.gid), strict=True)
    )


def birth(fd: int) -> int:
    """When the inode was made, in nanoseconds; 0 where the file system does not know."""
    from rcrun.kernel.syscalls import birth_of

    return birth_of(fd)


def mark(root_fd: int, records: Iterable[Record]) -> None:
    """The records of a layer on its files, too, where programs that are told owners find them, and copies take them along."""
    from rcrun.kernel.syscalls import open_beneath

    for path, uid, gid, _, letter, _, _ in records:
        if letter not in "-d":
            continue
        try:
            fd = open_beneath(root_fd, os.fsencode(path), os.O_PATH)
        except OSError:
            continue  # a later entry of the layer has taken its place
        try:
            os.setxattr(f"/proc/self/fd/{fd}", OWNER, b"%d:%d" % (uid, gid))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOSPC):
                raise
        finally:
            os.close(fd)


def copy_mark(source_fd: int, target_fd: int) -> None:
    try:
        os.setxattr(target_fd, OWNER, os.getxattr(source_fd, OWNER))
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENODATA):
            raise


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

    def __bool__(self) -> bool:
        return bool(self._noted)

    def _add(self, words: list[bytes]) -> None:
        if len(words) != 4:
            return  # cut short: the disk was full
        inode, born, uid, gid = map(int, words)
        before = self._noted.get(inode)
        if before is not None and before[0] == born:
            uid, gid = (before[1] if uid == SAME else uid), (before[2] if gid == SAME else gid)
        self._noted[inode] = (born, uid, gid)

    def asked(self, pin: int, lower_path: str) -> tuple[int, int] | None:
        """For what `pin` is; a copy of a lower's file may have been known by that one's inode."""
        if not self._noted:
            return None
        inodes = [os.fstat(pin).st_ino]
        if lower_path:
            try:
                inodes.append(os.lstat(lower_path).st_ino)
            except OSError:
                pass
        for inode in inodes:
            noted = self._noted.get(inode)
            if noted is not None and noted[0] == birth(pin):
                return noted[1], noted[2]
        return None


class Notebook:
    """Notes owners as the shim does for a container; for what a worker puts into a root."""

    __slots__ = ("_fd",)

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def note(self, fd: int, uid: int, gid: int, *, is_new: bool = False) -> None:
        """`fd` may be one that only stands for a place; of a new thing of root's there is nothing to say."""
        if is_new and uid == gid == 0:
            return
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
