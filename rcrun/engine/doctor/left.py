"""What crashes and other boots have left, looked at and not touched."""

from __future__ import annotations

import os

from rcrun.engine.doctor.finding import fine, limited
from rcrun.files import subdirectories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here


def try_leftovers(here: Here) -> Finding:
    from rcrun.storage.leftovers import found

    return judge_leftovers(found(here.context.store))


def judge_leftovers(left: Sequence[str]) -> Finding:
    if not left:
        return fine("nothing")
    return limited(
        f"{len(left)} of crashed or killed commands, the first is {left[0]}",
        means="they take room; every rm takes some away",
        hint="run: rcrun doctor --fix",
    )


def try_other_ids(here: Here) -> Finding:
    kind, folder = here.context.identity.layer_kind(), here.context.store.path("layers")
    others = [name for name in subdirectories(folder) if name.startswith("mapped-")]
    return judge_other_ids([f"{folder}/{name}" for name in sorted(others) if name != kind])


def judge_other_ids(folders: Sequence[str]) -> Finding:
    """No command to be pasted: another host that shares the store may have containers that stand on these."""
    if not folders:
        return fine("all layers are of the ids that are ours now")
    return limited(
        "the store has layers of other subordinate ids",
        means="containers that were made with them do not start, and what they wrote cannot be removed",
        why="/etc/subuid or /etc/subgid has changed since, or another host uses this store",
        hint="give the ids back, or make the containers again and have root remove "
        + " ".join(f'"{path}"' for path in folders),
    )


def try_old_boots(here: Here) -> Finding:
    return judge_old_boots(old_boots(here.uid))


def old_boots(uid: int, tmp: str = "/tmp") -> list[str]:
    """The live state in /tmp of boots before this one, where there is no runtime directory."""
    from rcrun.storage.containers import boot_id

    prefix, now = f"rcrun-{uid}-", boot_id()[:8]
    return [
        f"{tmp}/{name}"
        for name in subdirectories(tmp)
        if name.startswith(prefix)
        and name != prefix + now
        and os.lstat(f"{tmp}/{name}").st_uid == uid
    ]


def judge_old_boots(paths: Sequence[str]) -> Finding:
    if not paths:
        return fine("nothing")
    return limited(
        f"{len(paths)} directories, the first is {paths[0]}",
        means="nothing reads them",
        hint="run: rcrun doctor --fix",
    )
