"""Both ends of `cp`, each a process of its own where it has the ids that it needs: one packs a tree, the other unpacks it.

Between them goes a tar whose first member, `.`, is what is copied, so that the receiver decides what to call it.
A *job* is a JSON object (jobs of `send` and `receive` are drawn up in engine/copy.py).
"""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import idmap
from rcrun.storage import tarheader
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.pack import OPEN_DIR, Packer
from rcrun.storage.place import Place, Spot, asks_directory, require_directory
from rcrun.storage.tarheader import TarReader, shown
from rcrun.storage.tarwrite import TarWriter, to_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rcrun.storage.copyin import Filler
    from rcrun.storage.tarheader import Member

    Job = dict[str, Any]
    Say = Callable[[object], None]

STREAM = 0  # the tar comes and goes by this descriptor
MOST_NOTES = 100  # nobody may read them before we are done, and a pipe holds 64 KiB
MOST_NOTE = 400
ADVANCE = 1 << 22
NOBODY = 65534


class Notes:
    """What did not stop us, for people; a tree of a million devices is told of once."""

    __slots__ = ("_say", "count")

    def __init__(self, say: Say) -> None:
        self._say = say
        self.count = 0

    def __call__(self, text: str) -> None:
        self.count += 1
        if self.count <= MOST_NOTES:
            self._say({"note": text[:MOST_NOTE]})

    def finish(self) -> None:
        if self.count > MOST_NOTES:
            self._say({"note": f"and {self.count - MOST_NOTES} more like these"})


class Advances:
    """Now and then how many bytes went by."""

    __slots__ = ("_say", "_since")

    def __init__(self, say: Say) -> None:
        self._say = say
        self._since = 0

    def __call__(self, count: int) -> None:
        self._since += count
        if self._since >= ADVANCE:
            self.finish()

    def finish(self) -> None:
        if self._since:
            self._say({"advanced": self._since})
            self._since = 0


def place_of(job: Job) -> Place:
    """`root` is a path or a descriptor; without it, the host as the caller sees it."""
    root = job.get("root")
    if isinstance(root, str):
        root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return Place(root, job.get("label", ""))


# ---- sending


def send(job: Job, say: Say) -> None:
    """`path` as typed; `follow` a link at its end; `name` is what the first member is called; ids by `uids`, `gids`."""
    place, path = place_of(job), os.fsencode(job["path"])
    spot = _source(place, path, follow=job["follow"] or asks_directory(path))
    notes, advances = Notes(say), Advances(say)
    write = to_descriptor(STREAM)
    writer = TarWriter(write)
    packer = Packer(writer, notes, adjust=translation(job), devices=False, acls=False)
    packer.advanced = advances
    try:
        packer.tree(spot.dir_fd, spot.base, os.fsencode(job["name"]))
        if not writer.size:
            raise InvalidInput(
                f'cannot copy "{place.text(path)}": it is neither a file nor a directory'
            )
        writer.end()
        write.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise _worded(place, path, error) from error
    advances.finish()
    notes.finish()


def _source(place: Place, path: bytes, *, follow: bool) -> Spot:
    try:
        spot = place.settle(path, follow=follow)
        look = spot.look()
    except OSError as error:
        raise _worded(place, path, error) from error
    if look is None:
        raise NotFound(f'could not find the file "{place.text(path)}"')
    require_directory(place, path, look)
    return spot


def translation(job: Job) -> Callable[[Member, bytes, int], object] | None:
    """Gives members the ids that the container knows their owners by."""
    uids, gids = job.get("uids"), job.get("gids")
    if uids is None or gids is None:
        return None

    def translate(entry: Member, name: bytes, pin: int) -> None:
        entry.uid = _translated(uids, entry.uid, NOBODY)
        entry.gid = _translated(gids, entry.gid, NOBODY)

    return translate


def _translated(rows: Any, number: int, otherwise: int) -> int:
    found = idmap.to_outside(rows, number)
    return otherwise if found is None else found


# ---- receiving


def receive(job: Job, say: Say) -> None:
    """`path` as typed; `source` what the first member shall be called in a directory, empty: its content goes there.

    With `members` the tar is somebody else's, compressed or not, and goes into the directory as it is.
    """
    notes = Notes(say)
    place, path = place_of(job), os.fsencode(job["path"])
    stream = ByteStream(_pieces(say, packed=job.get("members", False)))
    reader = TarReader(stream)
    first = None if job.get("members") else reader.next()
    if first is None and not job.get("members"):
        return  # the sender says why
    try:
        if first is None:
            _members(_directory(place, path), reader, job, notes)
        else:
            _tree(place, path, first, reader, job, notes)
    except OSError as error:
        raise _worded(place, path, error) from error
    stream.drain()
    notes.finish()


def _pieces(say: Say, *, packed: bool) -> Iterator[bytes]:
    advances = Advances(say)

    def read(size: int) -> bytes:
        data = os.read(STREAM, size)
        if packed:
            advances(len(data))
        return data

    if packed:
        from rcrun.storage.compression import decompressed

        yield from decompressed(read)
    else:
        while data := read(1 << 18):
            yield data
    advances.finish()


def _directory(place: Place, path: bytes) -> int:
    try:
        spot = place.settle(path, follow=True)
    except FileNotFoundError:
        raise _nothing_there(place, path) from None
    look = spot.look()
    if look is None:
        raise _nothing_there(place, path)
    if not stat.S_ISDIR(look.st_mode):
        raise InvalidInput(f'the destination "{place.text(path)}" must be a directory')
    return os.open(spot.base, OPEN_DIR, dir_fd=spot.dir_fd)


def _nothing_there(place: Place, path: bytes) -> RcrunError:
    return NotFound(f'could not find the file "{place.text(path)}"')


def _tree(
    place: Place, path: bytes, first: Member, reader: TarReader, job: Job, notes: Notes
) -> None:
    """Docker's table: what the destination is, and what the source."""
    is_directory = first.kind == tarheader.DIRECTORY
    try:
        spot = place.settle(path, follow=True)
    except FileNotFoundError:
        above = os.path.dirname(path.rstrip(b"/"))
        raise NotFound(f'no such directory: "{place.text(above)}"') from None
    look = spot.look()
    if look is None and asks_directory(path) and not is_directory:
        raise NotFound(f'no such directory: "{place.text(path)}"')
    require_directory(place, path, look)
    source = os.fsencode(job["source"])
    if look is not None and stat.S_ISDIR(look.st_mode):
        inside = os.open(spot.base, OPEN_DIR, dir_fd=spot.dir_fd)
        if source or not is_directory:
            _named(Spot(inside, source), first, reader, job, notes)
        else:
            _members(inside, reader, job, notes)
        return
    if look is not None and is_directory and not job.get("overwrite"):
        raise InvalidInput(f'cannot copy a directory to the file "{place.text(path)}"')
    _named(spot, first, reader, job, notes)


def _named(spot: Spot, first: Member, reader: TarReader, job: Job, notes: Notes) -> None:
    """The first member under this name, and what is in it."""
    maker = _filler(spot.dir_fd, job, notes)
    kind = first.kind
    first.name = spot.base
    try:
        maker.put(first, spot.base, spot.dir_fd, spot.base, reader)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT):
            reason = (error.strerror or "").lower()
            raise RcrunError(f'cannot write "{shown(spot.base)}": {reason}') from error
        raise
    if kind == tarheader.DIRECTORY:
        _members(os.open(spot.base, OPEN_DIR, dir_fd=spot.dir_fd), reader, job, notes)
    maker.finish()


def _members(top_fd: int, reader: TarReader, job: Job, notes: Notes) -> None:
    filler = _filler(top_fd, job, notes)
    while (member := reader.next()) is not None:
        filler.place(member, reader)
    filler.finish()


def _filler(top_fd: int, job: Job, notes: Notes) -> Filler:
    from rcrun.storage.copyin import Filler

    return Filler(
        top_fd,
        notes,
        _owner(job, notes),
        overwrite=job.get("overwrite", False),
        exact=job.get("archive", False),
        set_id=job.get("set_id", False),
    )


def _owner(job: Job, notes: Notes) -> Callable[[int, int], tuple[int, int] | None]:
    """`owner`: everything belongs to these; else, with `uids` and `gids`, to whom it says; else to who copies."""
    fixed = job.get("owner")
    if fixed is not None:
        return lambda uid, gid: (fixed[0], fixed[1])
    uids, gids = job.get("uids"), job.get("gids")
    if uids is None or gids is None:
        return lambda uid, gid: None
    told: set[tuple[int, int]] = set()

    def owner(uid: int, gid: int) -> tuple[int, int]:
        own_uid, own_gid = _translated(uids, uid, -1), _translated(gids, gid, -1)
        if -1 in (own_uid, own_gid) and (uid, gid) not in told:
            told.add((uid, gid))
            notes(
                f"files of {uid}:{gid} go to the container's root: these ids are not mapped in it"
            )
        return max(own_uid, 0), max(own_gid, 0)

    return owner


def _worded(place: Place, path: bytes, error: OSError) -> RcrunError:
    text = place.text(path)
    if error.errno == errno.ENOENT:
        return NotFound(f'could not find the file "{text}"')
    reason = (error.strerror or str(error)).lower()
    return RcrunError(f'cannot copy "{text}": {reason}')
