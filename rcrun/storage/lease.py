"""What keeps the collector (collect.py) away from things that somebody is about to bring.

A *lease* is a file in tmp/, locked while its owner lives, with one digest or `chain:HEX` a line. Lines are
added under the gate (layers.py), so that the collector sees each before what it names.
"""

from __future__ import annotations

from rcrun.files import write_all
from rcrun.storage.layers import gate
from rcrun.storage.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.paths import Store


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
        with gate(self.store):
            write_all(self.scratch.fd, "".join(f"{line}\n" for line in lines).encode())

    def __enter__(self) -> Lease:
        self.scratch.make_file()
        return self

    def __exit__(self, *_: object) -> None:
        self.scratch.drop()
