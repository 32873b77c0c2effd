"""A root file system in a tar becomes an image with one layer."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import image as documents
from rcrun.storage import blobs, images, layout
from rcrun.storage.archive import Loaded, opened
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import CHUNK, decompressed, kind_of
from rcrun.storage.lease import Lease
from rcrun.storage.tarheader import TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.compression import Read
    from rcrun.storage.images import Image

_KEPT = {
    "gzip": documents.LAYER_GZIP,
    "zstd": documents.LAYER_ZSTD,
}


def import_rootfs(
    store: Store,
    source: str | int,
    name: str = "",
    *,
    created: str,
    config: Mapping[str, Any] | None = None,
    comment: str = "",
    platform: str = "",
    prepare: Callable[[Image], object] | None = None,
) -> Loaded:
    """The new image; `config` is the `config` of its configuration, `name` a normalised reference.

    `prepare` sees it before it is named.
    """
    layout.init(store)
    with Lease(store) as lease:
        with opened(source) as file:
            layer, diff_id = _store_layer(store, file.read, lease)
        architecture, variant = images.wanted(platform)
        document: dict[str, Any] = {
            "created": created,
            "architecture": architecture,
            "os": "linux",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "comment": comment or "imported by rcrun"}],
        }
        if variant:
            document["variant"] = variant
        manifest = {
            "schemaVersion": 2,
            "mediaType": documents.MANIFEST,
            "config": blobs.write_document(store, document, documents.CONFIG, lease=lease),
            "layers": [layer],
        }
        descriptor = blobs.write_document(store, manifest, documents.MANIFEST, lease=lease)
        image = images.load(store, descriptor)
        lease.add([], image.chain)
        if prepare is not None:
            prepare(image)
        layout.add_reference(store, descriptor, name)
    return Loaded(descriptor, image.config_digest, [name] if name else [])


def _store_layer(store: Store, read: Read, lease: Lease) -> tuple[Descriptor, str]:
    """The layer as it came when layers may be compressed so, else uncompressed; and its diffID."""
    import hashlib

    head = read(CHUNK)
    if not head:
        raise InvalidInput("the root file system's tar is empty")
    kind = kind_of(head)
    content = hashlib.sha256()
    with blobs.BlobWriter(store, lease=lease) as writer:

        def take(size: int) -> bytes:
            nonlocal head
            data, head = head or read(size), b""
            if kind in _KEPT:
                writer.write(data)
            return data

        def pieces() -> Iterator[bytes]:
            for piece in decompressed(take):
                content.update(piece)
                if kind not in _KEPT:
                    writer.write(piece)
                yield piece

        _walk(ByteStream(pieces()))
        while take(CHUNK):
            pass
        descriptor = writer.commit(_KEPT.get(kind, documents.LAYER))
    return descriptor, f"sha256:{content.hexdigest()}"


def _walk(stream: ByteStream) -> None:
    """Every header is read, so that what cannot be unpacked is refused now."""
    reader = TarReader(stream)
    while reader.next() is not None:
        pass
    if not reader.last:
        raise InvalidInput("the root file system's tar has no members")
    stream.drain()
