"""Run a generator in a thread, a few pieces ahead of whoever takes them: two processors work on one stream."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    from collections.abc import Iterator

DEPTH = 4


class Ahead:
    """A context manager; iterate over it once. An error of the generator is raised where it is taken."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        import queue
        import threading

        self._pieces = pieces
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(DEPTH)
        self._stop = False
        self._thread = threading.Thread(target=self._produce, daemon=True)

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def _produce(self) -> None:
        try:
            for piece in self._pieces:
                self._queue.put(piece)
                if self._stop:
                    return
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)

    def __exit__(self, *_: object) -> None:
        import queue

        self._stop = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.01)
            except queue.Empty:
                pass
        self._thread.join()
