"""What steps made, by what they were made of: `build/KEY.json` names the layer, which the collector keeps.

Keys hold contents, not times or names of places, so the same inputs are the same step whoever builds.
"""

from __future__ import annotations

import os

from rcrun.engine.build.state import Layer
from rcrun.files import read_json_or_none, subdirectories, unlink_if_there, write_json
from rcrun.paths import make_private_dir
from rcrun.storage.blobs import can_have

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
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
    if not can_have(store, descriptor):
        return None
    try:
        os.utime(_path(store, key))
    except OSError:
        pass  # somebody prunes
    return Result(Layer(descriptor, descriptor["digest"]), record["created"])


def is_younger(result: Result, seconds: float) -> bool:
    import time

    from rcrun.formats.timestamp import parse_or_zero

    return time.time() - parse_or_zero(result.created) < seconds


def keep(store: Store, key: str, result: Result) -> None:
    make_private_dir(store.path("build"))
    layer = result.layer.descriptor if result.layer else None
    write_json(_path(store, key), {"layer": layer, "created": result.created}, durable=False)


def _path(store: Store, key: str) -> str:
    return store.path(f"build/{key}.json")


class Pruned:
    """Keys that went, and the bytes that came back."""

    __slots__ = ("keys", "size")

    def __init__(self, keys: list[str], size: int) -> None:
        self.keys = keys
        self.size = size


def prune(context: Context, *, everything: bool = False, until: float | None = None) -> Pruned:
    """Results that no image has (or all of them), not used since `until`, and with all of them the caches of RUN."""
    from rcrun.engine.work import worded
    from rcrun.errors import StepFailed
    from rcrun.storage.collect import collect, remove_trees

    store = context.store
    needed = set() if everything else _in_images(store)
    keys = [key for key in _keys(store) if _is_unneeded(store, key, needed, until)]
    for key in keys:
        unlink_if_there(_path(store, key))
    try:
        if everything and until is None and os.path.isdir(store.path("build/mounts")):
            remove_trees(context.identity, [store.path("build/mounts")])
        return Pruned(keys, collect(store, context.identity).size)
    except StepFailed as error:
        raise worded(error) from error


def _keys(store: Store) -> list[str]:
    names = subdirectories(store.path("build"))
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def _in_images(store: Store) -> set[str]:
    from rcrun.storage import images

    return {layer["digest"] for image in images.every(store) for layer in image.manifest["layers"]}


def _is_unneeded(store: Store, key: str, needed: set[str], until: float | None) -> bool:
    path = _path(store, key)
    try:
        if until is not None and os.stat(path).st_mtime > until:
            return False
        record = read_json_or_none(path) or {}
    except (OSError, ValueError):
        return True
    return (record.get("layer") or {}).get("digest") not in needed


class Kept:
    """One result: its key, when it was last used (seconds), the bytes of its layer, whether an image has that, too."""

    __slots__ = ("key", "shared", "size", "used")

    def __init__(self, key: str, used: float, size: int, *, shared: bool) -> None:
        self.key = key
        self.used = used
        self.size = size
        self.shared = shared


def every(store: Store) -> list[Kept]:
    """What `system df` tells of builds."""
    in_images = _in_images(store)
    found = []
    for key in _keys(store):
        try:
            used = os.stat(_path(store, key)).st_mtime
            layer = (read_json_or_none(_path(store, key)) or {}).get("layer") or {}
        except (OSError, ValueError, AttributeError):
            continue
        shared = layer.get("digest") in in_images
        found.append(Kept(key, used, int(layer.get("size") or 0), shared=shared))
    return found
