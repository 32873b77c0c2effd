"""Missing layers into the store: each once, whoever else wants it at the same time, whole or not at all."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.paths import Store, make_private_dir
from rcrun.storage import layerfiles, marks
from rcrun.storage.ahead import Ahead
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import LONGEST_MAGIC, decompressed, kind_of
from rcrun.storage.layers import JOB_SIZE
from rcrun.storage.owners import own_ids
from rcrun.storage.scratch import NamedLock, Scratch
from rcrun.storage.trees import remove_tree
from rcrun.storage.unpack import Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Say = Callable[[object], None]

SMALL = 1 << 20  # a layer that is not worth a second thread


class Job:
    """A layer to unpack; as a word: `CHAIN,PARENT,DIFF,BLOB,SIZE,MOST,VERIFIED` (hex digits, numbers, and 1 or nothing).

    `most`: bytes that it may unpack to, 0 for any. `verified`: whoever asks has just seen that the blob has its digest.
    """

    __slots__ = ("blob", "chain", "diff", "most", "parent", "size", "verified")

    def __init__(
        self,
        chain: str,
        parent: str,
        diff: str,
        blob: str,
        size: int,
        most: int = 0,
        *,
        verified: bool = False,
    ) -> None:
        self.chain = chain
        self.parent = parent
        self.diff = diff
        self.blob = blob
        self.size = size
        self.most = most
        self.verified = verified

    @staticmethod
    def read_all(fd: int) -> Iterator[Job]:
        """Jobs from a pipe that other workers read as well, until its writers have closed it."""
        while word := os.read(fd, JOB_SIZE):
            yield Job.parse(word.decode("ascii").strip())

    @staticmethod
    def parse(word: str) -> Job:
        chain, parent, diff, blob, size, most, verified = word.split(",")
        return Job(chain, parent, diff, blob, int(size), int(most), verified=bool(verified))


class Unpacking:
    def __init__(
        self,
        store_dir: str,
        kind: str,
        say: Say,
        *,
        sync: bool = False,
        others: Sequence[str] = (),
    ) -> None:
        self.store = Store(store_dir, "", others)
        self.kind = kind
        self.say = say
        self.sync = sync

    def all(self, jobs: Iterable[Job]) -> None:
        """Those that nobody else is at first; then wait for the others'."""
        later = [job for job in jobs if not self._from_blob(job, wait=False)]
        for job in later:
            self._from_blob(job, wait=True)

    def _is_there(self, job: Job) -> bool:
        return os.path.isdir(self.store.layer_dir(self.kind, job.chain))

    def _from_blob(self, job: Job, *, wait: bool) -> bool:
        """False when somebody else is at it and we were not to wait."""
        if self._is_there(job):
            return True
        lock = NamedLock(self.store, f"layer-{self.kind}-{job.chain}")
        if not lock.acquire(wait=wait):
            return False
        with lock.held():
            if not self._is_there(job):
                digest = f"sha256:{job.blob}"
                self.say({"unpacking": digest})
                fd = self.open_blob(digest)
                try:
                    self._unpack(job, fd)
                finally:
                    os.close(fd)
                self.say({"unpacked": digest})
        return True

    def open_blob(self, digest: str) -> int:
        try:
            return os.open(self.store.blob_to_read(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(
                f'layer "{digest}" is not in the store', "pull or load its image again"
            ) from None

    def _unpack(self, job: Job, fd: int) -> None:
        scratch = Scratch(self.store, "layer")
        scratch.make_dir()
        try:
            self.fill(job, fd, scratch.path)
            place = self.store.layer_dir(self.kind, job.chain)
            make_private_dir(os.path.dirname(place))
            scratch.move_to(place)
        except BaseException:
            remove_tree(scratch.path)
            scratch.close()
            raise

    def fill(self, job: Job, fd: int, layer_dir: str) -> None:
        os.mkdir(f"{layer_dir}/diff", 0o755)
        root_fd = os.open(f"{layer_dir}/diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            unpacker = Unpacker(
                root_fd, own_ids("uid"), own_ids("gid"), trusted=self.kind == "root"
            )
            Verified(fd, job).into(unpacker)
            layerfiles.write_owners(layer_dir, unpacker.owners.lines())
            if self.kind == "single":
                marks.mark(root_fd, unpacker.owners.records())
            layerfiles.write_record(
                layer_dir, job.chain, f"sha256:{job.diff}", unpacker.size, job.parent or None
            )
            if self.sync:
                from rcrun.kernel.syscalls import syncfs

                syncfs(root_fd)
            if unpacker.implied or not self.sync:
                layerfiles.write_pending(layer_dir, unpacker.implied if job.parent else ())
        finally:
            os.close(root_fd)


class Verified:
    """A layer's bytes on their way to the unpacker, hashed as they are unpacked.

    The diffID says that all is well; only where it does not is the blob read again, to tell what is wrong.
    """

    def __init__(self, fd: int, job: Job) -> None:
        import hashlib

        self.fd = fd
        self.job = job
        self.content: hashlib._Hash = hashlib.sha256()
        # Only of what is not compressed is the blob's digest the diffID.
        self.is_known = job.verified and job.blob == job.diff and not kind_of(self._head())

    def _head(self) -> bytes:
        return os.pread(self.fd, LONGEST_MAGIC, 0)

    def into(self, unpacker: Unpacker) -> None:
        try:
            if self.job.size < SMALL or self.is_known:
                unpacker.unpack(ByteStream(self._pieces()))
            else:
                with Ahead(self._pieces()) as ahead:
                    unpacker.unpack(ByteStream(iter(ahead)))
        except RcrunError as error:
            if isinstance(error, InvalidInput):
                self._check_stored()  # which is the reason, if it fails
            error.message = f'layer "sha256:{self.job.blob}": {error.message}'
            raise
        if not self.is_known and self.content.hexdigest() != self.job.diff:
            self._check_stored()
            raise RcrunError(
                f'layer "sha256:{self.job.blob}" does not hold what its image says: its diffID is '
                f'"sha256:{self.content.hexdigest()}", not "sha256:{self.job.diff}"'
            )

    def _read(self, size: int) -> bytes:
        return os.read(self.fd, size)

    def _pieces(self) -> Iterator[bytes]:
        count = 0
        for piece in decompressed(self._read):
            count += len(piece)
            if 0 < self.job.most < count:
                raise _too_large(self.job.most)
            if not self.is_known:
                self.content.update(piece)
            yield piece

    def _check_stored(self) -> None:
        import hashlib

        stored = hashlib.sha256()
        os.lseek(self.fd, 0, os.SEEK_SET)
        while data := self._read(SMALL):
            stored.update(data)
        if stored.hexdigest() != self.job.blob:
            raise RcrunError(
                f'blob "sha256:{self.job.blob}" does not match its digest: its content was changed or damaged',
                "pull or load its image again",
            )


def _too_large(most: int) -> InvalidInput:
    from rcrun.formats.size import decimal

    return InvalidInput(
        f"it unpacks to more than {decimal(most)}, which --max-size allows",
        "allow more with --max-size, if you trust who made it",
    )
