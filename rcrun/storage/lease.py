"""What keeps the collector (collect.py) away from things that no file names yet.

The *gate* is an flock on `gate.lock`: shared by whoever is about to name layers in a file, exclusive
for the collector, which has it for milliseconds. A *lease* is a file in tmp/, locked while its owner
lives, with one digest or `chain:HEX` a line: blobs and layers that a pull is about to bring.
"""

from __future__ import annotations

import fcntl
import os

from rcrun.storage.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from rcrun.paths import Store


class Gate:
    """Held shared from finding an image until a container.json names its layers; a context manager."""

    __slots__ = ("fd", "kind", "path")

    def __init__(self, store: Store, *, exclusive: bool = False) -> None:
        self.path = store.path("gate.lock")
        self.kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        self.fd = -1

    def __enter__(self) -> Gate:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, self.kind)
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd
        return self

    def try_for(self, seconds: float) -> bool:
        """Acquire, unless somebody keeps it for longer than that (a run that has to unpack first)."""
        import time

        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(fd, self.kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(fd)
                    return False
                time.sleep(0.01)
            else:
                self.fd = fd
                return True

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Lease:
    """Keeps blobs and layers from the collector while it is open; a context manager.

    What is added is safe from then on: look for a blob after adding it, not before.
    """

    __slots__ = ("scratch", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.scratch = Scratch(store, "lease")

    def add(self, digests: Iterable[str], chains: Iterable[str] = ()) -> None:
        lines = [*digests, *(f"chain:{chain}" for chain in chains)]
        with Gate(self.store):
            os.write(self.scratch.fd, "".join(f"{line}\n" for line in lines).encode())

    def __enter__(self) -> Lease:
        self.scratch.make_file()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.scratch.drop()
