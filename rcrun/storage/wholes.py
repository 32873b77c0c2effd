"""An image, or an index with all its images: every document and blob that an entry of index.json leads to, as far as it is here."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound
from rcrun.formats import image as documents
from rcrun.storage import blobs, images
from rcrun.storage.images import Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.formats.image import Descriptor, Manifest
    from rcrun.paths import Store

# An annotation of an entry that is a list: SOURCE + a member's digest → the reference of a registry that has its layers.
SOURCE = "rcrun.source."


class Whole:
    """`manifests` are those that are here, `indexes` the inner ones first; `absent` are documents that are not here."""

    __slots__ = ("absent", "indexes", "manifests", "top")

    def __init__(self, top: Descriptor) -> None:
        self.top = top
        self.indexes: list[Descriptor] = []
        self.manifests: list[tuple[Descriptor, Manifest]] = []
        self.absent: list[Descriptor] = []

    @property
    def is_index(self) -> bool:
        return is_index(self.top)

    def documents(self) -> list[Descriptor]:
        """In the order in which a registry takes them: what is named before what names it."""
        return [*(descriptor for descriptor, _ in self.manifests), *self.indexes]

    def blobs(self) -> list[Descriptor]:
        """Configurations and layers, each once."""
        found: dict[str, Descriptor] = {}
        for _, manifest in self.manifests:
            for member in (manifest["config"], *manifest["layers"]):
                found.setdefault(member["digest"], member)
        return list(found.values())

    def digests(self) -> list[str]:
        """Of all that is to be kept."""
        return [each["digest"] for each in (*self.documents(), *self.blobs())]


def is_index(descriptor: Descriptor) -> bool:
    return descriptor.get("mediaType", "") in documents.INDEXES


def whole(store: Store, descriptor: Descriptor) -> Whole:
    """NotFound when the document itself is not here; those that it names may be absent."""
    found = Whole(plain(descriptor))
    _add(store, found, found.top, images.DEEPEST_INDEX)
    return found


def sources_of(entry: Descriptor) -> dict[str, str]:
    """The members of a list whose layers need not be here: digest → reference."""
    annotations = entry.get("annotations") or {}
    return {k[len(SOURCE) :]: v for k, v in annotations.items() if k.startswith(SOURCE)}


def image_or_index(store: Store, descriptor: Descriptor, platform: str = "") -> Image:
    """The image for this host; of an index without one what stands for the index itself, its digest being the id."""
    try:
        return images.load(store, descriptor, platform)
    except NotFound:
        if platform or not is_index(descriptor):
            raise
    blobs.read_document(store, descriptor)
    itself = plain(descriptor)
    return Image(
        descriptor,
        itself["digest"],
        {"mediaType": itself["mediaType"], "config": itself, "layers": []},
        {"rootfs": {"type": "layers", "diff_ids": []}},
        [],
    )


def stands_for_index(image: Image) -> bool:
    return is_index(image.descriptor) and image.config_digest == image.descriptor["digest"]


def plain(descriptor: Descriptor) -> Descriptor:
    """Without what the store says about it, and with a media type."""
    kept: Descriptor = {
        "mediaType": descriptor.get("mediaType") or documents.MANIFEST,
        "digest": descriptor["digest"],
        "size": descriptor["size"],
    }
    return kept


def _add(store: Store, found: Whole, descriptor: Descriptor, depth: int) -> None:
    document = blobs.read_document(store, descriptor)
    if not is_index(descriptor):
        fault = documents.manifest_fault(document)
        if fault:
            raise InvalidInput(f'manifest "{descriptor["digest"]}" cannot be used: {fault}')
        if all(descriptor["digest"] != known["digest"] for known, _ in found.manifests):
            found.manifests.append((descriptor, document))
        return
    if depth == 0:
        raise InvalidInput(f'image index "{descriptor["digest"]}" is nested too deeply')
    for member in members(document, descriptor["digest"]):
        if os.path.lexists(store.blob_to_read(member["digest"])):
            _add(store, found, plain(member), depth - 1)
        else:
            found.absent.append(member)
    if all(descriptor["digest"] != known["digest"] for known in found.indexes):
        found.indexes.append(descriptor)


def members(index: Any, digest: str) -> Sequence[Descriptor]:
    """What an index names."""
    entries = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(entries, list):
        raise InvalidInput(f'image index "{digest}" has no valid list of manifests')
    for entry in entries:
        fault = documents.descriptor_fault(entry)
        if fault:
            raise InvalidInput(f'image index "{digest}" cannot be used: {fault}')
    return entries


def check_blobs(store: Store, found: Whole, *, foreign_too: bool) -> None:
    """NotFound for one that is not here; a foreign layer need not be where it is not handed on."""
    for member in found.blobs():
        if foreign_too or not documents.is_foreign(member):
            check_blob(store, member)


def check_blob(store: Store, descriptor: Descriptor) -> None:
    if not blobs.can_have(store, descriptor):
        raise NotFound(
            f'blob "{descriptor["digest"]}" is not in the store', "pull or load its image again"
        )
