"""A new image: the layers of another one, one layer more, and a configuration. Names come last, as always."""

from __future__ import annotations

import os

from rcrun.errors import NotFound
from rcrun.formats import image as documents
from rcrun.storage import blobs, images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.images import Image
    from rcrun.storage.lease import Lease

# OCI's media types of layers and docker's, side by side.
_LAYERS = (
    (documents.LAYER, "application/vnd.docker.image.rootfs.diff.tar"),
    (documents.LAYER_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    (documents.LAYER_ZSTD, "application/vnd.docker.image.rootfs.diff.tar.zstd"),
)
FORMATS = {
    "oci": (documents.MANIFEST, documents.CONFIG, {docker: oci for oci, docker in _LAYERS}),
    "docker": (documents.DOCKER_MANIFEST, documents.DOCKER_CONFIG, dict(_LAYERS)),
}


def base_image(store: Store, manifest_digest: str, lease: Lease) -> Image:
    """The image that a container was made of, whose blobs stay from now on; it may have lost its name."""
    try:
        size = os.stat(store.blob_to_read(manifest_digest)).st_size
    except FileNotFoundError:
        raise _gone(manifest_digest) from None
    media_type = documents.MANIFEST
    image = images.load(store, {"mediaType": media_type, "digest": manifest_digest, "size": size})
    members = [image.manifest["config"], *image.manifest["layers"]]
    lease.add([manifest_digest, *(member["digest"] for member in members)])
    for member in members:
        if not blobs.can_have(store, member):
            raise _gone(member["digest"])
    return image


def _gone(digest: str) -> NotFound:
    return NotFound(
        f'the container\'s image is no longer whole: blob "{digest}" is not in the store',
        "pull or load the image again, or commit with --squash",
    )


class Draft:
    """The image as it grows: layers with their diffIDs, and the rest of its configuration."""

    __slots__ = ("diff_ids", "document", "layers")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.layers: list[Descriptor] = []
        self.diff_ids: list[str] = []

    def take_layers(self, image: Image) -> None:
        self.layers += image.manifest["layers"]
        self.diff_ids += image.config["rootfs"]["diff_ids"]

    def add_layer(self, layer: Descriptor) -> None:
        """One that is not compressed: its digest is its diffID."""
        self.layers.append(layer)
        self.diff_ids.append(layer["digest"])

    def write(
        self,
        store: Store,
        form: str,
        lease: Lease,
        annotations: Mapping[str, str] | None = None,
    ) -> Descriptor:
        media_type, config_type, layer_types = FORMATS[form]
        document = {**self.document, "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": blobs.write_document(store, document, config_type, lease=lease),
            "layers": retyped(self.layers, layer_types),
        }
        if annotations:
            manifest["annotations"] = dict(annotations)
        return blobs.write_document(store, manifest, media_type, lease=lease)


def retyped(layers: Sequence[Descriptor], types: dict[str, str]) -> list[Descriptor]:
    return [
        {**layer, "mediaType": types.get(layer.get("mediaType", ""), layer.get("mediaType", ""))}
        for layer in layers
    ]
