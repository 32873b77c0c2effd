"""Directory trees by descriptors: removed and walked without following a link, however deep they are."""

from __future__ import annotations

import errno
import os
import stat

MOST_RACES = 1000
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove whatever is there; nothing there is no error, and others may be removing it too."""
    for _ in range(MOST_RACES):
        try:
            _remove_once(path, dir_fd)
            return
        except FileNotFoundError:
            try:
                os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
            except FileNotFoundError:
                return
    raise OSError(errno.EBUSY, "keeps changing while it is removed", os.fsdecode(path))


def _remove_once(path: str | bytes, dir_fd: int | None) -> None:
    try:
        os.unlink(path, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        # unlink(2) of a directory: EISDIR by Linux, EPERM by POSIX.
        if not stat.S_ISDIR(os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            raise
        _empty(path, dir_fd)
        os.rmdir(path, dir_fd=dir_fd)


def _empty(path: str | bytes, dir_fd: int | None) -> None:
    """Go down and up again with one descriptor: neither descriptors nor the stack limit the depth."""
    fd = _open_dir(path, dir_fd)
    levels = [_clear_level(fd)]
    parents: list[tuple[int, int]] = []
    try:
        while True:
            if levels[-1]:
                name = levels[-1][-1]
                parents.append(_identity(fd))
                below = _open_dir(name, fd)
                os.close(fd)
                fd = below
                levels.append(_clear_level(fd))
            elif len(levels) == 1:
                return
            else:
                above = os.open("..", _OPEN_DIR, dir_fd=fd)
                os.close(fd)
                fd = above
                if _identity(fd) != parents.pop():
                    raise OSError(errno.ESTALE, "was moved while it was removed", os.fsdecode(path))
                levels.pop()
                os.rmdir(levels[-1].pop(), dir_fd=fd)
    finally:
        os.close(fd)


def _clear_level(fd: int) -> list[bytes]:
    """Remove what is no directory; the names of those that are."""
    directories = []
    with os.scandir(fd) as entries:
        names = [
            (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries
        ]
    for name, is_dir in names:
        if is_dir:
            directories.append(name)
            continue
        try:
            os.unlink(name, dir_fd=fd)
        except FileNotFoundError:
            pass
    return directories


def _open_dir(name: str | bytes, dir_fd: int | None) -> int:
    """Open a directory; one of ours that forbids even us to look in is opened to us first."""
    fd = -1
    try:
        fd = os.open(name, _OPEN_DIR, dir_fd=dir_fd)
        if os.fstat(fd).st_mode & 0o700 != 0o700 and os.fstat(fd).st_uid == os.geteuid():
            os.fchmod(fd, 0o700)
    except PermissionError:
        if fd >= 0:
            return fd
        path_fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
        try:
            os.chmod(f"/proc/self/fd/{path_fd}", 0o700)
        finally:
            os.close(path_fd)
        fd = os.open(name, _OPEN_DIR, dir_fd=dir_fd)
    return fd


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def stuck_hint(path: str) -> str:
    """For a tree that even root of our ids may not remove."""
    from shlex import quote

    return (
        "its files may belong to ids that /etc/subuid and /etc/subgid do not give you any more; "
        f"run: sudo rm -rf {quote(path)}"
    )
