"""The digest of a tar on its way, and the tar itself in a file, unless it is too much to be kept."""

from __future__ import annotations

import os

from rcrun.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib


class TarSum:
    """Called with the pieces; `most` bytes are kept in the file, of a larger tar nothing is."""

    def __init__(self, fd: int, most: int) -> None:
        import hashlib

        self._fd = fd
        self._most = most
        self._size = 0
        self._content: hashlib._Hash = hashlib.sha256()

    def __call__(self, data: bytes) -> None:
        self._content.update(data)
        self._size += len(data)
        if self._size > self._most:
            self._give_up()
            return
        try:
            write_all(self._fd, data)
        except OSError:
            self._give_up()  # the disk is full

    def _give_up(self) -> None:
        if self._most:
            os.ftruncate(self._fd, 0)
            self._most = 0

    def told(self) -> dict[str, object]:
        return {"digest": self._content.hexdigest(), "kept": bool(self._most)}
