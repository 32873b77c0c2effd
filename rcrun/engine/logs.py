"""What a container has written: its log files in order, and what is added while one follows (docs/plan.md)."""

from __future__ import annotations

import os
import time

from rcrun.engine.monitor import Ending
from rcrun.files import Lock, parse_json
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rcrun.storage.containers import Container, Status

BLOCK = 1 << 16
FIRST_BYTES = 256
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_RESTART = 0.2  # for a `start` behind a `stop`


class Line:
    """One record: `whole` is false when the line goes on in the next record of its stream."""

    __slots__ = ("stream", "text", "time", "whole")

    def __init__(self, record: bytes) -> None:
        self.time, _, rest = record.partition(b" ")
        self.stream, _, rest = rest.partition(b" ")
        tag, _, self.text = rest.partition(b" ")
        self.whole = tag != b"P"


class JsonLine(Line):
    """A record of docker's json-file; one that is damaged is an empty piece of a line."""

    __slots__ = ()

    def __init__(self, record: bytes) -> None:
        try:
            value = parse_json(record)
            text = value["log"].encode("utf-8", "surrogatepass")
            self.stream, self.time = value["stream"].encode(), value["time"].encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            text, self.stream, self.time = b"", b"stdout", b""
        self.whole = text.endswith(b"\n")
        self.text = text.removesuffix(b"\n")


def _is_whole(record: bytes) -> bool:
    return record.split(b" ", 3)[2:3] != [b"P"]


def _is_whole_json(record: bytes) -> bool:
    return JsonLine(record).whole


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
    for lines in _lines(container, follow, tail):
        yield [line for line in lines if line.time >= since and (not until or line.time <= until)]
        if until and lines and lines[-1].time > until:
            return


def _lines(container: Container, follow: bool, tail: int | None) -> Iterator[list[Line]]:
    log = container.record.get("log") or {}
    driver, path = log.get("driver", "k8s-file"), log.get("path") or container.path("log")
    if driver not in ("k8s-file", "json-file"):
        from rcrun.engine.logjournal import read_other

        yield from read_other(container, driver, follow, tail)
        return
    json = driver == "json-file"
    kind = JsonLine if json else Line
    with _Files(path, _is_whole_json if json else _is_whole) as files:
        for records in _batches(container, files, follow, tail):
            yield [kind(record) for record in records]


def _batches(
    container: Container, files: _Files, follow: bool, tail: int | None
) -> Iterator[list[bytes]]:
    if tail is not None:
        files.skip_to_tail(tail)
    now = status(container) if follow else None
    yield from files.batches()
    while now is not None and now.is_running:
        with Ending(container, now) as ending:
            yield from files.batches()
            while not ending.wait(SECONDS_BETWEEN_LOOKS):
                yield from files.batches()
        yield from files.batches()
        now = next_run(container)
    yield from files.batches()


def next_run(container: Container) -> Status:
    """After an end: the run that a restart has begun, or is about to."""
    until = time.monotonic() + SECONDS_TO_RESTART
    while True:
        # before the state: a restart that is over by then is seen there
        waits = time.monotonic() < until or _is_in_restart(container)
        now = status(container)
        waits = waits or now.word == "restarting"
        if now.is_running or not waits or not os.path.lexists(container.path("container.json")):
            return now
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _is_in_restart(container: Container) -> bool:
    path = container.live_path("restart.lock")
    lock = Lock(path, shared=True)
    try:
        if os.path.lexists(path) and not lock.acquire(wait=False):
            return True
    except FileNotFoundError:
        pass  # the container goes away
    lock.release()
    return False


class _Files:
    """The log and its rotated predecessors, the oldest first; open, so that a rotation takes nothing away."""

    __slots__ = ("fds", "is_whole", "path", "rest")

    def __init__(self, path: str, is_whole: Callable[[bytes], bool] = _is_whole) -> None:
        self.path = path
        self.is_whole = is_whole
        self.rest = b""
        self.fds = self._opened()

    def _opened(self, known: int = -1) -> list[int]:
        """Newest first while opening: what a rotation moves meanwhile is met again, not missed."""
        fds: list[int] = []
        seen: list[os.stat_result] = []
        for number in range(1_000_000):
            fd = _open_log(self.path, number)
            if fd < 0 and number == 0 and known < 0 and _open_log(self.path, 1, probe=True) >= 0:
                continue  # between the two renames of a rotation
            if fd < 0:
                break
            found = os.fstat(fd)
            if known >= 0 and _is_same(fd, known):
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
        return self._opened(fd)

    def skip_to_tail(self, count: int) -> None:
        """Leave out everything before the last so many lines."""
        missing = count
        for at in range(len(self.fds) - 1, -1, -1):
            missing -= _seek_to_tail(self.fds[at], missing, self.is_whole)
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


def _open_log(path: str, number: int, *, probe: bool = False) -> int:
    """-1 when it is not there; one that was compressed is unpacked into memory."""
    name = f"{path}.{number}" if number else path
    try:
        if probe:
            return 0 if os.path.lexists(name) or os.path.lexists(f"{name}.gz") else -1
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if not number or not os.path.lexists(f"{name}.gz"):
            return -1
    from rcrun.engine.logcompress import unpacked

    return unpacked(f"{name}.gz")


def _is_same(fd: int, known: int) -> bool:
    """The same file, or what was compressed of it: no two begin alike, since records begin with their times."""
    if os.path.samestat(os.fstat(fd), os.fstat(known)):
        return True
    first = os.pread(fd, FIRST_BYTES, 0)
    return bool(first) and first == os.pread(known, FIRST_BYTES, 0)


def _seek_to_tail(fd: int, count: int, is_whole: Callable[[bytes], bool]) -> int:
    """Set the descriptor before its last `count` lines, or to its beginning; how many lines follow."""
    end = os.fstat(fd).st_size
    size = BLOCK
    while True:
        start = max(0, end - size)
        starts = _line_starts(os.pread(fd, end - start, start), start, is_whole)
        if len(starts) >= count or start == 0:
            break
        size *= 4
    wanted = starts[-count:] if count else []
    os.lseek(
        fd, wanted[0] if len(starts) >= count and wanted else (0 if count else end), os.SEEK_SET
    )
    return min(len(starts), count)


def _line_starts(data: bytes, offset: int, is_whole: Callable[[bytes], bool]) -> list[int]:
    """Where lines begin, as offsets in the file; a line may have several records, the last one whole."""
    at = 0 if offset == 0 else data.find(b"\n") + 1
    starts = []
    fresh = offset == 0  # what is before may have left a line open: count from the next whole one
    while 0 <= at < len(data):
        next_at = data.find(b"\n", at) + 1 or len(data)
        if fresh:
            starts.append(offset + at)
        fresh = is_whole(data[at:next_at])
        at = next_at
    return starts
