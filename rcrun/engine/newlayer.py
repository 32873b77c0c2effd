"""A new layer of the store out of a container's changes: one worker writes the blob and makes the directory.

For a few small files that are all our own we are that worker ourselves: another interpreter takes longer than they do.
"""

from __future__ import annotations

import os
import sys

from rcrun.engine.work import heard
from rcrun.errors import RcrunError
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
    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store
    from rcrun.storage.containers import Container
    from rcrun.storage.lease import Lease


FEW, SMALL = 64, 1 << 20


class NewLayer:
    """A context manager, whose worker starts at once and waits for the job while the caller works that out.

    `ours`: there is no worker unless it turns out that it takes one.
    """

    __slots__ = ("_blob", "_context", "_job_fd", "_layer", "_ours", "_workers")

    def __init__(self, context: Context, *, ours: bool = False) -> None:
        self._context = context
        self._ours = ours
        self._blob, self._layer = Scratch(context.store, "blob"), Scratch(context.store, "layer")
        self._workers = Workers(context.identity)
        self._job_fd = -1

    def __enter__(self) -> NewLayer:
        try:
            self._blob.make_file()
            if not self._ours:
                self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        reader, self._job_fd = os.pipe2(os.O_CLOEXEC)
        try:
            self._workers.start(["new-layer", str(reader)], stdin_fd=self._blob.fd, keep_fd=reader)
        finally:
            os.close(reader)

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
        more = {"diff_ids": diff_ids, "kind": kind, "gives_up": gives_up}
        said = self._make({**job, **more, "scratch": self._layer.path})
        lease.add([said["digest"]], [said["chain"]])
        self._blob.move_to(store.blob_path(said["digest"]))
        if os.path.isdir(f"{self._layer.path}/diff"):
            _put(store, self._layer, kind, said["chain"])
        return {"mediaType": LAYER, "digest": said["digest"], "size": said["size"]}

    def _make(self, job: dict[str, Any]) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if self._ours:
            try:
                return self._make_ourselves(job)
            except (OSError, RcrunError):
                # With all ids it goes, or fails for a reason that is the user's to know.
                os.ftruncate(self._blob.fd, 0)
                os.lseek(self._blob.fd, 0, os.SEEK_SET)
                _discard(self._context, self._layer)
                self._layer.make_dir()
                job["scratch"] = self._layer.path
                self._start()
        self._send(job)
        for event in heard(self._context, self._workers):
            said.update(event)
        return said

    def _make_ourselves(self, job: dict[str, Any]) -> dict[str, Any]:
        from rcrun.storage import newlayer

        events: list[Any] = []
        umask = os.umask(0)
        try:
            who = newlayer.as_caller(self._context.identity)
            newlayer.make(job, events.append, self._blob.fd, who)
        finally:
            os.umask(umask)
        said = events.pop()
        for event in events:
            self._context.warn(event["note"], None)
        return dict(said)

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


def is_ours(container: Container, identity: Identity) -> bool:
    """Whether all that the container has changed are a few small files of our own.

    With other threads there is a worker all the same: the umask that it takes is theirs, too.
    """
    if identity.kind == "single" or container.record["rootfs"].get("driver") != "overlay":
        return False
    own = None if identity.kind == "root" else (identity.uid, identity.gid)
    folders, count, size = [container.path("upper")], 0, 0
    try:
        for folder in folders:
            with os.scandir(folder) as entries:
                for entry in entries:
                    look = entry.stat(follow_symlinks=False)
                    count, size = count + 1, size + look.st_size
                    is_own = own in (None, (look.st_uid, look.st_gid))
                    if not is_own or count > FEW or size > SMALL:
                        return False
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    except OSError:
        return False
    return len(sys._current_frames()) == 1


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
