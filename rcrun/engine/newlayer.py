"""A new layer of the store out of a container's changes: one worker writes the blob and makes the directory."""

from __future__ import annotations

import os

from rcrun.engine.work import heard
from rcrun.files import dump_json, write_all
from rcrun.paths import make_private_dir
from rcrun.storage.scratch import NamedLock, Scratch
from rcrun.storage.work import Workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.lease import Lease


class NewLayer:
    """A context manager, whose worker starts at once and waits for the job while the caller works that out."""

    __slots__ = ("_blob", "_context", "_job_fd", "_layer", "_workers")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._blob, self._layer = Scratch(context.store, "blob"), Scratch(context.store, "layer")
        self._workers = Workers(context.identity)
        self._job_fd = -1

    def __enter__(self) -> NewLayer:
        reader, self._job_fd = os.pipe2(os.O_CLOEXEC)
        try:
            self._blob.make_file()
            self._workers.start(["new-layer", str(reader)], stdin_fd=self._blob.fd, keep_fd=reader)
        except BaseException:
            self.__exit__()
            raise
        finally:
            os.close(reader)
        return self

    def make(
        self,
        job: dict[str, Any],
        lease: Lease,
        diff_ids: Sequence[str],
        *,
        gives_up: bool = False,
    ) -> Descriptor:
        """Its blob, which is not compressed; the lease keeps both. `job` is of `engine.diff.changes_job`.

        `gives_up`: the upper directory itself becomes the layer, unless nothing was changed.
        """
        from rcrun.formats.image import LAYER

        store, kind = self._context.store, self._context.identity.layer_kind()
        self._layer.make_dir()
        more = {"diff_ids": diff_ids, "scratch": self._layer.path, "kind": kind}
        self._send({**job, **more, "gives_up": gives_up})
        said: dict[str, Any] = {}
        for event in heard(self._context, self._workers):
            said.update(event)
        lease.add([said["digest"]], [said["chain"]])
        self._blob.move_to(store.blob_path(said["digest"]))
        if os.path.isdir(f"{self._layer.path}/diff"):
            _put(store, self._layer, kind, said["chain"])
        return {"mediaType": LAYER, "digest": said["digest"], "size": said["size"]}

    def _send(self, job: dict[str, Any]) -> None:
        try:
            write_all(self._job_fd, dump_json(job).encode("utf-8", "surrogateescape"))
        except BrokenPipeError:
            pass  # the worker tells why
        self._end_of_job()

    def _end_of_job(self) -> None:
        if self._job_fd >= 0:
            os.close(self._job_fd)
            self._job_fd = -1

    def __exit__(self, *_: object) -> None:
        self._end_of_job()
        self._workers.__exit__()
        self._blob.drop()
        if self._layer.fd >= 0:
            _discard(self._context, self._layer)


def _put(store: Store, layer: Scratch, kind: str, chain: str) -> None:
    """Unless it is there: somebody may have made the same one, or may be at it."""
    place = store.layer_dir(kind, chain)
    make_private_dir(os.path.dirname(place))
    with NamedLock(store, f"layer-{kind}-{chain}"):
        if not os.path.isdir(place):
            layer.move_to(place)


def _discard(context: Context, layer: Scratch) -> None:
    """What was not moved; its files may be of other ids than ours."""
    from rcrun.storage.trees import remove_tree

    trashed = f"{context.store.trash_dir()}/{os.path.basename(layer.path)}"
    os.rename(layer.path, trashed)
    layer.close()
    try:
        remove_tree(trashed)
    except OSError:
        from rcrun.storage.work import run

        run(context.identity, ["remove", trashed])
