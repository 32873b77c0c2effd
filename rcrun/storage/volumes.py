"""Named volumes: `volumes/NAME/_data` and its record; made aside and renamed in, so that one is whole or not there."""

from __future__ import annotations

import errno
import os

from rcrun.errors import NotFound
from rcrun.files import read_json_or_none, subdirectories, write_json
from rcrun.paths import make_private_dir
from rcrun.storage.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.paths import Store

    Record = dict[str, Any]


def data_dir(store: Store, name: str) -> str:
    return f"{store.volume_dir(name)}/_data"


def find(store: Store, name: str) -> Record | None:
    """The record of a volume; a directory without one is a volume, too, as somebody else may have put it there."""
    record: Record | None = read_json_or_none(f"{store.volume_dir(name)}/volume.json")
    if record is None and os.path.isdir(data_dir(store, name)):
        return {"name": name, "created": "", "labels": {}, "anonymous": False}
    return record


def load(store: Store, name: str) -> Record:
    record = find(store, name)
    if record is None:
        raise NotFound(f'no such volume: "{name}"', "list them with: rcrun volume ls")
    return record


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
    anonymous: bool = False,
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
            "anonymous": anonymous,
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
