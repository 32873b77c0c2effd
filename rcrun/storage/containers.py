"""Containers as they are on disk: finding them, their records and their status (docs/store.md)."""

from __future__ import annotations

import os
import time

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.files import (
    read_bytes,
    read_json,
    read_json_or_none,
    subdirectories,
    unlink_if_there,
    write_json,
)
from rcrun.paths import make_private_dir, note_live_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from rcrun.formats.spec import Spec
    from rcrun.paths import Store

    Record = dict[str, Any]

HOST_WENT_DOWN = 255
MONITOR_WAS_KILLED = 137


class Container:
    """One container's directories and its record; the record is as it was when it was read."""

    __slots__ = ("dir", "id", "live_dir", "record", "store")

    def __init__(self, store: Store, container_id: str, record: Record) -> None:
        self.store = store
        self.id = container_id
        self.record = record
        self.dir = store.container_dir(container_id)
        self.live_dir = store.container_live_dir(container_id)

    @property
    def name(self) -> str:
        return str(self.record["name"])

    def path(self, name: str) -> str:
        return f"{self.dir}/{name}"

    def live_path(self, name: str) -> str:
        return f"{self.live_dir}/{name}"

    def config(self) -> Spec:
        """Its config.json; a damaged one is an error of this container alone."""
        try:
            document = read_json(self.path("config.json"))
        except (FileNotFoundError, ValueError) as error:
            if not self.is_there():
                raise no_such(self.name) from None
            fault = str(error)
        else:
            if isinstance(document, dict):
                return document  # type: ignore[return-value]
            fault = "it is not a JSON object"
        raise RcrunError(
            f'container "{self.name}" cannot be used: its config.json is damaged: {fault}',
            f"remove it: rcrun rm -f {self.name}",
        )

    def is_there(self) -> bool:
        """The record goes first when a container is removed."""
        return os.path.lexists(self.path("container.json"))

    def noted_cgroup(self) -> str:
        """The group of its last start, or of one that was killed before it could write the record."""
        try:
            return os.fsdecode(read_bytes(self.path("cgroup")))
        except FileNotFoundError:
            return ""

    def save(self, *, durable: bool = True) -> None:
        write_json(self.path("container.json"), self.record, durable=durable)


def no_such(text: str) -> NotFound:
    return NotFound(f"no such container: {text}")


class Status:
    """What a container does now; `pid`s are 0 unless it is running."""

    __slots__ = (
        "exit_code", "finished", "monitor", "monitor_start", "oom_killed", "pid", "pid_start", "started",
        "word",
    )  # fmt: skip

    def __init__(self, word: str) -> None:
        self.word = word
        self.pid = self.pid_start = self.monitor = self.monitor_start = 0
        self.started = self.finished = 0
        self.exit_code = 0
        self.oom_killed = False

    @property
    def is_running(self) -> bool:
        return self.word in ("running", "paused")

    @property
    def is_up(self) -> bool:
        """Also between two runs, which its restart policy makes."""
        return self.word in ("running", "paused", "restarting")


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def now_text() -> str:
    return time_text(time.time_ns())


def time_text(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, in UTC."""
    t = time.gmtime(nanoseconds // 1_000_000_000)
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
        f".{nanoseconds % 1_000_000_000:09}Z"
    )


def seconds_of(text: str) -> float:
    """Since the epoch, of a time as `time_text` writes it (time.strptime would import re)."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    clock = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    fraction = text[20:].removesuffix("Z")
    years = year - (month < 3)
    era_days = years * 365 + years // 4 - years // 100 + years // 400
    days = era_days + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719_468
    return days * 86_400 + clock + float(f"0.{fraction or 0}")


# Finding.


def load(store: Store, container_id: str) -> Container | None:
    """None for a directory that is no container (yet)."""
    path = f"{store.container_dir(container_id)}/container.json"
    try:
        record = read_json_or_none(path)
    except ValueError as error:
        if os.path.getsize(path) == 0:
            return None  # the host went down while it was made
        record = _damaged_record(container_id, str(error))
    if record is not None and not _is_record(record):
        record = _damaged_record(container_id, "it is not a record")
    return None if record is None else Container(store, container_id, record)


def _is_record(value: object) -> bool:
    """Has what ps reads of every one."""
    if not isinstance(value, dict):
        return False
    created, name = value.get("created"), value.get("name")
    return (
        isinstance(name, str) and isinstance(created, str) and created[4:5] == created[7:8] == "-"
    )


def _damaged_record(container_id: str, fault: str) -> Record:
    """Enough that ps shows it and rm removes it."""
    return {
        "auto_remove": False,
        "created": "1970-01-01T00:00:00.000000000Z",
        "error": f"container.json is damaged: {fault}",
        "id": container_id,
        "labels": {},
        "launched": 0,
        "name": container_id[:12],
        "rootfs": {"kind": "directory", "path": "/"},
    }


def find(store: Store, text: str) -> Container:
    """By id, name, or unambiguous beginning of an id, in docker's order."""
    container = _by_id(store, text) or _by_name(store, text) or _by_prefix(store, text)
    if container is None:
        raise no_such(text)
    return container


def _is_hex(text: str) -> bool:
    return bool(text) and not text.strip("0123456789abcdef")


def _by_id(store: Store, text: str) -> Container | None:
    return load(store, text) if len(text) == 64 and _is_hex(text) else None


def _by_name(store: Store, text: str) -> Container | None:
    name = text.removeprefix("/")
    target = name_target(store, name) if name and "/" not in name else None
    if target is None:
        return None
    container = load(store, target)
    return container if container is not None and container.name == name else None


def name_target(store: Store, name: str) -> str | None:
    """The id that a name was claimed for, whether that container still is or not."""
    try:
        return os.readlink(store.name_path(name))
    except OSError:
        return None


def _by_prefix(store: Store, text: str) -> Container | None:
    if len(text) >= 64 or not _is_hex(text):
        return None
    found = [name for name in subdirectories(store.path("containers")) if name.startswith(text)]
    containers = [c for c in (load(store, name) for name in found) if c is not None]
    if len(containers) > 1:
        raise InvalidInput(f'several containers have an id that begins with "{text}"')
    return containers[0] if containers else None


def every(store: Store) -> list[Container]:
    """All containers, the newest first."""
    loaded = (load(store, name) for name in subdirectories(store.path("containers")))
    containers = [container for container in loaded if container is not None]
    containers.sort(key=lambda c: (str(c.record["created"]), c.id), reverse=True)
    return containers


# Status.


def status(container: Container) -> Status:
    """The order of the looks matters: the monitor writes exit.json before it ends (docs/store.md)."""
    state = _read_state(container)
    if state is not None:
        alive = _lives(state, "pid")
        if alive or _lives(state, "monitor"):
            ended = None if alive else _read_exit(container)
            if ended is None:
                if not alive and _read_state(container) != state:
                    return status(container)  # a start has put the old files away meanwhile
                return _running(container, state)
            return _exited(container, state, ended)
    ended = _end_of_run(container, state)
    if ended is None:
        if not container.is_there():
            return Status("removing")  # its files have just gone
        ended = _end_without_files(container)
        if _was_started_again(container, ended):
            return status(container)
    elif ended.get("killed") and _read_state(container) != state:
        return status(container)  # a start has put both files away between the looks at them
    return Status("created") if ended is None else _exited(container, state, ended)


def _was_started_again(container: Container, ended: Record | None) -> bool:
    """Whether who did so was done while we looked: there was no state before it, and nobody to wait for after it."""
    if ended is None or not ended.get("restarting") or _is_awaited(ended):
        return False
    return _read_state(container) is not None


def _lives(state: Record, which: str) -> bool:
    """Whether that process of state.json is still there."""
    from rcrun.kernel.process import is_alive

    return is_alive(state[which], state[f"{which}_start"])


def _read_state(container: Container) -> Record | None:
    try:
        state: Record | None = read_json_or_none(container.live_path("state.json"))
    except ValueError:
        return None  # cut short when the host went down, where the live state outlives that
    return state if _has_numbers(state, _STATE) else None


_STATE = ("monitor", "monitor_start", "pid", "pid_start", "started")


def _is_frozen(container: Container) -> bool:
    group = container.record.get("cgroup")
    if not group:
        return False
    try:
        with open(f"{group}/cgroup.events", encoding="ascii") as file:
            return "frozen 1\n" in file.read()
    except OSError:
        return False


def _has_numbers(value: object, names: Iterable[str]) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), int) for name in names)


def _read_exit(container: Container) -> Record | None:
    try:
        ended: Record | None = read_json_or_none(container.path("exit.json"))
    except ValueError:
        ended = {}  # cut short when the host went down
    if ended is None or _has_numbers(ended, ("exit_code", "finished")):
        return ended
    return {"exit_code": HOST_WENT_DOWN, "finished": 0}


def _end_of_run(container: Container, state: Record | None) -> Record | None:
    """As its files tell it."""
    ended = _read_exit(container)
    if ended is None and state is not None:
        return {"exit_code": MONITOR_WAS_KILLED, "finished": state["started"], "killed": True}
    return ended


def _end_without_files(container: Container) -> Record | None:
    now = load(container.store, container.id)  # a start writes the record before it puts them away
    record = container.record if now is None else now.record
    launched = record.get("launched", 0)
    if launched and record.get("boot") != boot_id():
        return {"exit_code": HOST_WENT_DOWN, "finished": launched}
    last: Record | None = record.get("last_exit")
    return last


def _running(container: Container, state: Record) -> Status:
    found = Status("paused" if _is_frozen(container) else "running")
    found.pid = state["pid"]
    found.pid_start = state["pid_start"]
    found.monitor = state["monitor"]
    found.monitor_start = state["monitor_start"]
    found.started = state["started"]
    return found


def _exited(container: Container, state: Record | None, ended: Record) -> Status:
    found = Status("restarting" if _is_awaited(ended) else "exited")
    found.exit_code = ended["exit_code"]
    found.finished = ended["finished"]
    found.oom_killed = bool(ended.get("oom_killed"))
    found.started = state["started"] if state else container.record.get("launched", 0)
    alive = ended if found.word == "restarting" else state
    if alive is not None and _lives(alive, "monitor"):
        found.monitor = alive["monitor"]
        found.monitor_start = alive["monitor_start"]
    return found


def _is_awaited(ended: Record) -> bool:
    """Whether its monitor waits to start it again; or has become the rcrun that does so now (docs/store.md)."""
    if not ended.get("restarting") or not _has_numbers(ended, ("monitor", "monitor_start")):
        return False
    return _lives(ended, "monitor")


def anonymous_volumes(container: Container) -> list[str]:
    """Those without a name of their own, which go with the last container that has them."""
    mounts = container.record.get("mounts") or []
    return [str(mount["name"]) for mount in mounts if mount.get("anonymous")]


def prepare_launch(container: Container) -> None:
    """Note that a start is tried, and put the last run's files away; the caller holds the lock.

    Until the shim has written state.json the container still shows its last end.
    """
    _keep_end(container)
    container.record["launched"] = time.time_ns()
    container.record["boot"] = boot_id()
    container.record["host"] = os.uname().nodename
    container.record["live"] = container.store.live_dir
    container.record["error"] = ""
    make_private_dir(container.live_dir)
    note_live_dir(container.store)
    container.save(durable=not container.record["auto_remove"])
    unlink_if_there(container.live_path("state.json"))
    unlink_if_there(container.path("exit.json"))


def _keep_end(container: Container) -> None:
    """In the record, before its files go."""
    ended = _end_of_run(container, _read_state(container))
    if ended is not None:
        container.record["last_exit"] = ended


def note_failure(container: Container, text: str) -> None:
    """The start failed: the container shows its last end, or created, and why."""
    _keep_end(container)
    container.record["launched"] = 0
    container.record["error"] = text
    container.save()  # before its files go: who looks in between would see neither
    unlink_if_there(container.live_path("state.json"))
