"""A container's changes as the tar of a layer, its whole root as one tar, and its changes as lines: jobs of worker.py.

Owners are written as the container sees them; what the file system could not record (owners.jsonl) is put back.
"""

from __future__ import annotations

import os
import stat

from rcrun.storage import marks, owners, tarheader, tarwrite
from rcrun.storage.changes import ADDED, DELETED, Changes
from rcrun.storage.copying import STREAM, Notes, translation
from rcrun.storage.pack import KINDS, OPEN_DIR, Packer
from rcrun.storage.tarwrite import TarWriter, to_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from rcrun.storage.changes import Change
    from rcrun.storage.owners import Record
    from rcrun.storage.tarheader import Member
    from rcrun.storage.tarwrite import Buffered

    Job = dict[str, Any]
    Say = Callable[[object], None]

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_ORIGINS = ("user.overlay.origin", "trusted.overlay.origin", "user.fuseoverlayfs.origin")
_KINDS_OF_LETTERS = {"-": "0", "l": "2", "c": "3", "b": "4", "d": "5", "p": "6"}


def tell(job: Job, say: Say) -> None:
    """Each change as an event."""
    for change in _changes(job).walk():
        say({"change": change.kind, "path": os.fsdecode(change.path)})


def _changes(job: Job) -> Changes:
    return Changes(
        job["upper"],
        job["lowers"],
        whole=job["whole"],
        fuse=job["driver"] == "fuse-overlayfs",
        hidden=[os.fsencode(path) for path in job["hidden"]],
        ids=(job["uids"], job["gids"]) if job.get("shifted") else None,
    )


class Recorded:
    """What owners.jsonl beside each lower says."""

    def __init__(self, lowers: Iterable[str]) -> None:
        self.of_lower = [owners.read(f"{os.path.dirname(lower)}/owners.jsonl") for lower in lowers]

    def give_back(self, entry: Member, name: bytes, layer: int) -> bool:
        """To a copy of a lower's file, with the bits of its mode that went with them."""
        return entry.uid == entry.gid == 0 and give(
            entry, self.of_lower[layer].get(os.fsdecode(name))
        )


def give(entry: Member, record: Record | None) -> bool:
    if record is None or _KINDS_OF_LETTERS[record[4]] != entry.kind:
        return False
    entry.uid, entry.gid = record[1], record[2]
    if entry.mode & 0o777 == record[3] & 0o777:
        entry.mode |= record[3] & 0o7000
    return True


class Told:
    """What the tar of a layer says of each name that bears on an upper directory: times, whiteouts, opaque directories.

    `late` are files whose time there is another than the tar's; `size` are the bytes of the files.
    """

    def __init__(self) -> None:
        self.times: dict[bytes, int] = {}
        self.late: set[bytes] = set()
        self.whiteouts: set[bytes] = set()
        self.opaque: set[bytes] = set()
        self.size = 0
        self._counted: set[int] = set()

    def note(self, name: bytes, mtime: int, look: os.stat_result) -> None:
        self.times[name] = mtime
        if look.st_mtime_ns != mtime:
            self.late.add(name)
        if stat.S_ISREG(look.st_mode) and look.st_ino not in self._counted:
            self.size += look.st_size
            if look.st_nlink > 1:
                self._counted.add(look.st_ino)


def layer(
    job: Job,
    say: Say,
    write: Buffered | None = None,
    told: Told | None = None,
    own: tuple[int, int] | None = None,
) -> None:
    """The changes as a layer, in one order and without the time of anything but the files. `own` as in pack.py."""
    notes = Notes(say)
    write = write or to_descriptor(STREAM)
    told = told or Told()
    writer = TarWriter(write)
    recorded, log = Recorded(job["lowers"]), marks.Log(job.get("log") or "")
    current: list[Change] = []
    translate = translation(job) or _no_translation
    newest = job.get("newest")  # nanoseconds: what was changed later gets this time

    def adjust(entry: Member, name: bytes, pin: int) -> None:
        layer = current[0].layer
        is_copy = layer >= 0 and (job["whole"] or _is_copied_up(pin, entry.kind))
        below = f"{job['lowers'][layer]}/{os.fsdecode(name)}" if layer >= 0 else ""
        asked = packer.mark or log.asked(pin, below)
        if asked:
            entry.uid = entry.gid = 0
        is_given = is_copy and recorded.give_back(entry, name, layer)
        if asked:
            marks.settle(entry, asked)
        elif not is_given and not (is_copy and job.get("single")):
            translate(entry, name, pin)
        if newest is not None:
            entry.mtime = min(entry.mtime, newest)
        if packer.look is not None:
            told.note(name, entry.mtime, packer.look)

    packer = Packer(writer, notes, adjust=adjust, whole_seconds=True, own=own)
    for change in _changes(job).walk():
        current[:] = [change]
        _write_change(change, packer, writer, notes, told)
    writer.end()
    write.flush()
    notes.finish()


def _no_translation(entry: Member, name: bytes, pin: int) -> None:
    """The worker's numbers are the container's."""


def _is_copied_up(pin: int, kind: str) -> bool:
    """Not made anew in the place of a lower's file; a link, which cannot tell, is taken for a copy."""
    if kind not in (tarheader.FILE, tarheader.DIRECTORY):
        return True
    return any(name in os.listxattr(f"/proc/self/fd/{pin}") for name in _ORIGINS)


def _write_change(
    change: Change, packer: Packer, writer: TarWriter, notes: Notes, told: Told
) -> None:
    above, _, base = change.path.rpartition(b"/")
    if base.startswith(WHITEOUT):
        notes(f'left out "{tarheader.shown(change.path)}": in a layer its name means a deletion')
    elif change.kind == DELETED:
        if not change.is_implied:
            told.whiteouts.add(change.path)
            _write_empty(writer, above, WHITEOUT + base)
    else:
        fd = packer.entry(change.dir_fd, change.base, change.path, is_file=change.is_file)
        if fd is not None:
            os.close(fd)
            if change.is_opaque and change.kind != ADDED:
                told.opaque.add(change.path)
                _write_empty(writer, change.path, OPAQUE)


def _write_empty(writer: TarWriter, above: bytes, base: bytes) -> None:
    name = above + b"/" + base if above else base
    writer.add(tarwrite.member(name, tarheader.FILE, 0))


# ---- the whole root


def export(job: Job, say: Say) -> None:
    """`root` is the merged root without its mounts; `upper` and `lowers` are for what the records of the layers know."""
    from rcrun.storage.walkahead import WalkAhead

    notes = Notes(say)
    write = to_descriptor(STREAM)
    writer = TarWriter(write)
    uppers = [] if job["whole"] else [job["upper"]]
    records = visible_records(uppers, job["lowers"], root=job["root"])
    log = marks.Log(job.get("log") or "")
    translate = translation(job) or _no_translation

    def adjust(entry: Member, name: bytes, pin: int) -> None:
        asked = packer.mark
        if log and not asked:
            asked = log.asked(pin, _first_below(job["lowers"], name))
        if asked:
            entry.uid = entry.gid = 0
        is_given = entry.uid == entry.gid == 0 and give(entry, records.get(name))
        if asked:
            marks.settle(entry, asked)
        elif not is_given:
            translate(entry, name, pin)

    packer = Packer(writer, notes, adjust=adjust, whole_seconds=True)
    devices = _devices(records)
    root = os.open(job["root"], OPEN_DIR)
    with WalkAhead(root):
        packer.content(root, b"", lambda name: devices.pop(name, ()))
    writer.end()
    write.flush()
    notes.finish()


def _first_below(lowers: Iterable[str], name: bytes) -> str:
    paths = (f"{lower}/{os.fsdecode(name)}" for lower in lowers)
    return next((path for path in paths if os.path.lexists(path)), "")


def _devices(records: dict[bytes, Record]) -> dict[bytes, list[Member]]:
    """Nodes that could not be made, by their directories."""
    found: dict[bytes, list[Member]] = {}
    for name, (_, uid, gid, mode, letter, major, minor) in sorted(records.items()):
        if letter in "cb":
            entry = tarwrite.member(name, _KINDS_OF_LETTERS[letter], mode)
            entry.uid, entry.gid, entry.major, entry.minor = uid, gid, major, minor
            found.setdefault(name.rpartition(b"/")[0], []).append(entry)
    return found


def visible_records(uppers: list[str], lowers: list[str], *, root: str = "") -> dict[bytes, Record]:
    """The records of files that nothing above them hides.

    Where the root is mounted over the top lower, that one cannot be seen, and what shows there has to do.
    """
    found: dict[bytes, Record] = {}
    covered = [lower for lower in lowers[:1] if lower == root]
    for at, lower in enumerate(lowers):
        for path, record in owners.read(f"{os.path.dirname(lower)}/owners.jsonl").items():
            name = os.fsencode(path)
            if name in found or any(
                _hides(above, name, record) for above in lowers[len(covered) : at]
            ):
                continue
            copying = uppers + covered[:at]
            if not any(_hides(upper, name, record, copies=True) for upper in copying):
                found[name] = record
    return found


def _hides(layer_dir: str, name: bytes, record: Record, *, copies: bool = False) -> bool:
    """Whether a layer above has something else there; `copies`: the same kind of thing is a copy of it."""
    from rcrun.storage.changes import is_opaque

    fd = os.open(layer_dir, OPEN_DIR)
    try:
        *above, base = name.split(b"/")
        covered = False
        for part in above:
            look = _look(part, fd)
            if look is None:
                return covered
            if not stat.S_ISDIR(look.st_mode):
                return True
            below = os.open(part, OPEN_DIR, dir_fd=fd)
            os.close(fd)
            fd = below
            covered = covered or is_opaque(fd)
        look = _look(base, fd)
        if look is None:
            return covered
        return covered or not (copies and _is_copy(fd, base, record))
    finally:
        os.close(fd)


def _is_copy(dir_fd: int, base: bytes, record: Record) -> bool:
    pin = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        kind = KINDS.get(stat.S_IFMT(os.fstat(pin).st_mode), "")
        return kind == _KINDS_OF_LETTERS[record[4]] and _is_copied_up(pin, kind)
    finally:
        os.close(pin)


def _look(name: bytes, dir_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
