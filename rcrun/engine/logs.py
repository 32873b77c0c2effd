"""What a container has written: its log files in order, and what is added while one follows (docs/plan.md)."""

from __future__ import annotations

import os

from rcrun.engine.monitor import Ending
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.storage.containers import Container

BLOCK = 1 << 16
SECONDS_BETWEEN_LOOKS = 0.05


class Line:
    """One record: `whole` is false when the line goes on in the next record of its stream."""

    __slots__ = ("stream", "text", "time", "whole")

    def __init__(self, record: bytes) -> None:
        self.time, _, rest = record.partition(b" ")
        self.stream, _, rest = rest.partition(b" ")
        tag, _, self.text = rest.partition(b" ")
        self.whole = tag != b"P"


def read(
    container: Container,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: bytes = b"",
    until: bytes = b"",
) -> Iterator[list[Line]]:
    """In batches, as they were there to be read: who prints may wait after each.

    `since` and `until` are times as the log has them, which sort as text; empty: no bound.
    """
    for records in _batches(container, follow, tail):
        lines = [Line(record) for record in records]
        yield [line for line in lines if line.time >= since and (not until or line.time <= until)]
        if until and lines and lines[-1].time > until:
            return


def _batches(container: Container, follow: bool, tail: int | None) -> Iterator[list[bytes]]:
    now = status(container)
    with _Files(container.path("log")) as files:
        if tail is not None:
            files.skip_to_tail(tail)
        if not (follow and now.is_running):
            yield from files.batches()
            return
        with Ending(container, now) as ending:
            yield from files.batches()
            while not ending.wait(SECONDS_BETWEEN_LOOKS):
                yield from files.batches()
        yield from files.batches()


class _Files:
    """The log and its rotated predecessors, the oldest first; open, so that a rotation takes nothing away."""

    __slots__ = ("fds", "path", "rest")

    def __init__(self, path: str) -> None:
        self.path = path
        self.rest = b""
        self.fds = self._opened()

    def _opened(self, known: os.stat_result | None = None) -> list[int]:
        """Newest first while opening: what a rotation moves meanwhile is met again, not missed."""
        fds: list[int] = []
        seen: list[os.stat_result] = [known] if known else []
        for number in range(1_000_000):
            try:
                fd = os.open(
                    f"{self.path}.{number}" if number else self.path, os.O_RDONLY | os.O_CLOEXEC
                )
            except FileNotFoundError:
                if number == 0 and known is None:
                    continue  # between the two renames of a rotation
                break
            found = os.fstat(fd)
            if known is not None and os.path.samestat(found, known):
                os.close(fd)
                break
            if any(os.path.samestat(found, other) for other in seen):
                os.close(fd)
                continue
            seen.append(found)
            fds.append(fd)
        return fds[::-1]

    def batches(self) -> Iterator[list[bytes]]:
        """Whole records up to the end of what is there now."""
        while self.fds:
            fd = self.fds[0]
            yield from self._drain(fd)
            if len(self.fds) == 1:
                newer = self._newer(fd)
                if not newer:
                    return
                yield from self._drain(fd)  # it may have grown before it was rotated
                self.fds += newer
            os.close(self.fds.pop(0))

    def _drain(self, fd: int) -> Iterator[list[bytes]]:
        while block := os.read(fd, BLOCK):
            lines = (self.rest + block).split(b"\n")
            self.rest = lines.pop()
            yield lines

    def _newer(self, fd: int) -> list[int]:
        known = os.fstat(fd)
        try:
            if os.path.samestat(os.stat(self.path), known):
                return []
        except FileNotFoundError:
            return []  # between two renames, or removed with the container
        return self._opened(known)

    def skip_to_tail(self, count: int) -> None:
        """Leave out everything before the last so many lines."""
        missing = count
        for at in range(len(self.fds) - 1, -1, -1):
            missing -= _seek_to_tail(self.fds[at], missing)
            if missing <= 0:
                self._drop(at)
                return

    def _drop(self, count: int) -> None:
        for fd in self.fds[:count]:
            os.close(fd)
        del self.fds[:count]

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *error: object) -> None:
        self._drop(len(self.fds))


def _seek_to_tail(fd: int, count: int) -> int:
    """Set the descriptor before its last `count` lines, or to its beginning; how many lines follow."""
    end = os.fstat(fd).st_size
    size = BLOCK
    while True:
        start = max(0, end - size)
        starts = _line_starts(os.pread(fd, end - start, start), start)
        if len(starts) >= count or start == 0:
            break
        size *= 4
    wanted = starts[-count:] if count else []
    os.lseek(
        fd, wanted[0] if len(starts) >= count and wanted else (0 if count else end), os.SEEK_SET
    )
    return min(len(starts), count)


def _line_starts(data: bytes, offset: int) -> list[int]:
    """Where lines begin, as offsets in the file; a line may have several records, the last one whole."""
    at = 0 if offset == 0 else data.find(b"\n") + 1
    starts = []
    fresh = offset == 0  # what is before may have left a line open: count from the next whole one
    while 0 <= at < len(data):
        next_at = data.find(b"\n", at) + 1 or len(data)
        if fresh:
            starts.append(offset + at)
        fresh = data[at:next_at].split(b" ", 3)[2:3] != [b"P"]
        at = next_at
    return starts
