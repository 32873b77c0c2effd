"""The log of events as `events` reads it: what is there, what comes, and what of it is asked for."""

from __future__ import annotations

import os
import time

from rcrun.engine.eventlog import log_path
from rcrun.engine.filters import parsed
from rcrun.files import parse_json
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from rcrun.kernel.inotify import Watch
    from rcrun.paths import Store

    Event = dict[str, Any]
    Asked = Mapping[str, Sequence[str]]

BLOCK = 1 << 16
_SECOND = 1_000_000_000
# The words of podman where it has others than docker.
PODMAN_ACTIONS = {
    "die": "died",
    "destroy": "remove",
    "exec_create": "exec",
    "exec_start": "exec",
    "exec_die": "exec_died",
    "delete": "remove",
}


def read(
    store: Store, *, since: int | None, until: int | None, stream: bool, filters: Sequence[str] = ()
) -> Iterator[Event]:
    """Those of the past from `since` on (ns since the epoch), then those to come until `until`, or for ever."""
    asked = parsed(filters, _FILTERS)
    make_private_dir(store.live_dir)
    from rcrun.kernel.inotify import Watch

    with Watch(store.live_dir) as watch, _Log(log_path(store)) as log:
        if since is None and stream:
            log.skip()
        for event in _all(log, watch, until, stream):
            if since is not None and event["timeNano"] < since:
                continue
            if until is not None and event["timeNano"] > until:
                return
            if passes(event, asked):
                yield event


def _all(log: _Log, watch: Watch, until: int | None, stream: bool) -> Iterator[Event]:
    yield from log.events()
    while stream:
        left = None if until is None else (until - time.time_ns()) / _SECOND
        if left is not None and left <= 0:
            return
        if not watch.wait(left):
            return
        yield from log.events()


class _Log:
    """The file and its predecessor, open, so that a rotation takes nothing away."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fds: list[int] = []
        self.rest = b""
        # The newer one first: what a rotation moves meanwhile is met again, not missed.
        for name in (path, f"{path}.1"):
            fd = self._open(name)
            if fd is not None:
                self.fds.insert(0, fd)

    def _open(self, path: str) -> int | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        if self.fds and os.path.samestat(os.fstat(fd), os.fstat(self.fds[0])):
            os.close(fd)
            return None
        return fd

    def skip(self) -> None:
        """To the end of what is there."""
        for fd in self.fds:
            os.lseek(fd, 0, os.SEEK_END)

    def events(self) -> Iterator[Event]:
        """What can be read now."""
        while True:
            for fd in list(self.fds):
                yield from self._of(fd)
                if fd != self.fds[-1]:
                    os.close(self.fds.pop(0))
            if not self._is_replaced():
                return

    def _of(self, fd: int) -> Iterator[Event]:
        while data := os.read(fd, BLOCK):
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                event = _event_of(line)
                if event is not None:
                    yield event

    def _is_replaced(self) -> bool:
        """A new file has taken the path: it is read after this one."""
        fd = self._open(self.path) if not self.fds else self._newer()
        if fd is not None:
            self.fds.append(fd)
        return fd is not None

    def _newer(self) -> int | None:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        if os.path.samestat(os.fstat(fd), os.fstat(self.fds[-1])):
            os.close(fd)
            return None
        return fd

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def _event_of(line: bytes) -> Event | None:
    """None for what a full disk cut short."""
    try:
        event = parse_json(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("timeNano"), int):
        return None
    actor = event.get("Actor")
    return event if isinstance(actor, dict) and isinstance(actor.get("Attributes"), dict) else None


# Filters: of one key one value must match, of labels all.


def passes(event: Event, asked: Asked) -> bool:
    for key, values in asked.items():
        matches = [_FILTERS[key](event, value) for value in values]
        if not (all(matches) if key == "label" else any(matches)):
            return False
    return True


def _is_of(kind: str) -> Callable[[Event, str], bool]:
    """Its id, the beginning of it, or its name."""

    def matches(event: Event, value: str) -> bool:
        if event["Type"] != kind:
            return False
        actor, name = event["Actor"], event["Actor"]["Attributes"].get("name", "")
        return bool(value) and (actor["ID"].startswith(value) or name == value.removeprefix("/"))

    return matches


def _is_about(kind: str, attribute: str) -> Callable[[Event, str], bool]:
    """As above, or of a container that has it to do with it."""
    own = _is_of(kind)

    def matches(event: Event, value: str) -> bool:
        return own(event, value) or event["Actor"]["Attributes"].get(attribute) == value

    return matches


def _has_image(event: Event, value: str) -> bool:
    attributes = event["Actor"]["Attributes"]
    name = attributes.get("name") if event["Type"] == "image" else attributes.get("image")
    return value in (name, str(name).partition(":")[0]) or _is_of("image")(event, value)


def _has_action(event: Event, value: str) -> bool:
    action, (word, _, _) = event["Action"], event["Action"].partition(":")
    return value in (action, word, PODMAN_ACTIONS.get(word))


def _has_type(event: Event, value: str) -> bool:
    return bool(event["Type"] == value)


def _has_label(event: Event, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    attributes = event["Actor"]["Attributes"]
    return key in attributes and (not equals or attributes[key] == wanted)


def _has_health(event: Event, value: str) -> bool:
    return bool(event["Action"] == f"health_status: {value}")


def _has_scope(event: Event, value: str) -> bool:
    return value == event.get("scope")


_FILTERS: dict[str, Callable[[Event, str], bool]] = {
    "container": _is_of("container"),
    "event": _has_action,
    "health_status": _has_health,
    "image": _has_image,
    "label": _has_label,
    "network": _is_about("network", "network"),
    "pod": _is_of("pod"),
    "scope": _has_scope,
    "secret": _is_of("secret"),
    "status": _has_action,  # podman's word for it
    "type": _has_type,
    "volume": _is_about("volume", "volume"),
}
