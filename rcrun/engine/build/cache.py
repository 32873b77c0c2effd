"""What steps made, by what they were made of: `build/KEY.json` names the layer, which the collector keeps.

Keys hold contents, not times or names of places, so the same inputs are the same step whoever builds.
"""

from __future__ import annotations

import os

from rcrun.engine.build.state import Layer
from rcrun.files import read_json_or_none, write_json
from rcrun.paths import make_private_dir
from rcrun.storage.blobs import has_blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.paths import Store
    from rcrun.storage.lease import Lease


class Result:
    """`layer` is None where a step has changed nothing."""

    __slots__ = ("created", "layer")

    def __init__(self, layer: Layer | None, created: str) -> None:
        self.layer = layer
        self.created = created


def find(store: Store, key: str, lease: Lease) -> Result | None:
    try:
        record = read_json_or_none(_path(store, key))
    except ValueError:
        return None  # a crash of the host cut it short
    if not isinstance(record, dict) or "created" not in record:
        return None
    descriptor = record.get("layer")
    if descriptor is None:
        return Result(None, record["created"])
    lease.add([descriptor["digest"]])
    if not has_blob(store, descriptor):
        return None
    try:
        os.utime(_path(store, key))
    except OSError:
        pass  # somebody prunes
    return Result(Layer(descriptor, descriptor["digest"]), record["created"])


def keep(store: Store, key: str, result: Result) -> None:
    make_private_dir(store.path("build"))
    layer = result.layer.descriptor if result.layer else None
    write_json(_path(store, key), {"layer": layer, "created": result.created}, durable=False)


def _path(store: Store, key: str) -> str:
    return store.path(f"build/{key}.json")
