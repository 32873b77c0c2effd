"""`volume export` and `volume import`: the files of a volume as a tar, with the owners that containers see."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, StepFailed
from rcrun.storage import volumes
from rcrun.storage.volumes import VolumeLock
from rcrun.storage.work import Workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context


def export_volume(context: Context, name: str, fd: int) -> int:
    """To the descriptor; how many of its files no tar can hold."""
    with VolumeLock(context.store, name, shared=True):
        return _work(context, "export-volume", _place(context, name), fd)


def import_volume(context: Context, name: str, fd: int) -> int:
    """From the descriptor, over what is there; how many owners and devices this user cannot have."""
    with VolumeLock(context.store, name) as lock:
        lock.make_shared()
        skipped = _work(context, "import-volume", _place(context, name), fd)
        lock.make_exclusive()
        record = volumes.load(context.store, name)
        volumes.save(context.store, {**record, "needs_copy_up": False})
    return skipped


def _place(context: Context, name: str) -> str:
    options = volumes.load(context.store, name)["options"]
    if options.get("type") == "tmpfs":
        raise InvalidInput(
            f'the volume "{name}" is a tmpfs: it has files in a container only',
            "copy them there: rcrun exec CONTAINER tar -c -C DIR .",
        )
    return options.get("device") or volumes.data_dir(context.store, name)


def _work(context: Context, command: str, path: str, fd: int) -> int:
    skipped = 0
    try:
        with Workers(context.identity) as workers:
            workers.start([command, path], stdin_fd=fd)
            for event in workers.events():
                if "reader_gone" in event:
                    raise BrokenPipeError
                skipped += int(event.get("skipped", 0))
    except StepFailed as error:
        from rcrun.engine.work import worded

        raise worded(error) from error
    return skipped


def open_archive(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput(f'cannot read "{path}": {(error.strerror or "").lower()}') from error
