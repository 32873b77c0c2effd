"""The log of events: a line of JSON each in docker's shape, appended whole, so that nobody needs a lock (docs/store.md).

The monitor writes its own (rcrun/shim/event.c). No event is worth an error.
"""

from __future__ import annotations

import os
import time

from rcrun.files import dump_json
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.paths import Store
    from rcrun.storage.containers import Container

ROTATED_AT = 1 << 20
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def log_path(store: Store) -> str:
    return f"{store.live_dir}/events"


def emit(
    store: Store, kind: str, action: str, actor_id: str, attributes: Mapping[str, str] | None = None
) -> None:
    """Of an image, a volume, a network: `emit(store, "volume", "create", name, {"driver": "local"})`."""
    _append(store, _line(kind, action, actor_id, dict(attributes or {})))


def container_event(container: Container, *actions: str, **more: str) -> None:
    """Several actions are as many lines in one write."""
    found = {**attributes_of(container), **more}
    lines = [_line("container", action, container.id, found) for action in actions]
    _append(container.store, "".join(lines))


def attributes_of(container: Container) -> dict[str, str]:
    """Image, name, and all labels, as docker has them."""
    record = container.record
    return {**(record.get("labels") or {}), "image": image_of(container), "name": container.name}


def image_of(container: Container) -> str:
    record = container.record
    return str(record.get("image_typed") or record.get("image") or record.get("image_id") or "")


def plan_records(container: Container) -> list[list[str]]:
    """What the monitor needs for its own."""
    removed = ["removed"] if container.record.get("auto_remove") else []
    attributes = attributes_of(container)
    return [[*_words(container, container.live_path("event"), attributes), *removed]]


def exec_records(container: Container, exec_id: str) -> list[list[str]]:
    """The same for the monitor of an exec session."""
    return [_words(container, "/dev/null", {**attributes_of(container), "execID": exec_id})]


def _words(container: Container, newer: str, attributes: Mapping[str, str]) -> list[str]:
    image, text = dump_json(image_of(container)), dump_json(attributes, ordered=False)
    return ["events", log_path(container.store), newer, image, text[:-1]]


def renamed(container: Container, old: str) -> None:
    """And from now on the monitor's have the new name."""
    container_event(container, "rename", oldName=f"/{old}")
    try:
        fd = os.open(container.live_path("event"), _FLAGS | os.O_TRUNC, 0o600)
    except OSError:
        return  # it does not run, and the next plan has the new name
    try:
        os.write(fd, dump_json(attributes_of(container), ordered=False)[:-1].encode())
    finally:
        os.close(fd)


def _line(kind: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> str:
    now = time.time_ns()
    event: dict[str, object] = {}
    if kind in ("container", "image"):
        event = {"status": action, "id": actor_id}
    if kind == "container":
        event["from"] = attributes["image"]
    event.update(
        Type=kind,
        Action=action,
        Actor={"ID": actor_id, "Attributes": attributes},
        scope="local",
        time=now // 1_000_000_000,
        timeNano=now,
    )
    return dump_json(event, ordered=False) + "\n"


def _append(store: Store, text: str) -> None:
    try:
        fd = _opened(store)
    except OSError:
        return
    try:
        os.write(fd, text.encode("utf-8", "replace"))
        if os.fstat(fd).st_size >= ROTATED_AT:
            _rotate(fd, log_path(store))
    except OSError:
        pass
    finally:
        os.close(fd)


def _opened(store: Store) -> int:
    try:
        return os.open(log_path(store), _FLAGS, 0o600)
    except FileNotFoundError:
        make_private_dir(store.live_dir)
        return os.open(log_path(store), _FLAGS, 0o600)


def _rotate(fd: int, path: str) -> None:
    """One who rotates holds a lock, and looks whether another was first."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.path.samestat(os.fstat(fd), os.stat(path)):
        os.rename(path, f"{path}.1")
