"""What a new container's mounts need before the start: volumes, directories, owners."""

from __future__ import annotations

import os
import sys

from rcrun.engine.eventlog import emit
from rcrun.engine.work import work_plan
from rcrun.errors import InUse, InvalidInput, NotFound, RcrunError
from rcrun.formats import idmap
from rcrun.kernel import shim
from rcrun.storage import copytree, volumes
from rcrun.storage.containers import now_text
from rcrun.storage.layered import list_dir
from rcrun.storage.volumes import VolumeLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.engine.config_mounts import Mounts
    from rcrun.engine.config_volumes import VolumeUse
    from rcrun.engine.context import Context
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.spec import IdMapping, Spec


MOST_RACES = 100


def prepare(
    context: Context,
    mounts: Mounts,
    lowers: Sequence[str],
    config: Spec,
    locks: dict[str, VolumeLock],
) -> None:
    """`lowers` are absolute, top first; `config` has the maps in which new owners are meant.

    The volumes' locks go into `locks` as they are taken: the caller releases them once the container's record names
    the volumes, or nothing came of it.
    """
    for path in mounts.make_dirs:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(f'cannot make the mount source "{path}": {reason}') from error
    # In the order of their names, as everybody takes several of them (rcrun.storage.volumes).
    for use in sorted(mounts.volumes, key=lambda use: use.name):
        if use.name in locks:
            _complete(context, use, locks[use.name], lowers)
        else:
            locks[use.name] = _take_volume(context, use, lowers)
    wanted = [
        *mounts.chowns,
        *((use.place, use.part, *use.chown) for use in mounts.volumes if use.chown and use.place),
    ]
    for path, part, uid, gid in wanted:
        give(context, path, *our_ids(context, config, uid, gid), part=part)


def our_ids(context: Context, config: Spec, uid: int, gid: int) -> tuple[int, int]:
    """Ids of the container as ids of our own namespaces, where the maps of the two differ."""
    linux = config.get("linux") or {}
    if "uidMappings" not in linux:
        return uid, gid
    identity = context.identity
    return (
        _translated(uid, linux["uidMappings"], identity.uid_map),
        _translated(gid, linux["gidMappings"], identity.gid_map),
    )


def _translated(number: int, rows: list[IdMapping], ours: IdMap) -> int:
    container = [(row["containerID"], row["hostID"], row["size"]) for row in rows]
    outside = idmap.to_outside(container, number)
    found = None if outside is None else idmap.to_inside(ours, outside)
    if found is None:
        raise InvalidInput(f"files cannot be given to id {number}: it is not mapped")
    return found


def _take_volume(context: Context, use: VolumeUse, lowers: Sequence[str]) -> VolumeLock:
    """It is there, has its first content, and stays: its lock, shared."""
    for _ in range(MOST_RACES):
        if not use.borrowed:
            _make_volume(context, use, lowers)
        lock = VolumeLock(context.store, use.name, shared=True)
        try:
            lock.acquire()
            _complete(context, use, lock, lowers)
            return lock
        except NotFound:
            lock.release()
            if use.borrowed:
                raise
            continue  # somebody removed it meanwhile
        except BaseException:
            lock.release()
            raise
    raise InUse(f'the volume "{use.name}" is removed again and again while it is to be used')


def _make_volume(context: Context, use: VolumeUse, lowers: Sequence[str]) -> None:
    from rcrun.engine.rm import remove_trees

    fills = use.copy_up and use.place == volumes.data_dir(context.store, use.name)
    made = volumes.make(
        context.store,
        use.name,
        now_text(),
        labels=use.labels,
        options=use.options,
        anonymous=use.anonymous,
        fill=_filler(context, use.destination, lowers) if fills else None,
        discard=lambda path: remove_trees(context, [path]),
    )
    if made:
        emit(context.store, "volume", "create", use.name, {"driver": "local"})


def _complete(context: Context, use: VolumeUse, lock: VolumeLock, lowers: Sequence[str]) -> None:
    record = volumes.load(context.store, use.name)
    if record["options"] != use.options:
        raise RcrunError(f'the volume "{use.name}" was made anew meanwhile', "run it again")
    if not use.place or not use.copy_up or not _begins(record, use, lowers):
        return
    lock.make_exclusive()
    record = volumes.load(context.store, use.name)
    if _begins(record, use, lowers):
        # Whoever is killed while it fills leaves the note, and the next one fills it again.
        volumes.save(context.store, {**record, "filling": True})
        _filler(context, use.destination, lowers)(use.place)
        volumes.save(context.store, {**record, "filling": False, "needs_copy_up": False})
    lock.make_shared()


def _begins(record: volumes.Record, use: VolumeUse, lowers: Sequence[str]) -> bool:
    """As with docker, an empty volume begins with what the image has in its place, however old it is."""
    if record.get("filling"):
        return True
    if not _is_empty(use.place):
        return False
    return bool(record["needs_copy_up"]) or _has_files(lowers, use.destination)


def _has_files(lowers: Sequence[str], path: str) -> bool:
    try:
        return bool(list_dir(lowers, path))
    except PermissionError:
        return True  # closed to us, but not to the container's root: whoever fills will see


def _is_empty(path: str) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False  # closed to us: somebody has used it


def _filler(context: Context, destination: str, lowers: Sequence[str]) -> Callable[[str], None]:
    """A new volume begins with what the image has in its place."""

    def fill(target: str) -> None:
        options = "userxattr" if context.host.rootless else ""
        root = [["root-overlay", "", "", options, *lowers]]
        command = [*python_words(), copytree.__file__, "fill", lowers[0], destination, target]
        run_in_namespace(
            context,
            [["propagation", "rprivate"], *root, ["exec", *command]],
            f'cannot fill the volume from "{destination}" of the image',
        )

    return fill


def copy_layers(context: Context, lowers: Sequence[str], target: str) -> None:
    """Where no overlay works, a container has its own copy of the image's files."""
    command = [*python_words(), copytree.__file__, "merge", target, *lowers]
    run_in_namespace(context, [["exec", *command]], "cannot copy the image for the container")


def python_words() -> list[str]:
    return [sys.executable or "/usr/bin/python3", "-BIS"]


def run_in_namespace(context: Context, steps: Sequence[list[str]], what: str) -> None:
    """A work plan with mounts; what its command says goes to standard error."""
    plan = work_plan(context.identity, [["env", *_environment(context)], *steps], mount=True)
    if shim.run(plan) != 0:
        raise RcrunError(what)


def _environment(context: Context) -> list[str]:
    return [f"{name}={context.environ[name]}" for name in ("PATH",) if name in context.environ]


def give(context: Context, path: str, uid: int, gid: int, *, part: str = "") -> None:
    """A file, or a directory and all that is in it, as our own ids are numbered; no link leads the part out of it."""
    words = ["own", path, str(uid), str(gid), *([part] if part else [])]
    command = [*python_words(), copytree.__file__, *words]
    run_in_namespace(context, [["exec", *command]], f'cannot change the owner of "{path}"')
