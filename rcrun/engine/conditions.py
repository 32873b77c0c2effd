"""What `wait` can wait for beyond the end of a run: the next start, a state, a health."""

from __future__ import annotations

import os
import select

from rcrun.errors import InvalidInput, NotFound
from rcrun.kernel.process import open_pidfd
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import load, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.storage.containers import Container, Status

# Docker's and podman's; `initialized`, `configured` and the like are the words of podman for what never lasts here.
CONDITIONS = (
    "configured", "created", "exited", "healthy", "initialized", "next-exit", "not-running", "paused",
    "removed", "removing", "running", "stopped", "stopping", "unhealthy",
)  # fmt: skip
_HAS_NOT_ENDED = -1
# A change comes with an event; who was killed leaves none.
SECONDS_BETWEEN_LOOKS = 0.5


def next_run(container: Container, waiting: Status) -> Status:
    """Of one between two runs: the run that follows, its end if that was faster, or the end of its policy."""
    now = waiting
    while now.word == "restarting" and now.finished == waiting.finished:
        await_end_of_process(now.monitor, now.monitor_start)
        try:
            with ContainerLock(container):  # whoever ended the wait may be about to start it
                pass
        except NotFound:
            waiting.word = "exited"
            return waiting
        now = status(container)
    return now


def await_end_of_process(pid: int, start: int, seconds: float | None = None) -> bool:
    """False when the time is up."""
    fd = open_pidfd(pid, start)
    if fd is None:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
    finally:
        os.close(fd)


def wait_for(container: Container, conditions: Sequence[str]) -> int:
    """Until one of them holds: the exit code, or -1 (podman's) of one that has not ended."""
    from rcrun.kernel.inotify import Watch

    for word in conditions:
        if word not in CONDITIONS:
            raise InvalidInput(f'unknown condition "{word}"', f"use one of {' '.join(CONDITIONS)}")
    before = status(container)
    last = before
    with Watch(container.store.live_dir) as watch:
        while True:
            if load(container.store, container.id) is None:
                return last.exit_code
            last = status(container)
            if any(_holds(container, word, last, before) for word in conditions):
                return last.exit_code if last.word in ("exited", "restarting") else _HAS_NOT_ENDED
            watch.wait(SECONDS_BETWEEN_LOOKS)


def _holds(container: Container, word: str, now: Status, before: Status) -> bool:
    if word == "next-exit":
        return now.finished != before.finished and now.finished > 0
    if word in ("healthy", "unhealthy"):
        from rcrun.engine.healthfile import word_of

        return word_of(container, now) == word
    if word == "not-running":
        return not now.is_up
    if word in ("created", "configured", "initialized"):
        return now.word == "created"
    return now.word == {"stopped": "exited"}.get(word, word)
