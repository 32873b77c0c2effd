"""The layers that a step stands on, and its workers: what a build needs whose steps are all in the cache, too."""

from __future__ import annotations

import os

from rcrun.files import dump_json
from rcrun.formats import image as documents
from rcrun.storage import layers
from rcrun.storage.images import Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.storage.lease import Lease


def lowers_of(context: Context, state: State, lease: Lease) -> list[str]:
    """The directories of the layers so far, top first; unpacked if they are not."""
    chain = state.chain
    lease.add([layer.descriptor["digest"] for layer in state.layers], chain)
    manifest = {
        "config": {"mediaType": documents.CONFIG, "digest": "", "size": 0},
        "layers": [layer.descriptor for layer in state.layers],
    }
    config = {"rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in state.layers]}}
    image = Image({}, "", manifest, config, chain)  # type: ignore[arg-type]
    found = layers.ensure(context.store, context.identity, image)
    return found or [_empty(context)]


def _empty(context: Context) -> str:
    """What a stage FROM scratch stands on: overlayfs needs something below."""
    path = context.store.path("build/empty")
    os.makedirs(path, 0o755, exist_ok=True)
    return path


def worker(
    context: Context,
    command: str,
    job: dict[str, Any],
    *,
    stream_fd: int = -1,
    steps: list[list[str]] | None = None,
    direct: bool = False,
) -> list[dict[str, Any]]:
    """One worker to its end; what it said. Notes are warnings."""
    from rcrun.engine.work import worker_events

    words = [command, dump_json(job)]
    return list(worker_events(context, words, stream_fd=stream_fd, steps=steps, direct=direct))
