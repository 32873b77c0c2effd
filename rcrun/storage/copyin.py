"""Members of a tar become files in a place where others are at work: every name is reached by descriptors, no link is followed."""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import InvalidInput, RcrunError
from rcrun.kernel.syscalls import open_beneath
from rcrun.storage import tarheader
from rcrun.storage.marks import PREFIX
from rcrun.storage.membername import clean, failed
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.storage.marks import Notebook
    from rcrun.storage.tarheader import Member, TarReader

    Owner = Callable[[int, int], tuple[int, int] | None]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FILE = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_XATTR = {errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.EACCES}
MOST_RACES = 10


class Filler:
    """Puts members beneath a directory. The process's umask must be 0.

    `owner` tells whom a member shall belong to (None: whom it happens to); `overwrite` lets a directory replace
    a file and the other way round; `exact` gives directories that are there the looks of the archive's;
    `set_id` keeps set-ID bits. With a notebook owners are noted, where the ids do not exist.
    """

    def __init__(
        self,
        top_fd: int,
        note: Callable[[str], None],
        owner: Owner,
        *,
        overwrite: bool = False,
        exact: bool = False,
        set_id: bool = False,
        notebook: Notebook | None = None,
    ) -> None:
        self.top_fd = top_fd
        self.note = note
        self.owner = owner
        self.overwrite = overwrite
        self.exact = exact
        self.mode_bits = 0o7777 if set_id else 0o777
        self.notebook = notebook
        self._looks: dict[bytes, Member] = {}
        self._parent_name: bytes | None = None
        self._parent_fd = -1
        self._own = (os.geteuid(), os.getegid())
        self._plain_fd = (
            -1
        )  # the parent, if what is made in it is ours and has the mode that was asked for

    def place(self, member: Member, reader: TarReader) -> None:
        name = clean(member.name, member)
        if not name:
            return
        above, _, base = name.rpartition(b"/")
        try:
            if above != self._parent_name:
                self._enter(above)
                self._plain_fd = self._parent_fd if self._is_plain(self._parent_fd) else -1
            self.put(member, name, self._parent_fd, base, reader)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise InvalidInput(
                    f'cannot copy "{member.text()}": on its way there is something else than a directory, or a symbolic link'
                ) from error
            raise _failed(member, error) from error

    def put(self, member: Member, name: bytes, dir_fd: int, base: bytes, reader: TarReader) -> None:
        """The member as `base` in that directory; `name` is what it is called beneath the top."""
        if member.kind in (tarheader.CHARACTER, tarheader.BLOCK_DEVICE):
            self.note(f'left out "{member.text()}": it is a device')
        elif member.kind == tarheader.DIRECTORY:
            self._directory(member, name, dir_fd, base)
        else:
            self._leaf(member, dir_fd, base, reader)

    def finish(self) -> None:
        """Modes and times of directories, which filling them would have changed."""
        for name, member in reversed(self._looks.items()):
            try:
                fd = open_beneath(self.top_fd, name, _DIRECTORY)
            except OSError:
                continue  # somebody replaced it
            try:
                self._set_looks(fd, member)
            finally:
                os.close(fd)
        self.close()

    def close(self) -> None:
        if self._parent_fd >= 0:
            os.close(self._parent_fd)
            self._parent_fd = -1
        self._parent_name = None
        self._plain_fd = -1

    def _is_plain(self, dir_fd: int) -> bool:
        """Nothing comes from the directory: neither a group nor an access list."""
        look = os.fstat(dir_fd)
        if look.st_mode & stat.S_ISGID or look.st_gid != self._own[1]:
            return False
        try:
            return not os.listxattr(f"/proc/self/fd/{dir_fd}")
        except OSError:
            return False

    def _enter(self, name: bytes) -> None:
        self.close()
        try:
            self._parent_fd = open_beneath(self.top_fd, name, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            self._make_parents(name)
            self._parent_fd = open_beneath(self.top_fd, name, os.O_PATH | os.O_DIRECTORY)
        self._parent_name = name

    def _make_parents(self, name: bytes) -> None:
        """An archive need not have the directories of what is in it."""
        parts = name.split(b"/")
        for count in range(1, len(parts) + 1):
            above_fd = open_beneath(self.top_fd, b"/".join(parts[: count - 1]), os.O_PATH)
            try:
                os.mkdir(parts[count - 1], 0o755, dir_fd=above_fd)
                owner = self.owner(0, 0)
                if owner and self.notebook is None:
                    os.chown(parts[count - 1], *owner, dir_fd=above_fd, follow_symlinks=False)
            except FileExistsError:
                pass
            finally:
                os.close(above_fd)

    # ---- what is there already

    def _directory(self, member: Member, name: bytes, dir_fd: int, base: bytes) -> None:
        try:
            os.mkdir(base, 0o700, dir_fd=dir_fd)
        except FileExistsError:
            look = os.stat(base, dir_fd=dir_fd, follow_symlinks=False)
            if stat.S_ISDIR(look.st_mode):
                if self.exact:
                    self._looks[name] = member
                return
            if not self.overwrite:
                raise InvalidInput(
                    f'cannot overwrite non-directory "{_shown(base)}" with directory "{member.text()}"',
                ) from None
            os.unlink(base, dir_fd=dir_fd)
            os.mkdir(base, 0o700, dir_fd=dir_fd)
        self._looks[name] = member

    def _make_room(self, member: Member, dir_fd: int, base: bytes) -> None:
        try:
            look = os.stat(base, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(look.st_mode):
            return
        if not self.overwrite:
            raise InvalidInput(
                f'cannot overwrite directory "{_shown(base)}" with non-directory "{member.text()}"'
            )
        remove_tree(base, dir_fd)

    def _create(
        self, member: Member, dir_fd: int, base: bytes, make: Callable[[], int | None]
    ) -> int | None:
        """In the place of what is there; somebody may put another thing there meanwhile."""
        for _ in range(MOST_RACES):
            try:
                return make()
            except FileExistsError:
                self._make_room(member, dir_fd, base)
                try:
                    os.unlink(base, dir_fd=dir_fd)
                except FileNotFoundError:
                    continue
        raise OSError(errno.EBUSY, "keeps changing while it is written", os.fsdecode(base))

    # ---- kinds of members

    def _leaf(self, member: Member, dir_fd: int, base: bytes, reader: TarReader) -> None:
        if member.kind == tarheader.FILE:
            self._file(member, dir_fd, base, reader)
        elif member.kind == tarheader.HARD_LINK:
            self._hard_link(member, dir_fd, base)
        elif member.kind == tarheader.SYMLINK:
            self._create(member, dir_fd, base, lambda: os.symlink(member.link, base, dir_fd=dir_fd))
            self._pinned(member, dir_fd, base)
        else:
            self._create(member, dir_fd, base, lambda: os.mkfifo(base, 0o600, dir_fd=dir_fd))
            self._pinned(member, dir_fd, base)

    def _file(self, member: Member, dir_fd: int, base: bytes, reader: TarReader) -> None:
        in_place = False
        mode = member.mode & self.mode_bits
        is_plain = dir_fd == self._plain_fd and not mode & 0o7000
        first_mode = mode if is_plain else 0o600
        try:
            fd = os.open(base, _NEW_FILE, first_mode, dir_fd=dir_fd)
        except FileExistsError:
            fd, in_place = self._opened_anew(member, dir_fd, base, first_mode)
        try:
            if member.sparse is None:
                if member.size:
                    reader.copy_data(fd, member.size)
            else:
                for offset, length in member.sparse:
                    os.lseek(fd, offset, os.SEEK_SET)
                    reader.copy_data(fd, length)
                os.ftruncate(fd, member.real_size)
            if not in_place:
                self._set_looks(fd, member, is_plain=is_plain)
        finally:
            os.close(fd)

    def _opened_anew(self, member: Member, dir_fd: int, base: bytes, mode: int) -> tuple[int, bool]:
        """In the place of what is there; true where that is a mount, of which only the content can change."""
        try:
            fd = self._create(
                member, dir_fd, base, lambda: os.open(base, _NEW_FILE, mode, dir_fd=dir_fd)
            )
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return _open_bound(dir_fd, base), True
        assert fd is not None
        return fd, False

    def _hard_link(self, member: Member, dir_fd: int, base: bytes) -> None:
        above, _, target = clean(member.link, member).rpartition(b"/")
        above_fd = open_beneath(self.top_fd, above, os.O_PATH | os.O_DIRECTORY)
        try:
            self._create(
                member,
                dir_fd,
                base,
                lambda: os.link(
                    target, base, src_dir_fd=above_fd, dst_dir_fd=dir_fd, follow_symlinks=False
                ),
            )
        finally:
            os.close(above_fd)

    def _pinned(self, member: Member, dir_fd: int, base: bytes) -> None:
        """Owner, mode and times of what cannot be opened: of the thing itself, never of what a link leads to."""
        pin = os.open(base, _PIN, dir_fd=dir_fd)
        try:
            path = f"/proc/self/fd/{pin}"
            owner = self.owner(member.uid, member.gid)
            if owner and self.notebook is not None:
                self.notebook.note(pin, *owner, is_new=True)
            elif owner:
                os.chown(path, *owner)
            if not stat.S_ISLNK(os.fstat(pin).st_mode):
                os.chmod(path, member.mode & 0o777)
            os.utime(path, ns=(member.mtime, member.mtime))
        finally:
            os.close(pin)

    def _set_looks(self, fd: int, member: Member, *, is_plain: bool = False) -> None:
        """`is_plain`: it was made so, and is ours."""
        owner = self.owner(member.uid, member.gid)
        if owner and self.notebook is not None:
            self.notebook.note(fd, *owner, is_new=member.kind == tarheader.FILE)
        elif owner and not (is_plain and owner == self._own):
            os.fchown(fd, *owner)
        for key, value in (member.xattrs or {}).items():
            if key.startswith(PREFIX):
                continue
            try:
                os.setxattr(fd, key, value)
            except OSError as error:
                if error.errno not in _NO_XATTR:
                    raise
        is_directory = member.kind == tarheader.DIRECTORY  # where 01000 and 02000 are harmless
        if not is_plain:
            os.fchmod(fd, member.mode & (self.mode_bits | 0o3000 * is_directory))
        os.utime(fd, ns=(member.mtime, member.mtime))


def _open_bound(dir_fd: int, base: bytes) -> int:
    look = os.stat(base, dir_fd=dir_fd, follow_symlinks=False)
    if not stat.S_ISREG(look.st_mode):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), os.fsdecode(base))
    return os.open(base, _OLD_FILE, dir_fd=dir_fd)


def _failed(member: Member, error: OSError) -> RcrunError:
    made = failed(member, error)
    made.message = made.message.replace("cannot unpack", "cannot copy", 1)
    return made


def _shown(base: bytes) -> str:
    return tarheader.shown(base)
