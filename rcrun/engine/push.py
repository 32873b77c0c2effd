"""Push: an image of the store into a registry. Blobs first, each only if the registry lacks it, the tag last.

Layers that are not compressed (those of commit and import) are compressed on the way, the same way each time; what was
pushed is noted as a name of the image, `repository@digest`, which RepoDigests tells.
"""

from __future__ import annotations

import os

from rcrun.engine.eventlog import emit
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, images, layout, saving

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor, Manifest
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.registry.upload import Uploader
    from rcrun.storage.images import Image
    from rcrun.storage.lease import Lease

    class Progress(Protocol):
        """What a person wants to know meanwhile; those of one layer come from several threads."""

        def begin(self, reference: Reference) -> None: ...
        def layers(self, layers: Sequence[Descriptor]) -> None: ...
        def advanced(self, digest: str, done: int) -> None: ...
        def exists(self, digest: str) -> None: ...
        def mounted(self, digest: str, repository: str) -> None: ...
        def pushed(self, digest: str) -> None: ...


FORMATS = ("oci", "v2s2")
_PLAIN = (documents.LAYER, "application/vnd.docker.image.rootfs.diff.tar", "")


class Wishes:
    """How the image shall look there; empty values leave it as it is."""

    __slots__ = ("compression", "force", "form", "level")

    def __init__(
        self,
        *,
        form: str = "",
        compression: str = "",
        level: int | None = None,
        force: bool = False,
    ) -> None:
        if form and form not in FORMATS:
            raise InvalidInput(f'invalid format "{form}"', f"use one of {', '.join(FORMATS)}")
        if compression not in ("", "gzip", "zstd"):
            raise InvalidInput(f'invalid compression format "{compression}"', "use gzip or zstd")
        if compression == "zstd" and form == "v2s2":
            raise InvalidInput("docker's format v2s2 has no layers compressed with zstd")
        self.form = form
        self.compression = compression
        self.level = level
        self.force = force


class Pushed:
    __slots__ = ("digest", "reference", "size")

    def __init__(self, reference: Reference, digest: str, size: int) -> None:
        self.reference = reference
        self.digest = digest
        self.size = size


def tags_of(store: Store, text: str) -> list[Reference]:
    """The names of a repository in the store, for --all-tags."""
    from rcrun.engine.pull import check_repository

    check_repository(text)
    wanted = grammar.parse(text)
    found = []
    for entry in layout.references(store):
        name = layout.name_of(entry)
        known = grammar.parse(name) if name else None
        if known and known.tag and not known.digest and known.repository == wanted.repository:
            found.append(known)
    if not found:
        raise NotFound(f"no such image: {text}: the store has no tag of that repository")
    return found


def push(
    context: Context,
    text: str,
    destination: Reference,
    *,
    platform: str = "",
    wishes: Wishes | None = None,
    progress: Progress,
    access: Access,
) -> Pushed:
    """The image that `text` names, as `destination`."""
    import threading

    from rcrun.engine.download import Stopped, sleeper
    from rcrun.engine.rmi import finish
    from rcrun.registry.upload import Uploader
    from rcrun.storage.lease import Lease

    if destination.digest:
        raise InvalidInput("an image is pushed under a tag: its digest follows from what it is")
    stop = threading.Event()
    client, transport = access.connect(context, destination, sleeper(stop))
    with transport, Lease(context.store) as lease:
        image = images.find(context.store, text, platform=platform)
        progress.begin(destination)
        saving.keep(context.store, image, lease, handed_on=True)
        try:
            manifest = prepared(context.store, image, wishes or Wishes(), lease)
            pushed = _Push(context.store, Uploader(client), destination, progress, stop).run(
                manifest
            )
        except Stopped:
            raise RcrunError(f'the push of "{text}" was stopped') from None
        name = str(destination.with_digest(pushed.digest))
        layout.add_reference(context.store, image.descriptor, name)
    named = grammar.familiar(destination)
    emit(context.store, "image", "push", named, {"name": named})
    if pushed.digest != image.digest:
        finish(context)  # what was compressed has served
    return pushed


# What is pushed.


def prepared(store: Store, image: Image, wishes: Wishes, lease: Lease) -> Descriptor:
    """The manifest that goes out: the image's own, byte for byte, unless it has to be another one."""
    own: Descriptor = {
        "mediaType": image.manifest.get("mediaType") or documents.MANIFEST,
        "digest": image.digest,
        "size": os.stat(store.blob_path(image.digest)).st_size,
    }
    plain = [layer for layer in image.manifest["layers"] if _is_to_compress(layer, wishes)]
    if not plain and not _is_to_convert(own["mediaType"], wishes):
        return own
    return _converted(store, image, wishes, lease)


def _is_to_compress(layer: Descriptor, wishes: Wishes) -> bool:
    if documents.is_foreign(layer):
        return False
    if layer.get("mediaType", "") in _PLAIN:
        return True
    return wishes.force and not layer["mediaType"].endswith(wishes.compression or "gzip")


def _is_to_convert(media_type: str, wishes: Wishes) -> bool:
    wanted = {"oci": documents.MANIFEST, "v2s2": documents.DOCKER_MANIFEST}.get(wishes.form)
    return wanted is not None and wanted != media_type


def _converted(store: Store, image: Image, wishes: Wishes, lease: Lease) -> Descriptor:
    from rcrun.storage.committing import FORMATS as TYPES
    from rcrun.storage.committing import retyped

    is_docker = image.manifest.get("mediaType") == documents.DOCKER_MANIFEST
    form = {"oci": "oci", "v2s2": "docker"}.get(wishes.form) or ("docker" if is_docker else "oci")
    media_type, config_type, layer_types = TYPES[form]
    layers = [
        _compressed(store, layer, wishes, lease) if _is_to_compress(layer, wishes) else layer
        for layer in image.manifest["layers"]
    ]
    manifest: Manifest = {
        **image.manifest,
        "mediaType": media_type,
        "config": {**image.manifest["config"], "mediaType": config_type},
        "layers": retyped(layers, layer_types),
    }
    return blobs.write_document(store, manifest, media_type, lease=lease)


def _compressed(store: Store, layer: Descriptor, wishes: Wishes, lease: Lease) -> Descriptor:
    from rcrun.storage.compressing import compress_blob
    from rcrun.storage.compression import decompressed, reader_of

    pieces = saving.verified(store, layer)
    if layer.get("mediaType", "") not in _PLAIN:
        pieces = decompressed(reader_of(pieces))
    form = wishes.compression or "gzip"
    return compress_blob(store, pieces, lease, form=form, level=wishes.level)


class _Push:
    """One push: layers side by side, the configuration, the manifest, the name."""

    def __init__(
        self,
        store: Store,
        uploader: Uploader,
        reference: Reference,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self.store = store
        self.uploader = uploader
        self.reference = reference
        self.progress = progress
        self.stop = stop
        self.others = _Neighbours(store, reference)

    def run(self, descriptor: Descriptor) -> Pushed:
        from rcrun.engine.download import at_once

        manifest: Manifest = blobs.read_document(self.store, descriptor)
        unique = {
            layer["digest"]: layer
            for layer in manifest["layers"]
            if not documents.is_foreign(layer)
        }
        self.progress.layers(list(unique.values()))
        at_once(list(unique.values()), self._send, self.stop)
        config = manifest["config"]
        if config["digest"] not in unique and not self.uploader.has_blob(config):
            self._upload(config)
        data = blobs.read_blob(self.store, descriptor)
        digest = descriptor["digest"]
        media_type = descriptor["mediaType"]
        self.uploader.put_manifest(self.reference.tag, data, media_type, digest)
        return Pushed(self.reference, digest, len(data))

    def _send(self, layer: Descriptor) -> None:
        digest = layer["digest"]
        if self.uploader.has_blob(layer):
            self.progress.exists(digest)
            return
        source, place = self.others.holding(digest), ""
        if source:
            place = self.uploader.mount(layer, source)
            if not place:
                self.progress.mounted(digest, source)
                return
        self._upload(layer, place)
        self.progress.pushed(digest)

    def _upload(self, descriptor: Descriptor, place: str = "") -> None:
        from rcrun.engine.download import Stopped

        def read(start: int) -> Iterator[bytes]:
            at = 0
            for data in saving.verified(self.store, descriptor):
                if self.stop.is_set():
                    raise Stopped
                at += len(data)
                if at > start:
                    yield data[-(at - start) :] if at - len(data) < start else data
                    self.progress.advanced(descriptor["digest"], at)

        self.uploader.upload(descriptor, read, place)


class _Neighbours:
    """Repositories of the same registry from which it may take a blob over."""

    def __init__(self, store: Store, reference: Reference) -> None:
        self._found: dict[str, str] = {}
        for entry in layout.references(store):
            name = layout.name_of(entry)
            known = grammar.parse(name) if name else None
            if known is None or known.domain != reference.domain or known.path == reference.path:
                continue
            if not known.digest:
                continue  # only what was pulled from there, or pushed there, is sure to be there
            try:
                document = blobs.read_document(store, entry)
            except (RcrunError, OSError):
                continue
            if not documents.manifest_fault(document):
                for layer in document["layers"]:
                    self._found.setdefault(layer["digest"], known.path)

    def holding(self, digest: str) -> str:
        return self._found.get(digest, "")
