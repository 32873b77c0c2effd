"""Layers of a pull are unpacked as they arrive, while others are still on their way."""

from __future__ import annotations

from rcrun.storage import layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    import threading
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.pull import Progress
    from rcrun.formats.image import Descriptor
    from rcrun.storage.images import Image


class UnpackAhead:
    """A thread that unpacks what `downloaded` names; a context manager, which waits for it.

    It stands in for the pull's progress, since that is told when a blob has arrived.
    """

    def __init__(
        self, context: Context, image: Image, progress: Progress, stop: threading.Event
    ) -> None:
        import queue
        import threading

        self._context = context
        self._image = image
        self._progress = progress
        self._stop = stop
        self._arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def advanced(self, digest: str, done: int) -> None:
        self._progress.advanced(digest, done)

    def downloaded(self, digest: str) -> None:
        self._progress.downloaded(digest)
        self._arrived.put(digest)

    def begin_with(self, present: Sequence[Descriptor]) -> None:
        """Layers whose blobs were there before."""
        for layer in present:
            self._arrived.put(layer["digest"])

    def _work(self) -> None:
        try:
            digest = self._arrived.get()
            while digest is not None and not self._stop.is_set():
                batch = {digest}
                while not self._arrived.empty() and (digest := self._arrived.get()) is not None:
                    batch.add(digest)
                self._unpack(batch)
                if digest is not None:
                    digest = self._arrived.get()
        except BaseException as error:
            self._error = error
            self._stop.set()

    def _unpack(self, digests: set[str]) -> None:
        image = self._image
        pairs = zip(image.chain, image.manifest["layers"], strict=True)
        chains = {chain for chain, layer in pairs if layer["digest"] in digests}
        context = self._context
        layers.unpack_some(context.store, context.identity, image, chains, self._progress)

    def __enter__(self) -> UnpackAhead:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._arrived.put(None)
        if kind is not None and not issubclass(kind, Exception):
            return  # an interruption waits for nothing; workers leave nothing half done
        self._thread.join()
        if self._error is not None:
            raise self._error
