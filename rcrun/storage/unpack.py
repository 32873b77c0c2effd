"""One layer: a tar stream becomes a directory that overlayfs takes as a lower.

Every name is resolved beneath the directory by the kernel (openat2), and then only single names are
used, relative to a descriptor of their parent: no link in the archive can lead out, and none is
followed in the last component. The archive is hostile; each refusal names the member.
"""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import HostLacks, InvalidInput
from rcrun.kernel.syscalls import open_in_root
from rcrun.storage import tarheader
from rcrun.storage.membername import clean, failed, is_whiteout, no_target
from rcrun.storage.owners import Owners
from rcrun.storage.tarheader import Member, TarReader, shown
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.storage.bytestream import ByteStream
    from rcrun.storage.owners import Ids

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
AUFS = b".wh..wh."
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PARENT = os.O_PATH | os.O_DIRECTORY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Attributes that steer overlayfs itself, or that belong to the host's policy.
_FOREIGN_XATTRS = (
    "user.overlay.",
    "user.rcrun.",
    "trusted.overlay.",
    "security.selinux",
    "security.ima",
    "security.evm",
)
_NO_XATTR = {errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.ENODATA}


class Unpacker:
    """Fills an empty directory; `size`, `owners` and `implied` tell about it afterwards.

    `implied` are directories that the archive did not describe: they look as in the layer below.
    Without `whiteouts` the names that hide something in a layer are names like any other.
    The process's umask must be 0.
    """

    whiteouts = True

    def __init__(self, root_fd: int, uids: Ids, gids: Ids, *, trusted: bool = False) -> None:
        self.root_fd = root_fd
        self.uids = uids
        self.gids = gids
        self.opaque_name = f"{'trusted' if trusted else 'user'}.overlay.opaque"
        self.size = 0
        self.owners = Owners()
        self.implied: set[bytes] = set()
        self._directories: dict[bytes, tuple[Member, bool]] = {}
        self._parent_name: bytes | None = None
        self._parent_fd = -1
        self._makers: dict[str, Callable[[Member, bytes, bytes, TarReader], None]] = {
            tarheader.FILE: self._file,
            tarheader.DIRECTORY: self._directory,
            tarheader.SYMLINK: self._symlink,
            tarheader.HARD_LINK: self._hard_link,
            tarheader.FIFO: self._node,
            tarheader.CHARACTER: self._node,
            tarheader.BLOCK_DEVICE: self._node,
        }

    def unpack(self, stream: ByteStream) -> None:
        reader = TarReader(stream)
        self._clean_root()
        try:
            while (member := reader.next()) is not None:
                try:
                    self._place(member, reader)
                except OSError as error:
                    raise failed(member, error) from error
            stream.drain()
            self._finish_directories()
        finally:
            self._leave_parent()

    def _clean_root(self) -> None:
        """What the directory has from where it stands must not be inherited by what is in it."""
        try:
            os.removexattr(self.root_fd, "system.posix_acl_default")
        except OSError:
            pass
        status = os.fstat(self.root_fd)
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(self.root_fd, os.geteuid(), os.getegid())
        os.fchmod(self.root_fd, 0o755)

    def _place(self, member: Member, reader: TarReader) -> None:
        name = clean(member.name, member)
        parent_name, _, base = name.rpartition(b"/")
        if not base:
            self._root(member)
            return
        if parent_name != self._parent_name:
            self._enter(parent_name, member)
        if self.whiteouts and base.startswith(WHITEOUT):
            self._whiteout(parent_name, base, member)
        else:
            self._makers[member.kind](member, name, base, reader)

    # ---- parents

    def _enter(self, name: bytes, member: Member) -> None:
        self._leave_parent()
        try:
            self._parent_fd = open_in_root(self.root_fd, name, _PARENT)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            self._make_parents(name, member)
            self._parent_fd = open_in_root(self.root_fd, name, _PARENT)
        self._parent_name = name

    def _leave_parent(self) -> None:
        if self._parent_fd >= 0:
            os.close(self._parent_fd)
            self._parent_fd = -1
        self._parent_name = None

    def _make_parents(self, name: bytes, member: Member) -> None:
        parts = name.split(b"/")
        for count in range(1, len(parts) + 1):
            prefix = b"/".join(parts[:count])
            try:
                os.close(open_in_root(self.root_fd, prefix, _PARENT))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                self._make_parent(prefix, member)

    def _make_parent(self, name: bytes, member: Member) -> None:
        above, _, base = name.rpartition(b"/")
        above_fd = open_in_root(self.root_fd, above, _PARENT)
        try:
            hidden = is_whiteout(base, above_fd)
            if hidden:
                os.unlink(base, dir_fd=above_fd)
            os.mkdir(base, 0o755, dir_fd=above_fd)
            if hidden:
                self._make_opaque(base, above_fd)
            self.implied.add(name)
        except FileExistsError:
            raise InvalidInput(
                f'cannot unpack "{member.text()}": "{shown(name)}" is not a directory'
            ) from None
        finally:
            os.close(above_fd)

    # ---- kinds of members

    def _root(self, member: Member) -> None:
        if member.kind != tarheader.DIRECTORY:
            raise InvalidInput(f'"{member.text()}" would replace the root directory')
        uid, gid = self._ids(b"", member)
        os.chown(self.root_fd, uid, gid)
        self._directories[b""] = (member, True)

    def _file(self, member: Member, name: bytes, base: bytes, reader: TarReader) -> None:
        mode = member.mode & 0o777
        try:
            fd = os.open(base, _NEW_FILE, mode, dir_fd=self._parent_fd)
        except FileExistsError:
            self._clear(name, base)
            fd = os.open(base, _NEW_FILE, mode, dir_fd=self._parent_fd)
        try:
            if member.sparse is not None:
                self._sparse_data(fd, member, reader)
            elif member.size:
                reader.copy_data(fd, member.size)
            self.size += member.size
            uid, gid = self._ids(name, member)
            if uid or gid:
                os.fchown(fd, uid, gid)
            if member.xattrs:
                self._set_xattrs(fd, member)
            if member.mode & 0o7000:  # after chown and write, which take these bits away
                os.fchmod(fd, member.mode)
            os.utime(fd, ns=(member.mtime, member.mtime))
        finally:
            os.close(fd)

    def _sparse_data(self, fd: int, member: Member, reader: TarReader) -> None:
        for offset, length in member.sparse or ():
            os.lseek(fd, offset, os.SEEK_SET)
            reader.copy_data(fd, length)
        os.ftruncate(fd, member.real_size)

    def _directory(self, member: Member, name: bytes, base: bytes, reader: TarReader) -> None:
        existed = False
        try:
            # Modes, times and attributes come last: children inherit a set-group-ID bit or an ACL.
            os.mkdir(base, member.mode & 0o777 | 0o700, dir_fd=self._parent_fd)
        except FileExistsError:
            existed = self._replace_by_directory(name, base)
        uid, gid = self._ids(name, member)
        if uid or gid or existed:
            os.chown(base, uid, gid, dir_fd=self._parent_fd, follow_symlinks=False)
        self.implied.discard(name)
        self._directories[name] = (member, existed)

    def _replace_by_directory(self, name: bytes, base: bytes) -> bool:
        if stat.S_ISDIR(self._status(base).st_mode):
            return True
        hidden = is_whiteout(base, self._parent_fd)
        self._clear(name, base)
        os.mkdir(base, 0o700, dir_fd=self._parent_fd)
        if hidden:
            self._make_opaque(base, self._parent_fd)
        return True

    def _symlink(self, member: Member, name: bytes, base: bytes, reader: TarReader) -> None:
        self._create(name, base, lambda: os.symlink(member.link, base, dir_fd=self._parent_fd))
        self._finish_node(member, name, base)

    def _node(self, member: Member, name: bytes, base: bytes, reader: TarReader) -> None:
        kinds = {tarheader.CHARACTER: stat.S_IFCHR, tarheader.BLOCK_DEVICE: stat.S_IFBLK}
        mode = kinds.get(member.kind, stat.S_IFIFO) | member.mode & 0o777
        device = os.makedev(member.major, member.minor)
        try:
            self._create(name, base, lambda: os.mknod(base, mode, device, dir_fd=self._parent_fd))
        except PermissionError:
            self.owners.add(name, member)
            return
        self._finish_node(member, name, base)
        if member.mode & 0o7000:
            os.chmod(base, member.mode, dir_fd=self._parent_fd)

    def _hard_link(self, member: Member, name: bytes, base: bytes, reader: TarReader) -> None:
        target = clean(member.link, member)
        if target == name:
            return
        above, _, target_base = target.rpartition(b"/")
        try:
            above_fd = open_in_root(self.root_fd, above, _PARENT)
        except FileNotFoundError:
            raise no_target(member) from None
        try:
            self._link(member, name, base, target_base, above_fd)
        except FileNotFoundError:
            if not self.owners.has(target):  # a device that could not be made
                raise no_target(member) from None
        finally:
            os.close(above_fd)
        self.owners.link(name, target)

    def _link(self, member: Member, name: bytes, base: bytes, target: bytes, above_fd: int) -> None:
        status = os.stat(target, dir_fd=above_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            raise InvalidInput(f'"{member.text()}" is a hard link to a directory')
        self._create(
            name,
            base,
            lambda: os.link(
                target,
                base,
                src_dir_fd=above_fd,
                dst_dir_fd=self._parent_fd,
                follow_symlinks=False,
            ),
        )

    def _whiteout(self, parent_name: bytes, base: bytes, member: Member) -> None:
        if base == OPAQUE:
            self._make_opaque(b".", self._parent_fd)
            return
        if base.startswith(AUFS):
            return  # aufs's own files
        hidden = base[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidInput(f'"{member.text()}" is a whiteout of nothing')
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=self._parent_fd)
        except FileExistsError:
            # What this layer has stays (OCI image-spec, layer.md); what is below it goes.
            if stat.S_ISDIR(self._status(hidden).st_mode):
                self._make_opaque(hidden, self._parent_fd)
        except PermissionError as error:
            raise HostLacks(
                f'cannot make the whiteout "{member.text()}": {error.strerror}',
                "use Linux 5.8 or newer, or a store on a local file system",
            ) from error

    # ---- attributes

    def _ids(self, name: bytes, member: Member) -> tuple[int, int]:
        """Owner and group to set; what cannot be set is recorded, and its set-ID bit goes."""
        uid, gid = member.uid, member.gid
        has_uid = uid < self.uids.top or self.uids.has(uid)
        has_gid = gid < self.gids.top or self.gids.has(gid)
        if has_uid and has_gid:
            self.owners.forget(name)
            return uid, gid
        self.owners.add(name, member)
        if not has_uid:
            member.mode &= ~stat.S_ISUID
        if not has_gid and member.kind != tarheader.DIRECTORY:
            member.mode &= ~stat.S_ISGID
        return uid if has_uid else 0, gid if has_gid else 0

    def _finish_node(self, member: Member, name: bytes, base: bytes) -> None:
        uid, gid = self._ids(name, member)
        if uid or gid:
            os.chown(base, uid, gid, dir_fd=self._parent_fd, follow_symlinks=False)
        if member.xattrs:
            self._set_xattrs(f"/proc/self/fd/{self._parent_fd}/{os.fsdecode(base)}", member)
        os.utime(
            base, ns=(member.mtime, member.mtime), dir_fd=self._parent_fd, follow_symlinks=False
        )

    def _set_xattrs(self, target: int | str, member: Member) -> None:
        for key, value in (member.xattrs or {}).items():
            if key.startswith(_FOREIGN_XATTRS):
                continue
            try:
                if isinstance(target, int):
                    os.setxattr(target, key, value)
                else:
                    os.setxattr(target, key, value, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_XATTR:
                    raise

    def _make_opaque(self, base: bytes, dir_fd: int) -> None:
        fd = os.open(base, _DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            os.setxattr(fd, self.opaque_name, b"y")
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            raise HostLacks(
                "cannot mark an opaque directory: the store's file system has no extended attributes",
                "put the store on another file system: rcrun --root DIR",
            ) from error
        finally:
            os.close(fd)

    def _finish_directories(self) -> None:
        for name, (member, existed) in reversed(self._directories.items()):
            try:
                fd = open_in_root(self.root_fd, name, _DIRECTORY)
            except OSError:
                continue  # it was replaced by something else
            try:
                if member.xattrs:
                    self._set_xattrs(fd, member)
                if existed or member.mode & 0o7700 != 0o700:
                    os.fchmod(fd, member.mode)
                os.utime(fd, ns=(member.mtime, member.mtime))
            except OSError as error:
                raise failed(member, error) from error
            finally:
                os.close(fd)

    # ---- what was there before

    def _create(self, name: bytes, base: bytes, make: Callable[[], None]) -> None:
        try:
            make()
        except FileExistsError:
            self._clear(name, base)
            make()

    def _clear(self, name: bytes, base: bytes) -> None:
        if stat.S_ISDIR(self._status(base).st_mode):
            remove_tree(base, self._parent_fd)
            self.owners.forget_tree(name)
            below = name + b"/"
            for known in [k for k in self._directories if k == name or k.startswith(below)]:
                del self._directories[known]
            self.implied = {k for k in self.implied if k != name and not k.startswith(below)}
        else:
            os.unlink(base, dir_fd=self._parent_fd)
            self.owners.forget(name)

    def _status(self, base: bytes) -> os.stat_result:
        return os.stat(base, dir_fd=self._parent_fd, follow_symlinks=False)
