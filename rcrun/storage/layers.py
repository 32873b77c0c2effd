"""An image's layers as directories that overlayfs takes: found when they are there, else unpacked once.

The usual case costs two stat calls a layer; everything else is imported when it is needed.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store
    from rcrun.storage.images import Image
    from rcrun.storage.work import Event

    class Progress(Protocol):
        """Told about layers by their blobs' digests."""

        def unpacking(self, digest: str) -> None: ...
        def unpacked(self, digest: str) -> None: ...


AT_ONCE = 2


def ensure(
    store: Store, identity: Identity, image: Image, progress: Progress | None = None
) -> list[str]:
    """The absolute `diff` directories, top first. Whoever names them in a file holds the gate (lease.py)."""
    kind = identity.layer_kind()
    unfinished = [chain for chain in image.chain if not _is_finished(store, kind, chain)]
    if unfinished:
        _finish(store, identity, image, unfinished, progress)
    return [f"{store.layer_dir(kind, chain)}/diff" for chain in reversed(image.chain)]


def unpack_some(
    store: Store,
    identity: Identity,
    image: Image,
    chains: set[str],
    progress: Progress | None = None,
) -> None:
    """These layers, in any order, while others are still on their way; ensure() does what is left."""
    absent = chains.intersection(missing(store, identity, image))
    if absent:
        _unpack(store, identity, image, absent, progress, sync=False)


def missing(store: Store, identity: Identity, image: Image) -> list[str]:
    """The chainIDs (hex) of the layers that are not unpacked."""
    kind = identity.layer_kind()
    return [chain for chain in image.chain if not os.path.isdir(store.layer_dir(kind, chain))]


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
) -> None:
    kind = identity.layer_kind()
    doubtful = _discard_doubtful(store, kind, unfinished)
    absent = set(missing(store, identity, image))
    if absent:
        _unpack(store, identity, image, absent, progress, sync=doubtful)
    _settle(store, identity, kind, [chain for chain in image.chain if chain in unfinished])


def _discard_doubtful(store: Store, kind: str, chains: Sequence[str]) -> bool:
    """Take away what a crash may have damaged; it is unpacked again and synced this time."""
    from rcrun.storage import layerfiles

    found = False
    for chain in chains:
        layer_dir = store.layer_dir(kind, chain)
        note = layerfiles.read_pending(layer_dir)
        if note is not None and layerfiles.is_doubtful(note):
            discard(store, kind, chain)
            found = True
    return found


def discard(store: Store, kind: str, chain: str) -> str:
    """Move a layer to the trash; its path there, or empty when somebody else was quicker."""
    path = f"{store.trash_dir()}/layer-{chain[:12]}.{os.urandom(6).hex()}"
    try:
        os.rename(store.layer_dir(kind, chain), path)
    except FileNotFoundError:
        return ""
    return path


def _unpack(
    store: Store,
    identity: Identity,
    image: Image,
    absent: set[str],
    progress: Progress | None,
    *,
    sync: bool,
) -> None:
    from rcrun.storage.layout import init
    from rcrun.storage.work import Workers

    init(store)
    jobs = job_words(image, absent)
    words = ["unpack", store.root_dir, identity.layer_kind(), "sync" if sync else "", *jobs]
    with Workers(identity) as workers:
        for _ in range(min(AT_ONCE, len(jobs), os.cpu_count() or 1)):
            workers.start(words)
        for event in workers.events():
            _report(event, progress)


def job_words(image: Image, chains: set[str]) -> list[str]:
    """What worker.py is told of each layer, the largest first; each layer once."""
    rows = zip(
        image.chain,
        ["", *image.chain],
        image.config["rootfs"]["diff_ids"],
        image.manifest["layers"],
        strict=False,
    )
    found = [
        (layer["size"], f"{chain},{parent},{diff_id[7:]},{layer['digest'][7:]},{layer['size']}")
        for chain, parent, diff_id, layer in rows
        if chain in chains
    ]
    return [word for _, word in sorted(found, key=lambda row: row[0], reverse=True)]


def _report(event: Event, progress: Progress | None) -> None:
    if progress is not None:
        if "unpacking" in event:
            progress.unpacking(event["unpacking"])
        if "unpacked" in event:
            progress.unpacked(event["unpacked"])


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

        run(identity, ["settle", store.root_dir, kind, *unsettled])
