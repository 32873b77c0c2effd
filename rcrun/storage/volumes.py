"""Volumes: `volumes/NAME/_data` and its record; made aside and renamed in, so that one is whole or not there.

Who makes a container holds the locks of its volumes, shared, until the container's record names them; who fills,
changes or removes a volume holds its lock alone. So none goes away, and none is filled twice, under a new container.
"""

from __future__ import annotations

import errno
import fcntl
import os

from rcrun.errors import NotFound
from rcrun.files import Lock, is_at, read_json_or_none, subdirectories, write_json
from rcrun.paths import make_private_dir
from rcrun.storage.containers import every as every_container
from rcrun.storage.containers import time_text
from rcrun.storage.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.containers import Container

    Record = dict[str, Any]

BATCH = 200  # volumes that are locked at once: each takes a descriptor
MOST_SWEEPS = 100


def data_dir(store: Store, name: str) -> str:
    return f"{store.volume_dir(name)}/_data"


def find(store: Store, name: str) -> Record | None:
    """The record of a volume; a directory without one is a volume, too, as somebody else may have put it there."""
    if not name or "/" in name or name in (".", ".."):
        return None
    folder = store.volume_dir(name)
    try:
        record = read_json_or_none(f"{folder}/volume.json")
    except ValueError:
        record = None  # damaged: the files are there all the same
    if not isinstance(record, dict) and not os.path.isdir(f"{folder}/_data"):
        return None
    try:
        bare = _bare_record(folder, name)
    except FileNotFoundError:
        return None  # removed while we looked
    return {**bare, **record, "name": name} if isinstance(record, dict) else bare


def _bare_record(folder: str, name: str) -> Record:
    """What is known of one that was made by hand, or by an older rcrun."""
    created = os.stat(folder).st_mtime_ns
    return {
        "name": name,
        "created": time_text(created),
        "labels": {},
        "options": {},
        "anonymous": False,
        "needs_copy_up": False,
    }


def load(store: Store, name: str) -> Record:
    record = find(store, name)
    if record is None:
        raise no_such(name)
    return record


def no_such(name: str) -> NotFound:
    return NotFound(f"no such volume: {name}", "list them with: rcrun volume ls")


def save(store: Store, record: Record) -> None:
    """The caller holds the lock alone."""
    write_json(f"{store.volume_dir(record['name'])}/volume.json", record)


def every(store: Store) -> list[Record]:
    """Sorted by name."""
    found = [find(store, name) for name in subdirectories(store.path("volumes"))]
    return sorted((record for record in found if record is not None), key=lambda r: str(r["name"]))


def make(
    store: Store,
    name: str,
    created: str,
    *,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    anonymous: bool = False,
    needs_copy_up: bool = False,
    fill: Callable[[str], None] | None = None,
    discard: Callable[[str], None] = os.rmdir,
) -> bool:
    """False when it was there already. `fill` puts the first content into the directory that it is given.

    `discard` removes a directory that may hold files of other ids: what was made in vain.
    """
    if find(store, name) is not None:
        return False
    make_private_dir(store.tmp_dir())
    make_private_dir(store.path("volumes"))
    scratch = Scratch(store, "volume")
    scratch.make_dir()
    try:
        os.mkdir(f"{scratch.path}/_data", 0o755)
        os.chmod(f"{scratch.path}/_data", 0o755)  # whatever the umask is
        if fill is not None:
            fill(f"{scratch.path}/_data")
        record = {
            "name": name,
            "created": created,
            "labels": dict(labels or {}),
            "options": dict(options or {}),
            "anonymous": anonymous,
            "needs_copy_up": needs_copy_up,
        }
        write_json(f"{scratch.path}/volume.json", record)
        scratch.move_to(store.volume_dir(name))
    except OSError as error:
        discard(scratch.path)
        scratch.close()
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False  # somebody else was quicker
        raise
    except BaseException:
        discard(scratch.path)
        scratch.close()
        raise
    return True


class VolumeLock:
    """A volume's lock; NotFound when the volume is not there, or went away while we waited."""

    __slots__ = ("_lock", "name", "store")

    def __init__(self, store: Store, name: str, *, shared: bool = False) -> None:
        self.store = store
        self.name = name
        self._lock = Lock(f"{store.volume_dir(name)}/lock", shared=shared)

    def acquire(self, *, wait: bool = True) -> bool:
        """False when somebody else has it and we were not to wait."""
        if find(self.store, self.name) is None:
            raise no_such(self.name)
        try:
            if not self._lock.acquire(wait=wait):
                return False
        except (FileNotFoundError, NotADirectoryError):
            raise no_such(self.name) from None
        self._check()
        return True

    def make_exclusive(self) -> None:
        """Others may have had it in between: what was read before must be read again."""
        fcntl.flock(self._lock.fd, fcntl.LOCK_EX)
        self._check()

    def make_shared(self) -> None:
        fcntl.flock(self._lock.fd, fcntl.LOCK_SH)
        self._check()

    def _check(self) -> None:
        if not is_at(self._lock.fd, self._lock.path):
            self.release()
            raise no_such(self.name)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> VolumeLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def users(store: Store) -> dict[str, list[Container]]:
    """Which containers use a volume, whether they run or not."""
    found: dict[str, list[Container]] = {}
    for container in every_container(store):
        for name in dict.fromkeys(names_in(container)):
            found.setdefault(name, []).append(container)
    return found


def names_in(container: Container) -> list[str]:
    mounts = container.record.get("mounts") or []
    return [str(mount["name"]) for mount in mounts if mount["type"] == "volume"]


def take_unused(
    store: Store, names: Iterable[str], *, wait: bool = True, trash_dir: str = ""
) -> dict[str, str]:
    """Rename those that no container uses into the trash: where each is now, to be removed.

    Without `wait` one that a container is being made with is left alone.
    """
    taken: dict[str, str] = {}
    waiting = sorted(dict.fromkeys(names))
    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        locks = _locked(store, batch, wait=wait)
        try:
            used = users(store) if locks else {}
            for lock in locks:
                if lock.name not in used:
                    taken[lock.name] = discard(lock, trash_dir)
        finally:
            for lock in locks:
                lock.release()
    return taken


def _locked(store: Store, names: Iterable[str], *, wait: bool) -> list[VolumeLock]:
    """Those that are there; everybody takes several in the order of their names, so that nobody waits in a ring."""
    locks = []
    for name in names:
        lock = VolumeLock(store, name)
        try:
            if lock.acquire(wait=wait):
                locks.append(lock)
        except NotFound:
            continue
        except BaseException:
            for held in locks:
                held.release()
            raise
    return locks


def discard(lock: VolumeLock, trash_dir: str = "") -> str:
    """Into the trash, or a directory of its own in it; what is to be removed. The caller holds the lock alone."""
    store = lock.store
    folder = trash_dir or store.trash_dir()
    # A name of its own: the volume's can be used again before the files of the last one are gone.
    trashed = f"{folder}/volume.{os.urandom(6).hex()}"
    for attempt in range(MOST_SWEEPS):
        make_private_dir(folder)
        try:
            os.rename(store.volume_dir(lock.name), trashed)
            break
        except FileNotFoundError:
            if attempt == MOST_SWEEPS - 1:
                raise  # else somebody sweeps the trash, and took the directory
    return trashed
