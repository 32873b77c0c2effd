"""The sources of COPY and ADD as a tar: chosen by patterns, less what is ignored, in one order and with the looks that
the instruction gives them, so that the same files give the same bytes. A job of worker.py.

A job: `root` (a path; the caller's own view of the host when `direct`), `sources` (paths or patterns), `ignore` (patterns
of paths beneath the root), `exclude` (patterns of paths beneath a source), `parents`, `mtime` (seconds, or null: as they are), `owner` (or null: as they are), `mode` (as chmod writes it, or null),
`lowers` (the layers that the root shows, for the owners that their files could not be given). With `most` descriptor 0 is a file
that keeps so many bytes of the tar, and its digest is told, as `{"digest", "kept"}`.
"""

from __future__ import annotations

import os
import stat

from rcrun.errors import InvalidInput, NotFound
from rcrun.formats.chmod import changed
from rcrun.formats.containerfile.ignore import Ignored
from rcrun.storage import tarheader
from rcrun.storage.copying import STREAM, Notes
from rcrun.storage.pack import OPEN_DIR, Packer
from rcrun.storage.place import Place
from rcrun.storage.tarsum import TarSum
from rcrun.storage.tarwrite import Buffered, TarWriter, member, to_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from rcrun.storage.owners import Record
    from rcrun.storage.tarheader import Member

    Job = dict[str, Any]
    Say = Callable[[object], None]

_WILD = frozenset("*?[\\")


def gather(job: Job, say: Say) -> None:
    """Says `{"kind": …}` of each source: file, directory or other; in the tar the content of a directory has no name before it."""
    notes = Notes(say)
    tar = _Tar(job)
    writer = tar.writer
    gathering = Gathering(job, writer, notes)
    count = 0
    for source in job["sources"]:
        for path in gathering.choice.chosen(os.fsencode(source)):
            kind = gathering.add(path, _pivot_of(source))
            if kind:
                say({"kind": kind})
                count += 1
            elif not _WILD.intersection(source):
                raise _not_found(path, "it is ignored")
    if not count:
        raise _not_found(os.fsencode(job["sources"][0]), "nothing fits the pattern")
    tar.finish(say)
    notes.finish()


class _Tar:
    """To descriptor 0, or what `most` says."""

    def __init__(self, job: Job) -> None:
        self._sum = TarSum(STREAM, job["most"]) if "most" in job else None
        self._write = Buffered(self._sum) if self._sum else to_descriptor(STREAM)
        self.writer = TarWriter(self._write)

    def finish(self, say: Say) -> None:
        self.writer.end()
        self._write.flush()
        if self._sum:
            say(self._sum.told())


class Choice:
    """What the words of COPY and ADD name beneath a root, less what is ignored; its `root_fd` is the caller's to close.

    `deep`: `**` reaches beyond slashes, as with --parents.
    """

    def __init__(self, root: str, ignore: Sequence[str], *, deep: bool = False) -> None:
        self.root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.place = Place(self.root_fd)
        self.ignored = Ignored(ignore)
        self.deep = deep

    def chosen(self, source: bytes) -> Iterator[bytes]:
        """Paths without a slash in front; a pattern may fit nothing beside others that fit, a plain path must be there."""
        parts = [part for part in source.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise InvalidInput(f'"{os.fsdecode(source)}" leads out of the context')
        if not _WILD.intersection(os.fsdecode(source)):
            path = b"/".join(parts)
            if path and self._is_left_out(path):
                raise _not_found(source, "it is ignored")
            yield path
            return
        yield from sorted(set(self._fitting(b"", parts)))

    def _fitting(self, above: bytes, parts: list[bytes]) -> Iterator[bytes]:
        """As Go's filepath.Glob: a pattern of one part does not reach beyond a slash."""
        if not parts:
            yield above
            return
        if parts[0] == b"**" and self.deep:
            yield from self._fitting(above, parts[1:])
            if len(parts) == 1:
                return
            parts = [b"*", *parts]
        pattern = Ignored([os.fsdecode(parts[0]).replace("!", "\\!", 1)])
        try:
            fd = self.place.open(above or b".", os.O_RDONLY | os.O_DIRECTORY)
        except (NotADirectoryError, FileNotFoundError):
            return
        try:
            names = os.listdir(fd)
        finally:
            os.close(fd)
        for name in names:
            path = os.path.join(above, os.fsencode(name))
            if pattern(name) and not self._is_left_out(path):
                yield from self._fitting(path, parts[1:])

    def _is_left_out(self, path: bytes) -> bool:
        """Of a directory of which something comes back, what is in it is asked one by one."""
        if not self.ignored(os.fsdecode(path)):
            return False
        if not self.ignored.has_exceptions:
            return True
        try:
            fd = self.place.open(path, os.O_PATH)
        except OSError:
            return True
        try:
            return not stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)


class Gathering:
    def __init__(self, job: Job, writer: TarWriter, note: Notes) -> None:
        self.job = job
        self.choice = Choice(job["root"], job["ignore"], deep=job["parents"])
        self.place = self.choice.place
        self.ignored = self.choice.ignored
        self.excluded = Ignored(job["exclude"])
        self.packer = Packer(writer, note, adjust=self._adjust, devices=False, whole_seconds=True)
        self.records = self._records() if job["owner"] is None else {}
        self._parents_made: set[bytes] = set()
        self._pivot = 0  # with parents: how many directories of a path its name in the tar lacks

    def _records(self) -> dict[bytes, Record]:
        from rcrun.storage.layerwrite import visible_records

        lowers = self.job.get("lowers") or []
        root = self.job["root"] if len(lowers) > 1 else ""
        return visible_records([], lowers, root=root)

    def _give_owner(self, entry: Member, pin: int) -> None:
        """By where it is in the root, whatever it is called in the tar."""
        from rcrun.storage.layerwrite import give

        top, path = (os.readlink(b"/proc/self/fd/%d" % fd) for fd in (self.choice.root_fd, pin))
        give(entry, self.records.get(path[len(top) :].lstrip(b"/")))

    def _adjust(self, entry: Member, name: bytes, pin: int) -> None:
        job = self.job
        if job["mtime"] is not None:
            entry.mtime = job["mtime"] * 1_000_000_000
        if self.records and entry.uid == entry.gid == 0:
            self._give_owner(entry, pin)
        if job["owner"] is not None:
            entry.uid, entry.gid = job["owner"]
        if job["mode"] is not None and entry.kind != tarheader.SYMLINK:
            entry.mode = changed(job["mode"], entry.mode, is_dir=entry.kind == tarheader.DIRECTORY)

    # ---- into the tar

    def add(self, path: bytes, pivot: int = 0) -> str:
        """Its kind; empty for a directory that is ignored with all that is in it. A file by its name, of a directory what is in it; a link that is named itself is followed."""
        try:
            spot = self.place.settle(path or b".", follow=not self.job["parents"])
            look = spot.look()
        except OSError as error:
            raise _not_found(path, (error.strerror or "").lower()) from error
        if look is None:
            raise _not_found(path, "there is no such file or directory")
        self._pivot = pivot
        name = self._name(path)
        try:
            if not stat.S_ISDIR(look.st_mode):
                if self.excluded and self.excluded(os.fsdecode(os.path.basename(path))):
                    return "file"
                self.packer.entry(spot.dir_fd, spot.base, name)
                return "file" if stat.S_ISREG(look.st_mode) else "other"
            fd = os.open(spot.base, OPEN_DIR, dir_fd=spot.dir_fd)
            if self.job["parents"] and name:
                below = self.packer.entry(spot.dir_fd, spot.base, name)
                if below is not None:
                    os.close(below)
            before = self.packer.writer.size
            self._content(fd, path, name if self.job["parents"] else b"")
            is_left_out = bool(path) and self.ignored(os.fsdecode(path))
            return "" if is_left_out and before == self.packer.writer.size else "directory"
        finally:
            spot.close()

    def _name(self, path: bytes) -> bytes:
        """With --parents the whole path, from a `/./` on; its directories come first."""
        if not self.job["parents"]:
            return os.path.basename(path)
        parts = path.split(b"/")
        for end in range(self._pivot + 1, len(parts)):
            above, name = b"/".join(parts[:end]), b"/".join(parts[self._pivot : end])
            if name not in self._parents_made:
                self._parents_made.add(name)
                self._directory(above, name)
        return b"/".join(parts[self._pivot :])

    def _directory(self, path: bytes, name: bytes) -> None:
        spot = self.place.settle(path, follow=False)
        try:
            below = self.packer.entry(spot.dir_fd, spot.base, name)
            if below is not None:
                os.close(below)
        finally:
            spot.close()

    def _content(self, fd: int, path: bytes, name: bytes) -> None:
        """What is in a directory, whose descriptor is closed; one that is left out appears if something in it does not."""
        waiting: list[tuple[bytes, bytes]] = []
        self._walk(fd, path, name, waiting)

    def _walk(self, fd: int, path: bytes, name: bytes, waiting: list[tuple[bytes, bytes]]) -> None:
        try:
            for base, is_directory, is_file in _entries(fd):
                here = path + b"/" + base if path else base
                called = name + b"/" + base if name else base
                if self.excluded and self.excluded(os.fsdecode(called)):
                    continue
                left_out = self.ignored(os.fsdecode(here)) if self.ignored else False
                if is_directory:
                    self._descend(fd, base, here, called, waiting, left_out=left_out)
                elif not left_out:
                    self._bring(waiting)
                    self.packer.entry(fd, base, called, is_file=is_file)
        finally:
            os.close(fd)

    def _descend(
        self,
        fd: int,
        base: bytes,
        here: bytes,
        called: bytes,
        waiting: list[tuple[bytes, bytes]],
        *,
        left_out: bool,
    ) -> None:
        if left_out and not self.ignored.has_exceptions:
            return
        if left_out:
            waiting.append((here, called))
        else:
            self._bring(waiting)
            below = self.packer.entry(fd, base, called)
            if below is not None:
                os.close(below)
        self._walk(os.open(base, OPEN_DIR, dir_fd=fd), here, called, waiting)
        if waiting and waiting[-1] == (here, called):
            waiting.pop()

    def _bring(self, waiting: list[tuple[bytes, bytes]]) -> None:
        """The directories above something that is in."""
        for here, called in waiting:
            spot = self.place.settle(here, follow=False)
            try:
                below = self.packer.entry(spot.dir_fd, spot.base, called)
                if below is not None:
                    os.close(below)
            finally:
                spot.close()
        waiting.clear()


def _pivot_of(source: str) -> int:
    """How many directories stand before the `/./` of a source."""
    before, pivot, _ = source.partition("/./")
    return len([part for part in before.split("/") if part not in ("", ".")]) if pivot else 0


def _entries(fd: int) -> list[tuple[bytes, bool, bool]]:
    """In one order; with the name comes whether it is a directory, or a plain file."""
    with os.scandir(fd) as entries:
        found = [
            (
                os.fsencode(each.name),
                each.is_dir(follow_symlinks=False),
                each.is_file(follow_symlinks=False),
            )
            for each in entries
        ]
    return sorted(found)


def texts(job: Job, say: Say) -> None:
    """`files`: pairs of a name and its text, as here-documents have them."""
    tar = _Tar(job)
    for name, text in job["files"]:
        data = os.fsencode(text)
        entry = member(
            os.fsencode(name), tarheader.FILE, changed(job["mode"] or "644", 0o644, is_dir=False)
        )
        entry.size = entry.real_size = len(data)
        entry.mtime = (job["mtime"] or 0) * 1_000_000_000
        entry.uid, entry.gid = job["owner"] or (0, 0)
        tar.writer.add(entry, [data])
        say({"kind": "file"})
    tar.finish(say)


def _not_found(path: bytes, reason: str) -> NotFound:
    return NotFound(f'"{tarheader.shown(path)}" is not in the context: {reason}')
