"""`events` of the OCI command line: what a container uses, and what its limits did to it, as runc words it."""

from __future__ import annotations

import os
import select
import time

from rcrun.cgroup import stats
from rcrun.errors import HostLacks, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rcrun.runtime.state import Container

    Event = dict[str, Any]

# file, its field, the event; the kernel wakes who polls them
_WATCHED = (("memory.events", "oom_kill", "oom"), ("pids.events", "max", "pids"))
_POPULATED = "cgroup.events"


def path_of(container: Container) -> str:
    """The group of a container that runs."""
    if container.status() == "stopped":
        raise WrongState(f'container "{container.id}": container not running')
    path = container.cgroup()
    if not path:
        raise HostLacks(
            f'cannot watch container "{container.id}": it has no cgroup of its own',
            "log in with systemd (cgroup v2), or create it with: systemd-run --user --scope -p Delegate=yes",
        )
    return path


def statistics(container_id: str, path: str) -> Event:
    return {"type": "stats", "id": container_id, "data": stats.stats(path)}


def events(
    container_id: str, path: str, interval: float, now: Callable[[], float] = time.monotonic
) -> Iterator[Event]:
    """Until nobody is left in the group: statistics every `interval` seconds, and what happens at once."""
    with _Watch(path) as watch:
        due = now() + interval
        while watch.is_populated():
            watch.wait(max(0.0, due - now()))
            for kind, count in watch.changes():
                event: Event = {"type": kind, "id": container_id}
                yield event if kind == "oom" else {**event, "data": {"max": count}}
            if now() >= due and watch.is_populated():
                yield statistics(container_id, path)
                due += interval


class _Watch:
    """The files of a group that tell of events, open and polled."""

    __slots__ = ("_counts", "_fds", "_path", "_poll")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fds: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._poll = select.poll()

    def __enter__(self) -> _Watch:
        for name in (_POPULATED, *[row[0] for row in _WATCHED]):
            try:
                fd = os.open(f"{self._path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # its controller is not enabled
            self._fds[name] = fd
            self._poll.register(fd, select.POLLPRI)
        self.changes()
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds.values():
            os.close(fd)

    def wait(self, seconds: float) -> None:
        self._poll.poll(seconds * 1000)

    def _read(self, name: str) -> dict[str, int]:
        """Empty once the group is gone."""
        if name not in self._fds:
            return {}
        try:
            text = os.pread(self._fds[name], 4096, 0).decode("ascii")
        except OSError:
            return {}
        words = [line.split() for line in text.splitlines()]
        return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2}

    def is_populated(self) -> bool:
        return self._read(_POPULATED).get("populated") == 1

    def changes(self) -> list[tuple[str, int]]:
        """What has grown since the last call."""
        found = []
        for name, field, kind in _WATCHED:
            count = self._read(name).get(field, 0)
            if count > self._counts.get(kind, count):
                found.append((kind, count))
            self._counts[kind] = count
        return found
