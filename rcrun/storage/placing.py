"""What COPY and ADD bring into a root: a tar from descriptor 0 beneath a directory, which is made. A job of worker.py.

A job: `root` (a path), `path` (of the destination there), `single` (the tar has one file: the path may be the name of it),
`archive` (somebody else's tar, perhaps compressed), `owner` (of directories that are made), `unowned` (of everything the owner is who
does it), `set_id` (whether files keep those bits of their modes), `log` (owners are noted there, and not given).
"""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import InvalidInput, RcrunError
from rcrun.kernel.syscalls import MOST_LINKS, open_in_root
from rcrun.storage import tarheader
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import decompressed
from rcrun.storage.copyin import Filler
from rcrun.storage.copying import STREAM, Notes
from rcrun.storage.marks import Notebook
from rcrun.storage.tarheader import TarReader, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Job = dict[str, Any]
    Say = Callable[[object], None]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def place(job: Job, say: Say) -> None:
    notes = Notes(say)
    job["notebook"] = Notebook(job["log"]) if job.get("log") else None
    stream = ByteStream(_pieces(packed=job["archive"]))
    root_fd = os.open(job["root"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path, name = _destination(root_fd, os.fsencode(job["path"]), single=job["single"])
    try:
        top_fd = _made(root_fd, path, job)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RcrunError(f'cannot make the directory "/{shown(path)}": {reason}') from error
    _fill(top_fd, name, TarReader(stream), job, notes)
    stream.drain()
    notes.finish()


def workdir(job: Job, say: Say) -> None:
    """The directory of WORKDIR, if it is not there."""
    root_fd = os.open(job["root"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = os.fsencode(job["path"])
    job["notebook"] = Notebook(job["log"]) if job.get("log") else None
    try:
        os.close(_made(root_fd, path, job))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(
            f'cannot use "{shown(path)}" as a working directory: {reason}'
        ) from error


def _pieces(*, packed: bool) -> Iterator[bytes]:
    def read(size: int) -> bytes:
        return os.read(STREAM, size)

    if packed:
        yield from decompressed(read)
        return
    while data := read(1 << 18):
        yield data


def _destination(root_fd: int, path: bytes, *, single: bool) -> tuple[bytes, bytes]:
    """The directory, and the name in it: empty where the tar's own names count."""
    if not single or path.endswith(b"/"):
        return path, b""
    try:
        fd = open_in_root(root_fd, path, os.O_PATH)
    except OSError:
        return os.path.split(path)
    try:
        return (path, b"") if stat.S_ISDIR(os.fstat(fd).st_mode) else os.path.split(path)
    finally:
        os.close(fd)


def _made(root_fd: int, path: bytes, job: Job, links: int = 0) -> int:
    """A descriptor of the directory; it and those above it are made if they are missing.

    A link to what is not there is followed within the root, and what it names is made.
    """
    path = path.rstrip(b"/")
    try:
        return open_in_root(root_fd, path or b".", _DIRECTORY)
    except FileNotFoundError:
        pass
    above, base = os.path.split(path)
    above_fd = _made(root_fd, above, job, links)
    try:
        try:
            os.mkdir(base, 0o755, dir_fd=above_fd)
        except FileExistsError:
            if links == MOST_LINKS:
                raise
            target = os.readlink(base, dir_fd=above_fd)
            return _made(root_fd, os.path.join(above, target), job, links + 1)
        fd = os.open(base, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above_fd)
    finally:
        os.close(above_fd)
    if job.get("notebook") is not None:
        job["notebook"].note(fd, *job["owner"], is_new=True)
    elif job["owner"] is not None:
        os.fchown(fd, *job["owner"])
    return fd


def _fill(top_fd: int, name: bytes, reader: TarReader, job: Job, notes: Notes) -> None:
    filler = RootFiller(
        top_fd,
        notes,
        lambda uid, gid: None if job["unowned"] else (uid, gid),
        overwrite=job["archive"],
        exact=True,
        set_id=job["set_id"],
        notebook=job["notebook"],
    )
    filler.archive = job if job["archive"] else None
    while (member := reader.next()) is not None:
        if name and member.kind != tarheader.DIRECTORY:
            member.name = name
        filler.place(member, reader)
    filler.finish()


class RootFiller(Filler):
    """Of an `archive` (its job) links on the way of a member are followed with the destination as the root, as docker does it with what ADD
    unpacks: an archive of a root has such links, lib to usr/lib."""

    archive: Job | None = None

    def _enter(self, name: bytes) -> None:
        try:
            super()._enter(name)
        except OSError as error:
            if self.archive is None or error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            self._parent_fd = _made(self.top_fd, name, self.archive)
            self._parent_name = name
