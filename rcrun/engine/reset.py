"""`system reset`: everything that rcrun has stored, and nothing that it has not."""

from __future__ import annotations

import os

from rcrun.engine.rm import Removal, remove_trees
from rcrun.storage import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context

# Of the store's directory: somebody may have put other things there, or have named a wrong one.
_OURS = (
    "containers", "names", "volumes", "secrets", "layers", "trash", "tmp", "blobs", "index.json", "oci-layout",
    "index.json.lock", "index.json.damaged", "overlay.json", "gate.lock", "names.lock", "secrets.lock", "ids.lock",
    "networks", "build", "pods", "podnames", "recipes", "live",
)  # fmt: skip


def reset(context: Context) -> None:
    store = context.store
    _remove_pods(context)
    removal = Removal(context, force=True, infra=True)
    ids = [container.id for container in containers.every(store)]
    removal.announce(ids)
    for container_id in ids:
        removal.take(container_id)
    removal.finish()
    ours = [store.path(name) for name in _OURS]
    remove_trees(context, [*ours, store.live_dir])
    try:
        os.rmdir(store.root_dir)
    except OSError:
        pass  # it holds something of others, or is a mount point


def _remove_pods(context: Context) -> None:
    if not os.path.isdir(context.store.path("pods")):
        return
    from rcrun.engine.podrm import remove
    from rcrun.storage import pods

    for pod in pods.every(context.store):
        remove(context, pod, force=True, patience=0)
