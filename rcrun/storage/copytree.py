"""Copy directories of container files as root of our ids, by descriptors, following no link.

`python -BIS copytree.py fill ROOT PATH TARGET`: the content of PATH inside of ROOT becomes TARGET's.
`python -BIS copytree.py merge TARGET LAYER…`: TARGET becomes what overlayfs would show of the layers, top first.
`python -BIS copytree.py shift TARGET UIDS GIDS LAYER…`: the same, with other owners: rows `from:to:count` by commas.
`python -BIS copytree.py own PATH UID GID [PART]`: PATH, or a part of it, and all that is in it belong to these from now on.
`python -BIS copytree.py look PATH TARGET`: owner, mode and times of PATH become TARGET's, as far as they can.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from rcrun.formats import idmap
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.formats.idmap import Range

OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAKE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OVERLAY_XATTRS = ("user.overlay.", "trusted.overlay.")
CHUNK = 1 << 30


class Owners:
    """Which owner a copy gets. A file of somebody who has no number there is root's, and runs as nobody else."""

    __slots__ = ("gids", "uids")

    def __init__(self, uids: Sequence[Range] = (), gids: Sequence[Range] = ()) -> None:
        self.uids = uids
        self.gids = gids

    def of(self, look: os.stat_result) -> tuple[int, int, int]:
        """Owner, group and mode."""
        mode = stat.S_IMODE(look.st_mode)
        if not self.uids:
            return look.st_uid, look.st_gid, mode
        uid, gid = (
            idmap.to_outside(self.uids, look.st_uid),
            idmap.to_outside(self.gids, look.st_gid),
        )
        if uid is None or gid is None:
            mode &= 0o1777
        return (
            idmap.to_outside(self.uids, 0) or 0 if uid is None else uid,
            idmap.to_outside(self.gids, 0) or 0 if gid is None else gid,
            mode,
        )


SAME = Owners()


class Copier:
    """Copies trees; hard links within one tree stay links."""

    __slots__ = ("links", "owners", "target_fd", "whiteouts")

    def __init__(self, target_fd: int, *, whiteouts: bool, owners: Owners = SAME) -> None:
        self.target_fd = target_fd
        self.owners = owners
        self.whiteouts = whiteouts
        self.links: dict[tuple[int, int], str] = {}

    def copy(self, source_fd: int, target_fd: int, path: str = "") -> None:
        """What is in the source into the target; the target's own looks, too."""
        if self.whiteouts and _is_opaque(source_fd):
            for name in os.listdir(target_fd):
                remove_tree(name, target_fd)
        with os.scandir(source_fd) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            self._copy_entry(name, source_fd, target_fd, f"{path}/{name}".lstrip("/"))
        _copy_looks(source_fd, target_fd, self.owners)

    def _copy_entry(self, name: str, source_fd: int, target_fd: int, path: str) -> None:
        look = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        if self.whiteouts and stat.S_ISCHR(look.st_mode) and look.st_rdev == 0:
            remove_tree(name, target_fd)
        elif stat.S_ISDIR(look.st_mode):
            self._copy_dir(name, source_fd, target_fd, path)
        else:
            remove_tree(name, target_fd)
            if not self._linked(look, name, target_fd, path):
                _copy_leaf(name, look, source_fd, target_fd, self.owners)

    def _copy_dir(self, name: str, source_fd: int, target_fd: int, path: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=target_fd)
        except FileExistsError:
            there = os.stat(name, dir_fd=target_fd, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode):
                os.unlink(name, dir_fd=target_fd)
                os.mkdir(name, 0o700, dir_fd=target_fd)
        below = os.open(name, OPEN_DIR, dir_fd=source_fd)
        try:
            target = os.open(name, OPEN_DIR, dir_fd=target_fd)
            try:
                self.copy(below, target, path)
            finally:
                os.close(target)
        finally:
            os.close(below)

    def _linked(self, look: os.stat_result, name: str, target_fd: int, path: str) -> bool:
        """Another name of a file that was copied; its first name may be gone again when layers are merged."""
        if look.st_nlink < 2:
            return False
        key = (look.st_dev, look.st_ino)
        first = self.links.setdefault(key, path)
        if first == path:
            return False
        try:
            os.link(
                first, name, src_dir_fd=self.target_fd, dst_dir_fd=target_fd, follow_symlinks=False
            )
        except FileNotFoundError:
            self.links[key] = path
            return False
        return True


def _copy_leaf(
    name: str, look: os.stat_result, source_fd: int, target_fd: int, owners: Owners
) -> None:
    if stat.S_ISREG(look.st_mode):
        _copy_file(name, source_fd, target_fd, owners)
        return
    if stat.S_ISLNK(look.st_mode):
        os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
    elif not stat.S_ISSOCK(look.st_mode):
        try:
            os.mknod(name, look.st_mode, look.st_rdev, dir_fd=target_fd)
        except PermissionError:
            return  # a device, which a user namespace cannot make
    else:
        return
    uid, gid, mode = owners.of(look)
    os.chown(name, uid, gid, dir_fd=target_fd, follow_symlinks=False)
    if not stat.S_ISLNK(look.st_mode):
        os.chmod(name, mode, dir_fd=target_fd)
    times = (look.st_atime_ns, look.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=target_fd, follow_symlinks=False)


def _copy_file(name: str, source_fd: int, target_fd: int, owners: Owners) -> None:
    source = os.open(name, OPEN_FILE, dir_fd=source_fd)
    try:
        target = os.open(name, MAKE_FILE, 0o600, dir_fd=target_fd)
        try:
            _copy_content(source, target)
            _copy_looks(source, target, owners)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_content(source: int, target: int) -> None:
    try:
        while os.copy_file_range(source, target, CHUNK):
            pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        while os.sendfile(target, source, None, CHUNK):
            pass


def _copy_looks(source: int, target: int, owners: Owners = SAME) -> None:
    look = os.fstat(source)
    uid, gid, mode = owners.of(look)
    os.fchown(target, uid, gid)
    os.fchmod(target, mode)
    for name in os.listxattr(source):
        if not name.startswith(OVERLAY_XATTRS):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError:
                continue  # the target's file system has no such attributes
    os.utime(target, ns=(look.st_atime_ns, look.st_mtime_ns))


def _is_opaque(fd: int) -> bool:
    for name in ("user.overlay.opaque", "trusted.overlay.opaque"):
        try:
            if os.getxattr(fd, name) == b"y":
                return True
        except OSError:
            continue
    return False


def fill(root: str, path: str, target: str) -> None:
    """Nothing when the path is no directory."""
    from rcrun.kernel.syscalls import open_in_root

    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = open_in_root(root_fd, os.fsencode(path), os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    target_fd = os.open(target, OPEN_DIR)
    Copier(target_fd, whiteouts=False).copy(source, target_fd)


def merge(target: str, layers: Sequence[str], owners: Owners = SAME) -> None:
    target_fd = os.open(target, OPEN_DIR)
    for layer in reversed(layers):
        source = os.open(layer, OPEN_DIR)
        Copier(target_fd, whiteouts=True, owners=owners).copy(source, target_fd)
        os.close(source)


def rows_of(text: str) -> list[Range]:
    return [
        (int(begin), int(to), int(count))
        for begin, to, count in (row.split(":") for row in text.split(","))
    ]


def own(path: str, uid: int, gid: int, part: str = "") -> None:
    if part:
        _own_part(path, part, uid, gid)
        return
    os.chown(path, uid, gid, follow_symlinks=False)
    _own_below(path, uid, gid)


def _own_part(root: str, part: str, uid: int, gid: int) -> None:
    from rcrun.kernel.syscalls import open_in_root

    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    fd = open_in_root(root_fd, os.fsencode(part), os.O_PATH)
    os.chown(f"/proc/self/fd/{fd}", uid, gid)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        _own_below(".", uid, gid, fd)


def _own_below(path: str, uid: int, gid: int, dir_fd: int | None = None) -> None:
    for _, directories, files, fd in os.fwalk(path, follow_symlinks=False, dir_fd=dir_fd):
        for name in (*directories, *files):
            os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)


def look(path: str, target: str) -> None:
    """A directory of ids that are not ours shows as nobody's, and stays ours."""
    source_fd, target_fd = os.open(path, OPEN_DIR & ~os.O_NOFOLLOW), os.open(target, OPEN_DIR)
    try:
        _copy_looks(source_fd, target_fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
        os.fchmod(target_fd, stat.S_IMODE(os.fstat(source_fd).st_mode))


def main(words: Sequence[str]) -> int:
    os.umask(0)
    try:
        if words[0] == "fill":
            fill(*words[1:])
        elif words[0] == "own":
            own(words[1], int(words[2]), int(words[3]), *words[4:])
        elif words[0] == "shift":
            merge(words[1], words[4:], Owners(rows_of(words[2]), rows_of(words[3])))
        elif words[0] == "look":
            look(*words[1:])
        else:
            merge(words[1], words[2:])
    except OSError as error:
        where = f'"{error.filename}": ' if error.filename else ""
        os.write(2, f"{where}{(error.strerror or str(error)).lower()}\n".encode())
        return 1
    except RecursionError:
        os.write(2, b"directories are nested too deeply\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
