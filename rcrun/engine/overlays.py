"""The volume option O: an overlay over a directory or a volume, whose upper directory lives as long as a run."""

from __future__ import annotations

import os
import stat

from rcrun.engine.rm import remove_trees
from rcrun.errors import HostLacks, InvalidInput
from rcrun.storage import copytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rcrun.engine.context import Context


def require_overlay(context: Context) -> None:
    from rcrun.engine.rootdriver import driver

    if driver(context) != "overlay":
        raise HostLacks(
            "the volume option O needs overlayfs, which cannot be mounted here",
            "see why; run: rcrun doctor",
        )


def renew_overlays(context: Context, mounts: Iterable[Mapping[str, Any]]) -> None:
    """Empty upper directories that look like what they cover; those that the user chose keep what they have."""
    for mount in mounts:
        overlay = mount.get("overlay")
        if not overlay:
            continue
        if overlay["kept"]:
            _require_directories(overlay)
            continue
        remove_trees(context, [overlay["upper"], overlay["work"]])
        os.makedirs(overlay["upper"], mode=0o700)
        os.mkdir(overlay["work"], 0o700)
        _take_looks(context, overlay["lower"], overlay["upper"])


def _require_directories(overlay: Mapping[str, Any]) -> None:
    for path in (overlay["upper"], overlay["work"]):
        if not os.path.isdir(path):
            raise InvalidInput(f'the overlay directory "{path}" does not exist', f"mkdir -p {path}")


def _take_looks(context: Context, lower: str, upper: str) -> None:
    """The merged directory has the owner and mode of the upper one."""
    try:
        status = os.stat(lower)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise InvalidInput(f'cannot mount "{lower}": {reason}') from error
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidInput(f'the volume option O needs a directory: "{lower}" is none')
    if (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid()):
        os.chmod(upper, stat.S_IMODE(status.st_mode))
        return
    from rcrun.engine.volumes import python_words, run_in_namespace

    command = [*python_words(), copytree.__file__, "look", lower, upper]
    run_in_namespace(context, [["exec", *command]], f'cannot make an overlay over "{lower}"')
