"""A sequence of pieces, read as one stream: exact amounts, or straight from the pieces to a descriptor."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class ByteStream:
    __slots__ = ("_piece", "_pieces", "_view", "end", "pos", "start")

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._view = memoryview(b"")
        self.pos = 0
        self.end = 0
        self.start = 0  # where the piece begins in the stream

    def tell(self) -> int:
        return self.start + self.pos

    def take(self, count: int) -> bytes:
        """Exactly so many bytes, or fewer at the end of the stream."""
        pos = self.pos
        if self.end - pos >= count:
            self.pos = pos + count
            return self._piece[pos : pos + count]
        parts = []
        while count:
            have = min(count, self.end - self.pos)
            if have:
                parts.append(self._piece[self.pos : self.pos + have])
                self.pos += have
                count -= have
            elif not self._next():
                break
        return b"".join(parts)

    def piece(self, most: int) -> memoryview:
        """What there is without copying it, up to so many bytes; nothing at the end of the stream."""
        if self.pos == self.end:
            self._next()
        found = self._view[self.pos : min(self.end, self.pos + most)]
        self.pos += len(found)
        return found

    def copy_to(self, fd: int, count: int) -> bool:
        """Write so many bytes to the descriptor; false when the stream ends before."""
        while count:
            have = min(count, self.end - self.pos)
            if have:
                have = os.write(fd, self._view[self.pos : self.pos + have])
                self.pos += have
                count -= have
            elif not self._next():
                return False
        return True

    def skip(self, count: int) -> bool:
        """Leave out so many bytes; false when the stream ends before."""
        while count:
            have = min(count, self.end - self.pos)
            self.pos += have
            count -= have
            if count and not self._next():
                return False
        return True

    def drain(self) -> None:
        """Read to the end, for whoever hashes what passes."""
        while self._next():
            pass

    def _next(self) -> bool:
        for piece in self._pieces:
            if piece:
                self.start += self.end
                self._piece = piece
                self._view = memoryview(piece)
                self.pos = 0
                self.end = len(piece)
                return True
        self.pos = self.end
        return False
