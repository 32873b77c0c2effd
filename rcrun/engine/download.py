"""Blobs from a registry into the store: several at once, resumed where an earlier try stopped, verified.

A blob grows in tmp/part.HEX, locked while somebody writes it; whoever else wants it waits for the lock and
finds it done. What an interrupted pull leaves there is a beginning that the next one continues.
"""

from __future__ import annotations

import fcntl
import os

from rcrun.errors import RcrunError, RegistryError
from rcrun.files import is_at, write_all
from rcrun.storage.blobs import has_blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Protocol

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store

    class Source(Protocol):
        def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]: ...

    class Progress(Protocol):
        """Told about blobs from several threads."""

        def advanced(self, digest: str, done: int) -> None: ...
        def downloaded(self, digest: str) -> None: ...


AT_ONCE = 3
CHUNK = 1 << 20


class Stopped(Exception):
    """Another download failed or the user interrupted: this one need not go on."""


def fetch_all(
    store: Store,
    source: Source,
    descriptors: Sequence[Descriptor],
    progress: Progress,
    stop: threading.Event,
    count: int | None = None,
) -> None:
    """Fetch what is missing, the largest first; the first error ends all of it."""
    at_once(descriptors, lambda each: fetch(store, source, each, progress, stop), stop, count)


def at_once(
    descriptors: Sequence[Descriptor],
    action: Callable[[Descriptor], None],
    stop: threading.Event,
    count: int | None = None,
) -> None:
    """Do it to several at once, the largest first; the first error ends all of it."""
    import queue
    import threading

    waiting: queue.SimpleQueue[Descriptor] = queue.SimpleQueue()
    for descriptor in sorted(descriptors, key=lambda each: each["size"], reverse=True):
        waiting.put(descriptor)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                action(waiting.get_nowait())
        except queue.Empty:
            pass
        except Stopped:
            pass
        except BaseException as error:
            errors.append(error)
            stop.set()

    # Daemons: a thread that waits for a silent server must not keep an interrupted process alive.
    numbers = range(min(count or AT_ONCE, len(descriptors)))
    threads = [threading.Thread(target=work, daemon=True) for _ in numbers]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive() and not errors:
                thread.join(0.1)
            # After an error the others have a moment to notice; one may wait for a silent server.
            thread.join(0.5 if errors else None)
    except BaseException:
        stop.set()
        raise
    if errors:
        raise errors[0]
    if stop.is_set():
        raise Stopped


def fetch(
    store: Store,
    source: Source,
    descriptor: Descriptor,
    progress: Progress,
    stop: threading.Event,
) -> None:
    """One blob, unless it is there; a beginning that turns out wrong is thrown away once."""
    if not has_blob(store, descriptor):
        with Part(store, descriptor, stop) as part:
            if not part.is_complete:
                resumed = part.size > 0
                if not _fill(part, source, descriptor, progress, stop):
                    if not resumed:
                        raise _wrong(descriptor)
                    part.restart()
                    if not _fill(part, source, descriptor, progress, stop):
                        raise _wrong(descriptor)
    progress.downloaded(descriptor["digest"])


def _wrong(descriptor: Descriptor) -> RegistryError:
    return RegistryError(
        f'the registry sent the wrong bytes for blob "{descriptor["digest"]}": the digest differs',
        "try again; if it stays so, the image or a proxy on the way is damaged",
    )


def _fill(
    part: Part,
    source: Source,
    descriptor: Descriptor,
    progress: Progress,
    stop: threading.Event,
) -> bool:
    """Bring the rest; False, and the part is gone, when the whole has the wrong digest."""
    progress.advanced(descriptor["digest"], part.size)
    for data in source.blob(descriptor, part.size):
        if stop.is_set():
            raise Stopped
        part.append(data)
        progress.advanced(descriptor["digest"], part.size)
    return part.finish()


class Part:
    """A blob that is being brought, locked; a context manager that keeps what has arrived."""

    __slots__ = ("_descriptor", "_fd", "_hash", "_path", "_stop", "_store", "is_complete", "size")

    def __init__(self, store: Store, descriptor: Descriptor, stop: threading.Event) -> None:
        self._store = store
        self._descriptor = descriptor
        self._stop = stop
        self._path = f"{store.tmp_dir()}/part.{descriptor['digest'].partition(':')[2]}"
        self._fd = -1
        self._hash: hashlib._Hash
        self.size = 0
        self.is_complete = False

    def append(self, data: bytes) -> None:
        try:
            write_all(self._fd, data)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RcrunError(f'cannot write "{self._path}": {reason}') from error
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> bool:
        """Make it the blob, if it is."""
        if f"sha256:{self._hash.hexdigest()}" != self._descriptor["digest"]:
            self.restart()
            return False
        os.rename(self._path, self._store.blob_path(self._descriptor["digest"]))
        self.is_complete = True
        return True

    def restart(self) -> None:
        import hashlib

        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Part:
        while self._fd < 0:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                self._lock(fd)
                if has_blob(self._store, self._descriptor):
                    self.is_complete = True  # somebody else brought it while we waited
                    self._fd = fd
                elif is_at(fd, self._path):
                    self._fd = fd
                    self._take_up()
            finally:
                if self._fd != fd:
                    os.close(fd)
        return self

    def __exit__(self, *_: Any) -> None:
        if self.is_complete and is_at(self._fd, self._path):
            os.unlink(self._path)
        os.close(self._fd)
        self._fd = -1

    def _lock(self, fd: int) -> None:
        """Somebody else may bring it for minutes; an interruption must not wait so long."""
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._stop.wait(0.1):
                    raise Stopped from None

    def _take_up(self) -> None:
        """Hash the beginning that is there; one that is too long is none."""
        self.restart_hash()
        while data := os.read(self._fd, CHUNK):
            self._hash.update(data)
            self.size += len(data)
        if self.size > self._descriptor["size"]:
            self.restart()

    def restart_hash(self) -> None:
        import hashlib

        self._hash = hashlib.sha256()
        self.size = 0


def sleeper(stop: threading.Event) -> Callable[[float], object]:
    """A sleep for the registry client that ends with the pull."""

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    return sleep
