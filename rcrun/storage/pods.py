"""Pods as they are on disk: `pods/ID/pod.json` and a lock; found by id, name or prefix (docs/store.md).

Who makes a container of a pod holds the pod's lock, shared, until the container's record names it; who makes or removes
the pod holds it alone. So none goes away under a container that is being made.
"""

from __future__ import annotations

import os
import time

from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.files import (
    Lock,
    read_json_or_none,
    subdirectories,
    unlink_if_there,
    write_json,
)
from rcrun.paths import make_private_dir
from rcrun.storage.claims import claimed, held, reclaimed
from rcrun.storage.containers import every as every_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.containers import Container

    Record = dict[str, Any]

LEFTOVER_SECONDS = 60


class Pod:
    """One pod's directory and its record; the record is as it was when it was read."""

    __slots__ = ("dir", "id", "record", "store")

    def __init__(self, store: Store, pod_id: str, record: Record) -> None:
        self.store = store
        self.id = pod_id
        self.record = record
        self.dir = store.path("pods", pod_id)

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def infra_id(self) -> str:
        """Of the container that has the namespaces; empty without one."""
        return str(self.record.get("infra") or "")

    def path(self, name: str) -> str:
        return f"{self.dir}/{name}"

    def is_there(self) -> bool:
        return os.path.lexists(self.path("pod.json"))

    def save(self) -> None:
        write_json(self.path("pod.json"), self.record)

    def members(self) -> list[Container]:
        """All of its containers, the infra container too, the oldest first."""
        found = [each for each in every_container(self.store) if pod_id_of(each) == self.id]
        return found[::-1]


def pod_id_of(container: Container) -> str:
    """Empty for a container that is in no pod."""
    pod = container.record.get("pod")
    return str(pod.get("id") or "") if isinstance(pod, dict) else ""


def is_infra(container: Container) -> bool:
    return bool(container.record.get("infra"))


def no_such(text: str) -> NotFound:
    return NotFound(f"no such pod: {text}", "list them with: rcrun pod ps")


def load(store: Store, pod_id: str) -> Pod | None:
    """None for a directory that is no pod (yet), or a damaged one."""
    try:
        record = read_json_or_none(store.path("pods", pod_id, "pod.json"))
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        return None
    return Pod(store, pod_id, record)


def find(store: Store, text: str) -> Pod:
    """By id, name, or unambiguous beginning of an id."""
    name = text.removeprefix("/")
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise no_such(text)
    pod = load(store, name) or _by_name(store, name) or _by_prefix(store, name)
    if pod is None:
        raise no_such(text)
    return pod


def _by_name(store: Store, name: str) -> Pod | None:
    target = name_target(store, name)
    pod = load(store, target) if target else None
    return pod if pod is not None and pod.name == name else None


def name_target(store: Store, name: str) -> str:
    """The id that a name was claimed for, whether that pod still is or not."""
    try:
        return os.readlink(name_path(store, name))
    except OSError:
        return ""


def name_path(store: Store, name: str) -> str:
    return store.path("podnames", name)


def _by_prefix(store: Store, text: str) -> Pod | None:
    if text.strip("0123456789abcdef"):
        return None
    found = [name for name in subdirectories(store.path("pods")) if name.startswith(text)]
    pods = [pod for pod in (load(store, name) for name in found) if pod is not None]
    if len(pods) > 1:
        raise InvalidInput(f'several pods have an id that begins with "{text}"')
    return pods[0] if pods else None


def every(store: Store) -> list[Pod]:
    """The newest first."""
    loaded = (load(store, name) for name in subdirectories(store.path("pods")))
    pods = [pod for pod in loaded if pod is not None]
    pods.sort(key=lambda pod: (str(pod.record.get("created")), pod.id), reverse=True)
    return pods


class PodLock:
    """The lock of a pod that is there, held; NotFound when it went away meanwhile. The record is read again."""

    __slots__ = ("lock", "pod")

    def __init__(self, pod: Pod, *, shared: bool = False) -> None:
        self.pod = pod
        self.lock = Lock(pod.path("lock"), shared=shared)

    def acquire(self) -> None:
        pod = self.pod
        again = held(self.lock, lambda: load(pod.store, pod.id), lambda: no_such(pod.name))
        if again is not None:
            pod.record = again.record

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> PodLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class PodClaim:
    """A pod being made: its directory, locked, and its name; undone unless its record was saved."""

    __slots__ = ("lock", "pod")

    def __init__(self, store: Store) -> None:
        self.pod = Pod(store, os.urandom(32).hex(), {"name": ""})
        self.lock = Lock(self.pod.path("lock"))

    def claim_name(self, name: str) -> None:
        claim_name(self.pod.store, name, self.pod.id)
        self.pod.record["name"] = name

    def __enter__(self) -> PodClaim:
        make_private_dir(os.path.dirname(self.pod.dir))
        os.mkdir(self.pod.dir, 0o700)
        self.lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self.pod.is_there():
                discard(self.pod)
        finally:
            self.lock.release()


def claim_name(store: Store, name: str, pod_id: str) -> None:
    """AlreadyExists when another pod has it."""
    holder = claimed(name_path(store, name), pod_id, lambda: _reclaim_name(store, name))
    if holder is not None:
        raise AlreadyExists(
            f'the pod name "{name}" is already in use by pod "{holder}"',
            f"remove that pod, or choose another name: rcrun pod rm {name}",
        )


def _reclaim_name(store: Store, name: str) -> str | None:
    """Free a name whose pod has vanished; the id of its pod when it has not."""

    def has_it(pod_id: str) -> bool:
        pod = load(store, pod_id)
        return pod is not None and pod.name == name

    return reclaimed(
        store, name_path(store, name), has_it, lambda pod_id: store.path("pods", pod_id)
    )


def discard(pod: Pod) -> None:
    """No pod any more, then no name, then no directory; the caller holds the lock alone."""
    unlink_if_there(pod.path("pod.json"))
    if pod.record.get("name") and name_target(pod.store, pod.name) == pod.id:
        unlink_if_there(name_path(pod.store, pod.name))
    for name in subdirectories(pod.dir):
        unlink_if_there(pod.path(name))
    try:
        os.rmdir(pod.dir)
    except FileNotFoundError:
        pass


# ---- what crashes left


def leftovers(store: Store, *, now: float | None = None) -> list[Pod]:
    """Directories of pods that nobody finished, or finished removing."""
    now = time.time() if now is None else now
    found = []
    for pod_id in subdirectories(store.path("pods")):
        pod = Pod(store, pod_id, {"name": ""})
        try:
            is_old = now - os.stat(pod.dir).st_mtime >= LEFTOVER_SECONDS
        except FileNotFoundError:
            continue
        if is_old and not pod.is_there():
            found.append(pod)
    return found


def sweep(store: Store) -> list[Container]:
    """Take half-made pods and names of vanished ones away; the infra containers that are left of such pods."""
    infras: list[Container] = []
    for pod in leftovers(store):
        lock = Lock(pod.path("lock"))
        try:
            if lock.acquire(wait=False) and not pod.is_there():
                infras += [each for each in pod.members() if is_infra(each)]
                discard(pod)
        except (FileNotFoundError, NotADirectoryError):
            pass  # somebody else sweeps, too
        finally:
            lock.release()
    for name in subdirectories(store.path("podnames")):
        target = name_target(store, name)
        if target and not os.path.lexists(store.path("pods", target)):
            _reclaim_name(store, name)
    return infras
