"""What a container changed becomes a layer of the store in one go: the blob, and the directory beside it.

A job of worker.py; the caller himself does a small one that needs no ids but his own.

A job is one of layerwrite.py, with `diff_ids` (of the layers below), `scratch` (a directory in tmp/ that the caller has locked),
`kind` (layers/KIND), and `gives_up`: nobody needs the upper directory any more, so it becomes the layer's by its name alone.
The tar goes to a file, the worker's descriptor 0; what the tar says is what the directory will be.
"""

from __future__ import annotations

import os
import stat

from rcrun.files import write_all
from rcrun.formats import digest as digests
from rcrun.formats.image import chain_ids
from rcrun.storage import layerfiles, layerwrite, marks
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.layered import is_whiteout
from rcrun.storage.layerwrite import Told
from rcrun.storage.owners import Ids, own_ids
from rcrun.storage.pack import OPEN_DIR, names_of
from rcrun.storage.tarwrite import Buffered
from rcrun.storage.trees import remove_tree
from rcrun.storage.unpack import Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rcrun.kernel.identity import Identity
    from rcrun.storage.blobs import Hash

    Job = dict[str, Any]
    Say = Callable[[object], None]

CHUNK = 1 << 18
NO_CHANGES = 1024  # a tar with nothing but its end
_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")


class As:
    """Who makes a layer: `own` as in pack.py, and the ids that its files can have."""

    __slots__ = ("gids", "own", "uids")

    def __init__(self, own: tuple[int, int] | None, uids: Ids, gids: Ids) -> None:
        self.own = own
        self.uids = uids
        self.gids = gids


def as_worker() -> As:
    return As(None, own_ids("uid"), own_ids("gid"))


def as_caller(identity: Identity) -> As:
    """The layer is what his worker's would be, or fails where that needs another id than his own."""
    own = None if identity.kind == "root" else (identity.uid, identity.gid)
    return As(own, Ids(identity.uid_map), Ids(identity.gid_map))


def make(job: Job, say: Say, tar: int, who: As) -> None:
    """Says `{"digest", "size", "chain"}`; without changes there is no directory when the upper was given up.

    The process's umask must be 0.
    """
    content: Hash | None = None

    def write(data: bytes) -> None:
        nonlocal content
        content = content or _hash_for(data)
        content.update(data)
        write_all(tar, data)

    told = Told()
    layerwrite.layer(job, say, Buffered(write), told, who.own)
    size = os.fstat(tar).st_size
    if job["gives_up"] and size > NO_CHANGES:
        Fitting(told).fit(job["upper"])
        used, owners, implied = told.size, list[str](), set[bytes]()
        os.rename(job["upper"], f"{job['scratch']}/diff")
    elif not job["gives_up"]:
        used, owners, implied = _unpacked(job, ByteStream(_pieces(tar)), who)
    assert content is not None
    diff_id = f"sha256:{content.hexdigest()}"
    *below, chain = chain_ids([*job["diff_ids"], diff_id])
    if os.path.isdir(f"{job['scratch']}/diff"):
        parent = below[-1] if below else None
        layerfiles.write_owners(job["scratch"], owners)
        layerfiles.write_record(job["scratch"], chain, diff_id, used, parent)
        layerfiles.write_pending(job["scratch"], implied if parent else ())
    say({"digest": diff_id, "size": size, "chain": chain})


def _hash_for(first: bytes) -> Hash:
    """A tar that is one small piece does not need the library that takes milliseconds to load."""
    if len(first) < Buffered.MOST:
        found: Hash = digests.small()
        return found
    import hashlib

    return hashlib.sha256()


def _pieces(tar: int) -> Iterator[bytes]:
    os.lseek(tar, 0, os.SEEK_SET)
    while data := os.read(tar, CHUNK):
        yield data


def _unpacked(job: Job, stream: ByteStream, who: As) -> tuple[int, list[str], set[bytes]]:
    diff_dir = f"{job['scratch']}/diff"
    os.mkdir(diff_dir, 0o755)
    root_fd = os.open(diff_dir, OPEN_DIR)
    try:
        unpacker = Unpacker(root_fd, who.uids, who.gids, trusted=job["kind"] == "root")
        unpacker.unpack(stream)
        if job["kind"] == "single":
            marks.mark(root_fd, unpacker.owners.records())
        return unpacker.size, unpacker.owners.lines(), unpacker.implied
    finally:
        os.close(root_fd)


class Fitting:
    """Makes an upper directory what its layer's tar would unpack to: what the tar has not goes, times are the tar's."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self._levels: list[tuple[int, bytes, list[tuple[bytes, bool]]]] = []  # … names to come

    def fit(self, upper: str) -> None:
        try:
            os.chmod(upper, 0o755)
            self._enter(os.open(upper, OPEN_DIR), b"")
            while self._levels:
                fd, path, names = self._levels[-1]
                if names:
                    base, is_file = names.pop()
                    self._entry(fd, base, path + b"/" + base if path else base, is_file=is_file)
                else:
                    self._leave()
        finally:
            for level in self._levels:
                os.close(level[0])

    def _enter(self, fd: int, path: bytes) -> None:
        self._levels.append((fd, path, []))
        self._levels[-1][2].extend(names_of(fd))

    def _leave(self) -> None:
        fd, path, _ = self._levels[-1]
        if path:
            if path not in self.told.opaque:
                _show_below(fd)
            os.utime(fd, ns=(self.told.times[path], self.told.times[path]))
        self._levels.pop()
        os.close(fd)

    def _entry(self, fd: int, base: bytes, path: bytes, *, is_file: bool) -> None:
        mode = stat.S_IFREG
        if not is_file:
            look = os.stat(base, dir_fd=fd, follow_symlinks=False)
            mode = look.st_mode
            if is_whiteout(look):
                if path not in self.told.whiteouts:
                    os.unlink(base, dir_fd=fd)
                return
        if path not in self.told.times:
            remove_tree(base, fd)
        elif stat.S_ISDIR(mode):
            self._enter(os.open(base, OPEN_DIR, dir_fd=fd), path)
        elif path in self.told.late:
            time = self.told.times[path]
            os.utime(base, ns=(time, time), dir_fd=fd, follow_symlinks=False)


def _show_below(fd: int) -> None:
    """Overlayfs marks each new directory that it makes in place of something."""
    for name in _OPAQUE:
        try:
            os.removexattr(fd, name)
        except OSError:
            continue
