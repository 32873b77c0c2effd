"""What an image is made of: a line for each step of its making, the last one first."""

from __future__ import annotations

from rcrun.files import read_json_or_none, subdirectories
from rcrun.formats import duration, timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.images import Image

MISSING = "<missing>"


class Step:
    """`size` are the bytes of the files that it added, 0 for one without a layer."""

    __slots__ = ("comment", "created", "created_by", "size")

    def __init__(self, entry: dict[str, Any], size: int) -> None:
        self.created = timestamp.parse_or_zero(entry.get("created"))
        self.created_by = str(entry.get("created_by") or "")
        self.comment = str(entry.get("comment") or "")
        self.size = size

    def since(self, now: float) -> str:
        return f"{duration.words_of(max(0.0, now - self.created))} ago" if self.created else "N/A"


def steps(store: Store, image: Image) -> list[Step]:
    sizes = layer_sizes(store, image)
    found = []
    for entry in image.config.get("history") or []:
        is_layer = not entry.get("empty_layer")
        found.append(Step({**entry}, next(sizes, 0) if is_layer else 0))
    found += [Step({}, size) for size in sizes]  # layers that the history does not tell of
    return found[::-1]


def layer_sizes(store: Store, image: Image) -> Iterator[int]:
    """Of its layers, bottom first; of the blob where a layer is not unpacked."""
    kinds = list(subdirectories(store.path("layers")))
    for chain, layer in zip(image.chain, image.manifest["layers"], strict=True):
        known = (read_json_or_none(f"{store.layer_dir(kind, chain)}/layer.json") for kind in kinds)
        yield next((int(found["size"]) for found in known if found), layer["size"])
