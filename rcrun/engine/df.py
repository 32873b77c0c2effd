"""How much the store holds, and how much of it nobody uses: images, containers, volumes."""

from __future__ import annotations

from rcrun.engine.build import cache
from rcrun.engine.history import layer_sizes
from rcrun.engine.images import Listed
from rcrun.engine.images import listed as listed_images
from rcrun.engine.ps import listed as listed_containers
from rcrun.engine.ps import tree_size
from rcrun.storage import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.paths import Store


class Kind:
    """One line of the summary, in bytes."""

    __slots__ = ("active", "name", "reclaimable", "size", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = self.active = self.size = self.reclaimable = 0

    def add(self, size: int, *, active: bool) -> None:
        self.total += 1
        self.active += active
        self.size += size
        self.reclaimable += 0 if active else size


class ImageUse:
    """`shared` are the bytes of layers that another image has as well."""

    __slots__ = ("containers", "image", "shared", "size")

    def __init__(self, image: Listed, size: int, shared: int, containers: int) -> None:
        self.image = image
        self.size = size
        self.shared = shared
        self.containers = containers


class Usage:
    """Everything looked at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        seen = listed_containers(store, everything=True)
        self.containers = [(each, tree_size(each.container.path("upper"))) for each in seen]
        images = listed_images(store)  # once: another look finds others
        self._layers = {
            each.image.digest: list(
                zip(each.image.chain, layer_sizes(store, each.image), strict=True)
            )
            for each in images
        }
        self.images = [self._image_use(each) for each in images]
        self.builds = cache.every(store)
        self.volumes = [
            (record, tree_size(volumes.data_dir(store, str(record["name"]))), self._links(record))
            for record in volumes.every(store)
        ]

    def _image_use(self, each: Listed) -> ImageUse:
        mine = dict(self._layers[each.image.digest])
        others = {
            chain
            for digest, layers in self._layers.items()
            if digest != each.image.digest
            for chain, _ in layers
        }
        shared = sum(size for chain, size in mine.items() if chain in others)
        digests = (each.image.digest, each.image.descriptor["digest"])
        count = sum(
            seen.container.record.get("manifest_digest") in digests for seen, _ in self.containers
        )
        return ImageUse(each, sum(mine.values()), shared, count)

    def _links(self, record: dict[str, Any]) -> int:
        """How many containers use a volume."""
        return sum(
            any(
                mount.get("name") == record["name"]
                for mount in seen.container.record.get("mounts", [])
            )
            for seen, _ in self.containers
        )

    def summary(self) -> list[Kind]:
        return [self._images(), self._containers(), self._volumes(), self._builds()]

    def _builds(self) -> Kind:
        """What an image has as well is counted there."""
        kind = Kind("Build Cache")
        for kept in self.builds:
            kind.add(0 if kept.shared else kept.size, active=kept.shared)
        return kind

    def _images(self) -> Kind:
        """A layer counts once, however many images have it."""
        kind = Kind("Images")
        sizes: dict[str, int] = {}
        used: set[str] = set()
        for use in self.images:
            layers = self._layers[use.image.image.digest]
            sizes.update(layers)
            if use.containers:
                used.update(chain for chain, _ in layers)
        kind.total = len(self.images)
        kind.active = sum(use.containers > 0 for use in self.images)
        kind.size = sum(sizes.values())
        kind.reclaimable = sum(size for chain, size in sizes.items() if chain not in used)
        return kind

    def _containers(self) -> Kind:
        kind = Kind("Containers")
        for seen, size in self.containers:
            kind.add(size, active=seen.status.is_running)
        return kind

    def _volumes(self) -> Kind:
        kind = Kind("Local Volumes")
        for _, size, links in self.volumes:
            kind.add(size, active=links > 0)
        return kind
