"""An image's layers as directories that overlayfs takes: found when they are there, else unpacked once.

The usual case costs two stat calls a layer; everything else is imported when it is needed.
"""

from __future__ import annotations

import os

from rcrun.files import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store
    from rcrun.storage.images import Image

    class Progress(Protocol):
        """Told about layers by their blobs' digests."""

        def unpacking(self, digest: str) -> None: ...
        def unpacked(self, digest: str) -> None: ...


AT_ONCE = 2
JOB_SIZE = 512  # pipe(7): small writes and reads of one size are never mixed


def ensure(
    store: Store,
    identity: Identity,
    image: Image,
    progress: Progress | None = None,
    *,
    most: int = 0,
) -> list[str]:
    """The absolute `diff` directories, top first. Whoever names them in a file holds the gate.

    `most`: bytes that a layer may unpack to, 0 for any.
    """
    kind = identity.layer_kind()
    unfinished = [chain for chain in image.chain if not _is_finished(store, kind, chain)]
    shared = {chain: place for chain in unfinished if (place := shared_dir(store, kind, chain))}
    unfinished = [chain for chain in unfinished if chain not in shared]
    if unfinished:
        _finish(store, identity, image, unfinished, progress, most)
    return [
        f"{shared.get(chain) or store.layer_dir(kind, chain)}/diff"
        for chain in reversed(image.chain)
    ]


def shared_dir(store: Store, kind: str, chain: str) -> str:
    """The layer in another store, if its files belong to whom they would here; else empty.

    What a crash may have damaged, or lacks the look of its directories, is not ours to mend.
    """
    for root in store.others:
        layer_dir = f"{root}/layers/{kind}/{chain}"
        try:
            fits = os.stat(layer_dir).st_uid == os.geteuid() and os.path.isdir(f"{layer_dir}/diff")
        except OSError:
            continue
        if fits and _is_sound(layer_dir):
            return layer_dir
    return ""


def _is_sound(layer_dir: str) -> bool:
    if not os.path.lexists(f"{layer_dir}/pending"):
        return True
    from rcrun.storage import layerfiles

    note = layerfiles.read_pending(layer_dir)
    return note is None or not (note["implied"] or layerfiles.is_doubtful(note))


def gate(store: Store, *, exclusive: bool = False) -> Lock:
    """Held shared from finding an image until a file names its layers; exclusive by the collector, for milliseconds."""
    return Lock(store.path("gate.lock"), shared=not exclusive)


def missing(store: Store, identity: Identity, image: Image) -> list[str]:
    """The chainIDs (hex) of the layers that are not unpacked."""
    kind = identity.layer_kind()
    absent = [chain for chain in image.chain if not os.path.isdir(store.layer_dir(kind, chain))]
    return [chain for chain in absent if not shared_dir(store, kind, chain)]


def _is_finished(store: Store, kind: str, chain: str) -> bool:
    layer_dir = store.layer_dir(kind, chain)
    try:
        os.stat(f"{layer_dir}/diff")
    except FileNotFoundError:
        return False
    try:
        os.stat(f"{layer_dir}/pending")
    except FileNotFoundError:
        return True
    return False


def _finish(
    store: Store,
    identity: Identity,
    image: Image,
    unfinished: Sequence[str],
    progress: Progress | None,
    most: int,
) -> None:
    kind = identity.layer_kind()
    doubtful = _discard_doubtful(store, kind, unfinished)
    absent = missing(store, identity, image)
    if absent:
        with LayerQueue(store, identity, image, progress, sync=doubtful, most=most) as queue:
            queue.ready_all()
            queue.close()
            queue.wait()
    _settle(store, identity, kind, [chain for chain in image.chain if chain in unfinished])


def _discard_doubtful(store: Store, kind: str, chains: Sequence[str]) -> bool:
    """Take away what a crash may have damaged; it is unpacked again and synced this time.

    What a container stands on stays: it may be running again, and nobody may change its lowers.
    """
    from rcrun.storage import layerfiles

    notes = {chain: layerfiles.read_pending(store.layer_dir(kind, chain)) for chain in chains}
    doubtful = {chain for chain, note in notes.items() if note and layerfiles.is_doubtful(note)}
    if not doubtful:
        return False
    from rcrun.storage import recipes
    from rcrun.storage.collect import container_chains

    doubtful -= set(container_chains(store))
    doubtful -= {each.chain for each in recipes.of_layers(store) if each.is_needed()}
    for chain in doubtful:
        discard(store, kind, chain)
    return bool(doubtful)


def discard(store: Store, kind: str, chain: str) -> str:
    """Move a layer to the trash; its path there, or empty when somebody else was quicker."""
    path = f"{store.trash_dir()}/layer-{chain[:12]}.{os.urandom(6).hex()}"
    try:
        os.rename(store.layer_dir(kind, chain), path)
    except FileNotFoundError:
        return ""
    return path


class LayerQueue:
    """Two workers that unpack what is ready, so that blobs may still be arriving; a context manager.

    `ready` and `close` may be called by other threads than the one that waits.
    """

    __slots__ = ("_jobs", "_pipe", "_progress", "_store", "_workers")

    def __init__(
        self,
        store: Store,
        identity: Identity,
        image: Image,
        progress: Progress | None = None,
        *,
        sync: bool = False,
        most: int = 0,
    ) -> None:
        from rcrun.storage.collect import leftovers
        from rcrun.storage.layout import init
        from rcrun.storage.work import Workers

        init(store)
        self._store = store
        self._progress = progress
        self._jobs = jobs_of(image, set(missing(store, identity, image)), most)
        self._workers = Workers(identity)
        words = ["unpack", store.root_dir, identity.layer_kind(), "sync" if sync else ""]
        words += store.others  # where blobs may be
        reader, self._pipe = os.pipe2(os.O_CLOEXEC)
        try:
            left = leftovers(store)
            if left:
                self._workers.start(["sweep", *left])
            for _ in range(min(AT_ONCE, len(self._jobs), os.cpu_count() or 1)):
                self._workers.start(words, stdin_fd=reader)
        except BaseException:
            self.__exit__()
            raise
        finally:
            os.close(reader)

    def ready(self, digest: str) -> None:
        """This blob is in the store: unpack the layers that are made of it and missing."""
        jobs = self._jobs.pop(digest, ())
        if jobs:
            self._store.bring(digest)
        for job in jobs:
            try:
                os.write(self._pipe, job.encode().ljust(JOB_SIZE))
            except BrokenPipeError:
                return  # they failed; wait() tells why

    def ready_all(self) -> None:
        for digest in list(self._jobs):
            self.ready(digest)

    def close(self) -> None:
        """Nothing more will be ready."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def wait(self) -> None:
        """Tell the progress until the workers have ended, after close(); raise what went wrong."""
        for event in self._workers.events():
            if self._progress is not None and "unpacking" in event:
                self._progress.unpacking(event["unpacking"])
            elif self._progress is not None and "unpacked" in event:
                self._progress.unpacked(event["unpacked"])

    def stop(self) -> None:
        """End the workers; what they were at is undone."""
        self._workers.stop()

    def __enter__(self) -> LayerQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._workers.__exit__()


def jobs_of(image: Image, chains: set[str], most: int = 0) -> dict[str, list[str]]:
    """What worker.py is told of the layers, by their blobs' digests, the largest first."""
    rows = zip(
        image.chain,
        ["", *image.chain],
        image.config["rootfs"]["diff_ids"],
        image.manifest["layers"],
        strict=False,
    )
    found: dict[str, list[str]] = {}
    for chain, parent, diff_id, layer in sorted(rows, key=lambda row: -row[3]["size"]):
        if chain in chains:
            digest, size = layer["digest"], layer["size"]
            verified = "1" if digest in image.verified else ""
            word = f"{chain},{parent},{diff_id[7:]},{digest[7:]},{size},{most},{verified}"
            found.setdefault(digest, []).append(word)
    return found


def _settle(store: Store, identity: Identity, kind: str, chains: Sequence[str]) -> None:
    from rcrun.storage import layerfiles

    unsettled = []
    for chain in chains:
        layer_dir = store.layer_dir(kind, chain)
        note = layerfiles.read_pending(layer_dir)
        if note is None:
            continue
        if note["implied"]:
            unsettled.append(chain)
        elif layerfiles.is_settled(layer_dir):
            from rcrun.files import unlink_if_there

            unlink_if_there(f"{layer_dir}/pending")
    if unsettled:
        from rcrun.storage.work import run

        others = [str(len(store.others)), *store.others]
        run(identity, ["settle", store.root_dir, *others, kind, *unsettled])
