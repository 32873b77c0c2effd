"""What `wait` can wait for beyond the end of a run: the next start, a state, a health."""

from __future__ import annotations

import os
import select

from rcrun.errors import NotFound
from rcrun.kernel.process import open_pidfd
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container, Status


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
