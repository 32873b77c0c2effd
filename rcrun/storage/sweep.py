"""What crashes left behind: half-made containers, vanished names, live state and trash; found, never fatal."""

from __future__ import annotations

import os
import time

from rcrun.errors import NotFound
from rcrun.files import Lock, subdirectories
from rcrun.storage.claims import ContainerLock, discard, reclaim_name
from rcrun.storage.containers import Container, load, name_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.paths import Store

LEFTOVER_SECONDS = 60


def sweep(store: Store) -> list[str]:
    """Trash half-made containers and unclaim vanished names; the paths that are to be removed now."""
    for container_id in subdirectories(store.path("containers")):
        if not has_record(store, container_id):
            _trash_leftover(store, container_id)
    for name in subdirectories(store.path("names")):
        target = name_target(store, name)
        if target is not None and not os.path.lexists(store.container_dir(target)):
            reclaim_name(store, name)
    if os.path.lexists(store.path("pods")):
        from rcrun.storage import pods

        for infra in pods.sweep(store):
            _trash_infra(infra)
    if any(True for _ in subdirectories(store.tmp_dir())):
        from rcrun.storage.collect import sweep_tmp

        sweep_tmp(store)  # into the trash
    trash = store.trash_dir()
    return [f"{trash}/{name}" for name in subdirectories(trash)] + orphaned_live_dirs(store)


def has_record(store: Store, container_id: str) -> bool:
    """An empty one was being written when the host went down."""
    try:
        return os.stat(f"{store.container_dir(container_id)}/container.json").st_size > 0
    except OSError:
        return False


def _trash_leftover(store: Store, container_id: str) -> None:
    container = Container(store, container_id, {"name": "", "id": container_id})
    lock = Lock(container.path("lock"))
    try:
        if time.time() - os.stat(container.dir).st_mtime < LEFTOVER_SECONDS:
            return
        if lock.acquire(wait=False) and load(store, container_id) is None:
            _remove_group(container.noted_cgroup())
            discard(container)
    except (FileNotFoundError, NotADirectoryError):
        pass  # somebody else sweeps, too; or somebody's file, which is none of ours
    finally:
        lock.release()


def _trash_infra(container: Container) -> None:
    """Of a pod that nobody finished: it was never started."""
    lock = ContainerLock(container)
    try:
        if lock.acquire(wait=False):
            discard(container)
    except NotFound:
        pass
    finally:
        lock.lock.release()


def _remove_group(path: str) -> None:
    """Nothing was started in it yet."""
    try:
        if path:
            os.rmdir(path)
    except OSError:
        pass


def orphaned_live_dirs(store: Store) -> list[str]:
    """A live directory is made after the container's, so that one without it has no future."""
    live = f"{store.live_dir}/containers"
    return [
        f"{live}/{name}"
        for name in subdirectories(live)
        if not os.path.lexists(store.container_dir(name))
    ]
