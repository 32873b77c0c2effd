"""What a new container's mounts need before the start: volumes, directories, owners."""

from __future__ import annotations

import os
import sys

from rcrun.engine.work import work_plan
from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats import idmap
from rcrun.kernel import shim
from rcrun.storage import copytree, volumes
from rcrun.storage.containers import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.engine.config_mounts import Mounts, VolumeUse
    from rcrun.engine.context import Context
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.spec import IdMapping, Spec


def prepare(context: Context, mounts: Mounts, lowers: Sequence[str], config: Spec) -> None:
    """`lowers` are absolute, top first; `config` has the maps in which new owners are meant."""
    for path in mounts.make_dirs:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(f'cannot make the mount source "{path}": {reason}') from error
    for use in mounts.volumes:
        _prepare_volume(context, use, lowers)
    wanted = [
        *mounts.chowns,
        *(
            (volumes.data_dir(context.store, use.name), *use.chown)
            for use in mounts.volumes
            if use.chown is not None
        ),
    ]
    _chown(context, [(path, *_our_ids(context, config, uid, gid)) for path, uid, gid in wanted])


def _our_ids(context: Context, config: Spec, uid: int, gid: int) -> tuple[int, int]:
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
        raise InvalidInput(f"the option U cannot give files to id {number}: it is not mapped")
    return found


def _prepare_volume(context: Context, use: VolumeUse, lowers: Sequence[str]) -> None:
    from rcrun.engine.rm import remove_trees

    volumes.make(
        context.store,
        use.name,
        now_text(),
        labels=dict(use.labels or {}),
        anonymous=use.anonymous,
        fill=_filler(context, use.destination, lowers) if use.copy_up else None,
        discard=lambda path: remove_trees(context, [path]),
    )


def _filler(context: Context, destination: str, lowers: Sequence[str]) -> Callable[[str], None]:
    """A new volume begins with what the image has in its place."""

    def fill(target: str) -> None:
        options = "userxattr" if context.host.rootless else ""
        root = [["root-overlay", "", "", options, *lowers]]
        command = [*_python(), copytree.__file__, "fill", lowers[0], destination, target]
        run_in_namespace(
            context,
            [["propagation", "rprivate"], *root, ["exec", *command]],
            f'cannot fill the volume from "{destination}" of the image',
        )

    return fill


def copy_layers(context: Context, lowers: Sequence[str], target: str) -> None:
    """Where no overlay works, a container has its own copy of the image's files."""
    command = [*_python(), copytree.__file__, "merge", target, *lowers]
    run_in_namespace(context, [["exec", *command]], "cannot copy the image for the container")


def _python() -> list[str]:
    return [sys.executable or "/usr/bin/python3", "-IS"]


def run_in_namespace(context: Context, steps: Sequence[list[str]], what: str) -> None:
    """A work plan with mounts; what its command says goes to standard error."""
    plan = work_plan(context.identity, [["env", *_environment(context)], *steps], mount=True)
    if shim.run(plan) != 0:
        raise RcrunError(what)


def _environment(context: Context) -> list[str]:
    return [f"{name}={context.environ[name]}" for name in ("PATH",) if name in context.environ]


def _chown(context: Context, wanted: Sequence[tuple[str, int, int]]) -> None:
    """`:U`: the files of the source become the container user's, as its ids are numbered inside."""
    for path, uid, gid in wanted:
        command = [*_python(), copytree.__file__, "own", path, str(uid), str(gid)]
        run_in_namespace(context, [["exec", *command]], f'cannot change the owner of "{path}"')
