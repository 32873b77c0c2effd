"""What sweep() would take away now, looked at and left as it is; cold, for doctor."""

from __future__ import annotations

import os
import time

from rcrun.files import subdirectories
from rcrun.storage import pods
from rcrun.storage.collect import is_abandoned
from rcrun.storage.containers import name_target
from rcrun.storage.scratch import lock_leftover
from rcrun.storage.sweep import LEFTOVER_SECONDS, has_record, orphaned_live_dirs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.paths import Store

SETTLED_SECONDS = 1


def found(store: Store) -> list[str]:
    """Paths: half-made containers, names of vanished ones, things being made by nobody, trash, live state."""
    trash, tmp = store.trash_dir(), store.tmp_dir()
    return [
        *_half_made(store),
        *[pod.dir for pod in pods.leftovers(store) if _is_old_and_unlocked(pod.dir)],
        *[
            store.name_path(name)
            for name in subdirectories(store.path("names"))
            if _is_free(store, name)
        ],
        *[f"{tmp}/{name}" for name in subdirectories(tmp) if _is_nobodys(f"{tmp}/{name}")],
        *filter(_is_settled, [f"{trash}/{name}" for name in subdirectories(trash)]),
        *filter(_is_settled, orphaned_live_dirs(store)),
    ]


def _is_settled(path: str) -> bool:
    """A monitor that has just let go of its container is about to take it away."""
    try:
        return time.time() - os.lstat(path).st_ctime >= SETTLED_SECONDS
    except FileNotFoundError:
        return False


def _half_made(store: Store) -> list[str]:
    return [
        store.container_dir(each)
        for each in subdirectories(store.path("containers"))
        if not has_record(store, each) and _is_old_and_unlocked(store.container_dir(each))
    ]


def _is_old_and_unlocked(folder: str) -> bool:
    """A lock that is not there is not made: that would make the directory young."""
    try:
        if time.time() - os.stat(folder).st_mtime < LEFTOVER_SECONDS:
            return False
    except FileNotFoundError:
        return False
    path = f"{folder}/lock"
    return not os.path.lexists(path) or _is_nobodys_lock(path)


def _is_nobodys_lock(path: str) -> bool:
    fd = lock_leftover(path)
    if fd is None:
        return False
    os.close(fd)
    return True


def _is_free(store: Store, name: str) -> bool:
    target = name_target(store, name)
    return target is not None and not os.path.lexists(store.container_dir(target))


def _is_nobodys(path: str) -> bool:
    return is_abandoned(path) and _is_nobodys_lock(path)
