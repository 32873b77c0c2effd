"""--squash and --squash-all: the layers that a build made as one, or all of them."""

from __future__ import annotations

from rcrun.engine.build.state import Layer, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.lease import Lease

NEW, ALL = "new", "all"


def squashed(context: Context, state: State, which: str, lease: Lease) -> State:
    """The state with fewer layers; its history says of each step what it was, and that the last one has the layer."""
    made = state.copy()
    kept = 0 if which == ALL else state.base_layers
    if len(state.layers) - kept < 2 and not (which == ALL and state.base_layers):
        return made
    layer = _everything(context, state, lease) if which == ALL else _of_tars(context, state, lease)
    made.layers = [*state.layers[:kept], layer]
    made.history = [*state.history[: 0 if which == ALL else state.base_history]]
    for entry in state.history[len(made.history) :]:
        made.history.append({**entry, "empty_layer": True})
    made.history[-1].pop("empty_layer", None)
    return made


def _of_tars(context: Context, state: State, lease: Lease) -> Layer:
    """Layers that steps made are plain tars of our own, so no file is touched."""
    from rcrun.formats import image as documents
    from rcrun.storage.blobs import BlobWriter
    from rcrun.storage.squashing import squash
    from rcrun.storage.tarwrite import Buffered

    store = context.store
    digests = [layer.descriptor["digest"] for layer in state.layers[state.base_layers :]]
    for digest in digests:
        store.bring(digest)
    paths = [store.blob_path(digest) for digest in digests]
    with BlobWriter(store, lease=lease) as blob:
        write = Buffered(blob.write)
        squash(paths, write)
        write.flush()
        descriptor = blob.commit(documents.LAYER)
    return Layer(descriptor, descriptor["digest"])


def _everything(context: Context, state: State, lease: Lease) -> Layer:
    """The root as it is seen, owners and all."""
    from rcrun.engine.build.outputs import merged_root
    from rcrun.engine.packed import packed

    steps, job = merged_root(context, state, lease)
    descriptor = packed(context, job, lease, steps)
    return Layer(descriptor, descriptor["digest"])
