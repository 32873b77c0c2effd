"""Layers of a pull are unpacked as they arrive, while others are still on their way."""

from __future__ import annotations

from rcrun.engine.download import Stopped
from rcrun.engine.work import worded
from rcrun.errors import StepFailed
from rcrun.storage.layers import LayerQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.pull import Progress
    from rcrun.formats.image import Descriptor
    from rcrun.storage.images import Image


class UnpackAhead:
    """Workers that unpack what `downloaded` names; a context manager, which waits for them.

    It stands in for the pull's progress, since that is told when a blob has arrived.
    """

    def __init__(
        self, context: Context, image: Image, progress: Progress, stop: threading.Event
    ) -> None:
        import threading

        self._progress = progress
        self._stop = stop
        self._error: BaseException | None = None
        self._queue = LayerQueue(
            context.store, context.identity, image, progress, most=context.max_size
        )
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def advanced(self, digest: str, done: int) -> None:
        self._progress.advanced(digest, done)

    def downloaded(self, digest: str) -> None:
        self._progress.downloaded(digest)
        self._queue.ready(digest)

    def begin_with(self, present: Sequence[Descriptor]) -> None:
        """Layers whose blobs were there before."""
        for layer in present:
            self._queue.ready(layer["digest"])

    def _wait(self) -> None:
        """In a thread: a failure stops the downloads."""
        try:
            self._queue.wait()
        except BaseException as error:
            self._error = error
            self._stop.set()

    def __enter__(self) -> UnpackAhead:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        cause = self._error  # of a stop; what comes after one is only its effect
        if kind is not None:
            self._queue.stop()
        self._queue.close()
        self._thread.join()
        self._queue.__exit__()
        if kind is None:
            cause = self._error
        if cause is not None and (kind is None or issubclass(kind, Stopped)):
            raise worded(cause) if isinstance(cause, StepFailed) else cause
