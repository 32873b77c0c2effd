"""A digest computed by a thread while its bytes are written: the library releases the interpreter for large pieces."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    import queue

DEPTH = 4


class HashAside:
    """As hashlib's sha256, once: nothing comes after `hexdigest`. The pieces must not change."""

    def __init__(self) -> None:
        import hashlib
        import queue
        import threading

        self._content: hashlib._Hash = hashlib.sha256()
        self._pieces: queue.Queue[bytes | memoryview | None] = queue.Queue(DEPTH)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self._digest = ""

    def update(self, data: bytes | memoryview, /) -> None:
        self._pieces.put(data)

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._content.update(piece)

    def hexdigest(self) -> str:
        if not self._digest:
            self._pieces.put(None)
            self._thread.join()
            self._digest = self._content.hexdigest()
        return self._digest
