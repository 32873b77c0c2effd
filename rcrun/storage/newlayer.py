"""What a container changed becomes a layer of the store in one go: the blob, and the directory beside it. A job of worker.py.

A job is one of layerwrite.py, with `diff_ids` (of the layers below), `scratch` (a directory in tmp/ that the caller has locked),
`kind` (layers/KIND), and `gives_up`: nobody needs the upper directory any more, so it becomes the layer's by its name alone.
The tar goes to descriptor 0, a file that is read again for its digest; what the tar says is what the directory will be.
"""

from __future__ import annotations

import os
import stat

from rcrun.formats.image import chain_ids
from rcrun.storage import layerfiles, layerwrite, marks, tarheader
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.layered import is_whiteout
from rcrun.storage.tarheader import TarReader
from rcrun.storage.trees import remove_tree
from rcrun.storage.unpack import OPAQUE, WHITEOUT, Unpacker
from rcrun.storage.unpacking import own_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Job = dict[str, Any]
    Say = Callable[[object], None]

TAR = 0
CHUNK = 1 << 18
NO_CHANGES = 1024  # a tar with nothing but its end
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")


def make(job: Job, say: Say) -> None:
    """Says `{"digest", "size", "chain"}`; without changes there is no directory when the upper was given up."""
    import hashlib

    layerwrite.layer(job, say)
    content = hashlib.sha256()
    stream = ByteStream(_pieces(content.update))
    size = os.fstat(TAR).st_size
    if job["gives_up"] and size > NO_CHANGES:
        told = Told(stream)
        implied: set[bytes] = set()
        used = Fitting(told).fit(job["upper"])
        owners: list[str] = []
        os.rename(job["upper"], f"{job['scratch']}/diff")
    elif not job["gives_up"]:
        used, owners, implied = _unpacked(job, stream)
    stream.drain()
    diff_id = f"sha256:{content.hexdigest()}"
    *below, chain = chain_ids([*job["diff_ids"], diff_id])
    if os.path.isdir(f"{job['scratch']}/diff"):
        parent = below[-1] if below else None
        layerfiles.write_owners(job["scratch"], owners)
        layerfiles.write_record(job["scratch"], chain, diff_id, used, parent)
        layerfiles.write_pending(job["scratch"], implied if parent else ())
    say({"digest": diff_id, "size": size, "chain": chain})


def _pieces(passed: Callable[[bytes], object]) -> Iterator[bytes]:
    os.lseek(TAR, 0, os.SEEK_SET)
    while data := os.read(TAR, CHUNK):
        passed(data)
        yield data


def _unpacked(job: Job, stream: ByteStream) -> tuple[int, list[str], set[bytes]]:
    diff_dir = f"{job['scratch']}/diff"
    os.mkdir(diff_dir, 0o755)
    root_fd = os.open(diff_dir, _DIRECTORY)
    try:
        unpacker = Unpacker(root_fd, own_ids("uid"), own_ids("gid"), trusted=job["kind"] == "root")
        unpacker.unpack(stream)
        if job["kind"] == "single":
            marks.mark(root_fd, unpacker.owners.records())
        return unpacker.size, unpacker.owners.lines(), unpacker.implied
    finally:
        os.close(root_fd)


class Told:
    """What the tar says of each name that bears on an upper directory: times, whiteouts, opaque directories."""

    def __init__(self, stream: ByteStream) -> None:
        self.times: dict[bytes, int] = {}
        self.whiteouts: set[bytes] = set()
        self.opaque: set[bytes] = set()
        reader = TarReader(stream)
        while (member := reader.next()) is not None:
            name = member.name.rstrip(b"/")
            above, base = os.path.split(name)
            if base == OPAQUE:
                self.opaque.add(above)
            elif base.startswith(WHITEOUT):
                self.whiteouts.add(os.path.join(above, base[len(WHITEOUT) :]))
            elif member.kind != tarheader.HARD_LINK:
                self.times[name] = member.mtime
            else:
                self.times[name] = self.times[member.link]


class Fitting:
    """Makes an upper directory what its layer's tar would unpack to: what the tar has not goes, times are the tar's."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.size = 0
        self._counted: set[int] = set()
        self._levels: list[tuple[int, bytes, list[bytes]]] = []  # descriptor, path, names to come

    def fit(self, upper: str) -> int:
        """Bytes of the files."""
        try:
            os.chmod(upper, 0o755)
            self._enter(os.open(upper, _DIRECTORY), b"")
            while self._levels:
                fd, path, names = self._levels[-1]
                if names:
                    base = names.pop()
                    self._entry(fd, base, path + b"/" + base if path else base)
                else:
                    self._leave()
        finally:
            for level in self._levels:
                os.close(level[0])
        return self.size

    def _enter(self, fd: int, path: bytes) -> None:
        self._levels.append((fd, path, []))
        self._levels[-1][2].extend(map(os.fsencode, os.listdir(fd)))

    def _leave(self) -> None:
        fd, path, _ = self._levels[-1]
        if path:
            if path not in self.told.opaque:
                _show_below(fd)
            os.utime(fd, ns=(self.told.times[path], self.told.times[path]))
        self._levels.pop()
        os.close(fd)

    def _entry(self, fd: int, base: bytes, path: bytes) -> None:
        look = os.stat(base, dir_fd=fd, follow_symlinks=False)
        if is_whiteout(look):
            if path not in self.told.whiteouts:
                os.unlink(base, dir_fd=fd)
        elif path not in self.told.times:
            remove_tree(base, fd)
        elif stat.S_ISDIR(look.st_mode):
            self._enter(os.open(base, _DIRECTORY, dir_fd=fd), path)
        else:
            self._count(look)
            time = self.told.times[path]
            if look.st_mtime_ns != time:
                os.utime(base, ns=(time, time), dir_fd=fd, follow_symlinks=False)

    def _count(self, look: os.stat_result) -> None:
        if stat.S_ISREG(look.st_mode) and look.st_ino not in self._counted:
            self.size += look.st_size
            if look.st_nlink > 1:
                self._counted.add(look.st_ino)


def _show_below(fd: int) -> None:
    """Overlayfs marks each new directory that it makes in place of something."""
    for name in _OPAQUE:
        try:
            os.removexattr(fd, name)
        except OSError:
            continue
