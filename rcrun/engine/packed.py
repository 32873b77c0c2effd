"""A whole root as the blob of one layer, which a worker writes: `commit --squash`, `build --squash-all`."""

from __future__ import annotations

import os

from rcrun.engine.work import worker_events
from rcrun.files import dump_json
from rcrun.formats import image as documents
from rcrun.storage.blobs import BlobWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.storage.lease import Lease

CHUNK = 1 << 20


def packed(
    context: Context, job: dict[str, Any], lease: Lease, steps: list[list[str]]
) -> Descriptor:
    """`steps` show what `job`, of layerwrite.export, names as its root."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        with BlobWriter(context.store, lease=lease) as blob:

            def take() -> None:
                os.close(writer)
                while data := os.read(reader, CHUNK):
                    blob.write(data)

            words = ["export", dump_json(job)]
            for _ in worker_events(context, words, steps=steps, stream_fd=writer, started=take):
                pass
            return blob.commit(documents.LAYER)
    finally:
        os.close(reader)
