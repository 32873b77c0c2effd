"""A volume as a tar and back, by descriptors: a container may be changing it, and the archive may be hostile.

For worker.py: ids are those of the containers, as the user namespace shows them.
"""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import InvalidInput
from rcrun.files import write_all
from rcrun.storage import tarheader
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import decompressed
from rcrun.storage.unpack import Unpacker
from rcrun.storage.unpacking import own_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFREG: tarheader.FILE,
    stat.S_IFDIR: tarheader.DIRECTORY,
    stat.S_IFLNK: tarheader.SYMLINK,
    stat.S_IFIFO: tarheader.FIFO,
    stat.S_IFCHR: tarheader.CHARACTER,
    stat.S_IFBLK: tarheader.BLOCK_DEVICE,
}
_KEPT_XATTRS = ("user.", "security.capability")
_OVERLAYS_OWN = "user.overlay."


def export_tree(path: str, out_fd: int) -> int:
    """Writes the archive; how many sockets it could not hold."""
    writer = _Writer(out_fd)
    root_fd = os.open(path, _OPEN_DIR)
    try:
        writer.add("./", os.fstat(root_fd), _xattrs(root_fd))
        _walk(writer, root_fd)
    finally:
        os.close(root_fd)
    write_all(out_fd, bytes(2 * tarheader.BLOCK))
    return writer.skipped


def _walk(writer: _Writer, root_fd: int) -> None:
    """Sorted, so that the same files give the same archive."""
    stack: list[tuple[int, str, Iterator[str]]] = [(os.dup(root_fd), "./", _names(root_fd))]
    try:
        while stack:
            dir_fd, prefix, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                os.close(dir_fd)
                continue
            below = _add(writer, dir_fd, name, prefix)
            if below >= 0:
                stack.append((below, f"{prefix}{name}/", _names(below)))
    finally:
        for dir_fd, _, _ in stack:
            os.close(dir_fd)


def _names(dir_fd: int) -> Iterator[str]:
    return iter(sorted(os.listdir(dir_fd)))


def _add(writer: _Writer, dir_fd: int, name: str, prefix: str) -> int:
    """A descriptor of what is to be walked next, -1 for what is no directory; what is gone by now is left out."""
    try:
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            fd = os.open(name, _OPEN_DIR, dir_fd=dir_fd)
            writer.add(f"{prefix}{name}/", os.fstat(fd), _xattrs(fd))
            return fd
        if not stat.S_ISREG(status.st_mode):
            link = os.readlink(name, dir_fd=dir_fd) if stat.S_ISLNK(status.st_mode) else ""
            writer.add(f"{prefix}{name}", status, {}, link)
            return -1
        fd = os.open(name, _OPEN_FILE, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
            return -1  # replaced while we looked
        raise
    try:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            writer.add_file(f"{prefix}{name}", status, fd)
    finally:
        os.close(fd)
    return -1


def _xattrs(fd: int) -> dict[str, str]:
    """As pax records."""
    found = {}
    for name in os.listxattr(fd):
        if name.startswith(_KEPT_XATTRS) and not name.startswith(_OVERLAYS_OWN):
            value = os.getxattr(fd, name)
            found[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    return found


class _Writer:
    """Headers as tarfile makes them; the data never longer or shorter than the header says."""

    __slots__ = ("fd", "links", "skipped")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.links: dict[tuple[int, int], str] = {}
        self.skipped = 0

    def add(self, name: str, status: os.stat_result, pax: dict[str, str], link: str = "") -> None:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            self.skipped += 1  # a socket
            return
        self._header(name, status, kind, pax, link)

    def add_file(self, name: str, status: os.stat_result, fd: int) -> None:
        if status.st_nlink > 1:
            first = self.links.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                self._header(name, status, tarheader.HARD_LINK, {}, first)
                return
        self._header(name, status, tarheader.FILE, _xattrs(fd))
        left = status.st_size
        while left and (data := os.read(fd, min(left, _CHUNK))):
            write_all(self.fd, data)
            left -= len(data)
        padding = -status.st_size % tarheader.BLOCK
        while left:  # it became shorter meanwhile
            write_all(self.fd, bytes(min(left, _CHUNK)))
            left -= min(left, _CHUNK)
        write_all(self.fd, bytes(padding))

    def _header(
        self, name: str, status: os.stat_result, kind: str, pax: dict[str, str], link: str = ""
    ) -> None:
        import tarfile

        info = tarfile.TarInfo(name)
        info.type = kind.encode("ascii")
        info.mode = stat.S_IMODE(status.st_mode)
        info.uid, info.gid = status.st_uid, status.st_gid
        info.mtime = status.st_mtime_ns // 10**9
        info.size = status.st_size if kind == tarheader.FILE else 0
        info.linkname = link
        if kind in (tarheader.CHARACTER, tarheader.BLOCK_DEVICE):
            info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if status.st_mtime_ns % 10**9:
            seconds, rest = divmod(status.st_mtime_ns, 10**9)
            pax = {**pax, "mtime": f"{seconds}.{rest:09}"}
        info.pax_headers = pax
        write_all(self.fd, info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))


class _VolumeUnpacker(Unpacker):
    """Into a directory that has files already, and keeps its looks unless the archive has some for it."""

    whiteouts = False

    def _clean_root(self) -> None:
        pass


def import_tree(path: str, in_fd: int) -> int:
    """Unpacks the archive; how many of its nodes could not be made, or belong to ids that do not exist here."""
    root_fd = os.open(path, _OPEN_DIR)
    try:
        unpacker = _VolumeUnpacker(root_fd, own_ids("uid"), own_ids("gid"))
        stream = ByteStream(decompressed(lambda size: os.read(in_fd, size)))
        unpacker.unpack(stream)
        return len(unpacker.owners.lines())
    except InvalidInput as error:
        error.message = f"cannot import the archive: {error.message}"
        raise
    finally:
        os.close(root_fd)
