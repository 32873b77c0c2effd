"""How a layer's blob that was dropped can be had again: `recipes/HEX.json`, written before the blob goes.

A plain tar is made again of `HEX.headers` and the layer's directory (keptheaders.py); any other blob is fetched from where
it came (engine/restoring.py). A recipe may stand beside its blob, and goes when nothing names that any more. One that
has neither a layer nor an origin says that the blob is to stay.
"""

from __future__ import annotations

import os

from rcrun.files import read_json_or_none, subdirectories, unlink_if_there, write_json
from rcrun.formats import digest as digests
from rcrun.paths import Store, make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rcrun.formats.image import Descriptor


class Recipe:
    """`store` is the one that has it; `layer` is `KIND/CHAIN`; `origins` are references whose repository has the blob."""

    __slots__ = ("digest", "layer", "media_type", "origins", "size", "store")

    def __init__(
        self, store: Store, descriptor: Descriptor, layer: str = "", origins: Sequence[str] = ()
    ) -> None:
        self.store = store
        self.digest = descriptor["digest"]
        self.size = descriptor["size"]
        self.media_type = descriptor.get("mediaType", "")
        self.layer = layer
        self.origins = list(origins)

    @property
    def descriptor(self) -> Descriptor:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    @property
    def headers_path(self) -> str:
        return headers_path(self.store, self.digest[7:])

    @property
    def diff_dir(self) -> str:
        return f"{self.store.path('layers', self.layer)}/diff"

    @property
    def chain(self) -> str:
        """Hex."""
        return self.layer.rpartition("/")[2]

    def is_needed(self) -> bool:
        """Whether its blob is not there."""
        return not os.path.lexists(self.store.blob_path(self.digest))

    def fault(self) -> str:
        """Empty for one that leads to the blob, as far as that is seen without reading it."""
        if self.layer and not os.path.lexists(self.headers_path):
            return "the headers of its tar are missing"
        if self.layer and not os.path.isdir(self.diff_dir):
            return "its layer is missing"
        return "" if self.layer or self.origins else "it says neither how nor where"

    def write(self) -> None:
        """On the disk when this returns."""
        make_private_dir(folder(self.store))
        value = {
            "digest": self.digest, "size": self.size, "mediaType": self.media_type,
            "layer": self.layer, "origins": self.origins,
        }  # fmt: skip
        write_json(_path(self.store, self.digest[7:]), value)
        fd = os.open(folder(self.store), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def folder(store: Store) -> str:
    return store.path("recipes")


def headers_path(store: Store, digits: str) -> str:
    return store.path("recipes", f"{digits}.headers")


def _path(store: Store, digits: str) -> str:
    return store.path("recipes", f"{digits}.json")


def read(store: Store, digest: str) -> Recipe | None:
    """Of this store alone; None where there is none, or it is damaged."""
    try:
        value = read_json_or_none(_path(store, digest[7:]))
    except (OSError, ValueError):
        return None
    return _parsed(store, digest, value)


def _parsed(store: Store, digest: str, value: Any) -> Recipe | None:
    if not isinstance(value, dict) or value.get("digest") != digest:
        return None
    size, media_type = value.get("size"), value.get("mediaType", "")
    layer, origins = value.get("layer") or "", value.get("origins") or []
    if not isinstance(size, int) or not isinstance(layer, str) or not isinstance(media_type, str):
        return None
    if not isinstance(origins, list) or ".." in layer.split("/"):
        return None
    descriptor: Descriptor = {"mediaType": media_type, "digest": digest, "size": size}
    return Recipe(store, descriptor, layer, [each for each in origins if isinstance(each, str)])


def find(store: Store, digest: str) -> Recipe | None:
    """A sound one, of this store or of another whose images are used."""
    for each in (store, *(Store(root, "") for root in store.others)):
        found = read(each, digest)
        if found is not None and not found.fault():
            return found
    return None


def every(store: Store) -> Iterator[str]:
    """Their digests' digits."""
    for name in subdirectories(folder(store)):
        if name.endswith(".json") and digests.is_hex64(name[:-5]):
            yield name[:-5]


def of_layers(store: Store) -> Iterator[Recipe]:
    """Those of blobs that are made of a layer."""
    for digits in every(store):
        found = read(store, f"sha256:{digits}")
        if found is not None and found.layer:
            yield found


def sweep(store: Store, needed: set[str]) -> int:
    """Remove those of blobs that nothing names, under the gate; how many bytes they had."""
    size = 0
    for name in list(subdirectories(folder(store))):
        digits, _, rest = name.partition(".")
        if digits in needed or rest not in ("json", "headers"):
            continue
        path = f"{folder(store)}/{name}"
        try:
            size += os.lstat(path).st_size if rest == "headers" else 0
        except FileNotFoundError:
            continue
        unlink_if_there(path)
    return size
