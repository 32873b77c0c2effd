"""A new layer of the store out of a container's changes: one worker writes the blob and makes the directory."""

from __future__ import annotations

import os

from rcrun.engine.diff import worker_events
from rcrun.files import dump_json
from rcrun.formats import image as documents
from rcrun.paths import make_private_dir
from rcrun.storage.scratch import NamedLock, Scratch
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.lease import Lease


def new_layer(
    context: Context,
    job: dict[str, Any],
    lease: Lease,
    diff_ids: Sequence[str],
    *,
    gives_up: bool = False,
) -> Descriptor:
    """Its blob, which is not compressed; the lease keeps both. `job` is of `engine.diff.changes_job`.

    `gives_up`: the upper directory itself becomes the layer, unless nothing was changed.
    """
    store, kind = context.store, context.identity.layer_kind()
    blob, layer = Scratch(store, "blob"), Scratch(store, "layer")
    try:
        blob.make_file()
        layer.make_dir()
        more = {"diff_ids": diff_ids, "scratch": layer.path, "kind": kind, "gives_up": gives_up}
        words = ["new-layer", dump_json({**job, **more})]
        said: dict[str, Any] = {}
        for event in worker_events(context, words, stream_fd=blob.fd):
            said.update(event)
        lease.add([said["digest"]], [said["chain"]])
        blob.move_to(store.blob_path(said["digest"]))
        if os.path.isdir(f"{layer.path}/diff"):
            _put(store, layer, kind, said["chain"])
        return {"mediaType": documents.LAYER, "digest": said["digest"], "size": said["size"]}
    finally:
        blob.drop()
        if layer.fd >= 0:
            _discard(context, layer)


def _put(store: Store, layer: Scratch, kind: str, chain: str) -> None:
    """Unless it is there: somebody may have made the same one, or may be at it."""
    place = store.layer_dir(kind, chain)
    make_private_dir(os.path.dirname(place))
    with NamedLock(store, f"layer-{kind}-{chain}"):
        if not os.path.isdir(place):
            layer.move_to(place)


def _discard(context: Context, layer: Scratch) -> None:
    """What was not moved; its files may be of other ids than ours."""
    trashed = f"{context.store.trash_dir()}/{os.path.basename(layer.path)}"
    os.rename(layer.path, trashed)
    layer.close()
    try:
        remove_tree(trashed)
    except OSError:
        from rcrun.storage.work import run

        run(context.identity, ["remove", trashed])
