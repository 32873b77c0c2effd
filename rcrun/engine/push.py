"""Push: an image of the store into a registry. Blobs first, each only if the registry lacks it, the tag last.

Layers that are not compressed (those of commit and import) are compressed on the way, the same way each time; what was
pushed is noted as a name of the image, `repository@digest`, which RepoDigests tells.
"""

from __future__ import annotations

from rcrun.engine.eventlog import emit
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, images, layout, saving, wholes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.signing import Signer, Signing
    from rcrun.formats.image import Descriptor, Index, Manifest
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.registry.upload import Uploader
    from rcrun.storage.lease import Lease
    from rcrun.storage.wholes import Whole

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

    __slots__ = ("compression", "force", "form", "level", "plain")

    def __init__(
        self,
        *,
        form: str = "",
        compression: str = "",
        level: int | None = None,
        force: bool = False,
        plain: bool = False,
    ) -> None:
        form = "v2s2" if form == "docker" else form
        if form == "v2s1":
            raise InvalidInput('format "v2s1" is obsolete and not written', "use v2s2 or oci")
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
        self.plain = plain  # layers that are not compressed stay so


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


def _is_known_as(store: Store, top: Descriptor, destination: Reference) -> bool:
    """Whether the image has a name of that repository: as podman a push gives it no other."""
    for entry in layout.references(store):
        name = layout.name_of(entry) if entry["digest"] == top["digest"] else ""
        if name and grammar.parse(name).repository == destination.repository:
            return True
    return False


def push(
    context: Context,
    text: str,
    destination: Reference,
    *,
    platform: str = "",
    wishes: Wishes | None = None,
    progress: Progress,
    access: Access,
    signing: Signing | None = None,
) -> Pushed:
    """The image that `text` names, as `destination`."""
    import threading

    from rcrun.engine.download import Stopped, sleeper
    from rcrun.engine.rmi import finish
    from rcrun.engine.signing import signer_of
    from rcrun.registry.upload import Uploader
    from rcrun.storage.lease import Lease

    if destination.digest:
        raise InvalidInput("an image is pushed under a tag: its digest follows from what it is")
    signer = signer_of(context, destination, signing)
    stop = threading.Event()
    client, transport = access.connect(context, destination, sleeper(stop))
    with transport, Lease(context.store) as lease:
        found = chosen(context, text, platform)
        progress.begin(destination)
        lease.add(found.digests())
        wholes.check_blobs(context.store, found, foreign_too=False)
        try:
            top = prepared(context.store, found.top, wishes or Wishes(), lease)
            sender = Sender(context.store, Uploader(client), destination, progress, stop)
            sender.signer = signer
            sender.count = context.setting("engine", "image_parallel_copies")
            pushed = sender.run(top)
        except Stopped:
            raise RcrunError(f'the push of "{text}" was stopped') from None
        if not context.store.own_names or _is_known_as(context.store, found.top, destination):
            name = str(destination.with_digest(pushed.digest))
            layout.add_reference(context.store, found.top, name)
    named = grammar.familiar(destination)
    emit(context.store, "image", "push", named, {"name": named})
    if pushed.digest != found.top["digest"]:
        finish(context)  # what was compressed has served
    context.drop_again()
    return pushed


def chosen(context: Context, text: str, platform: str) -> Whole:
    """Of an index all images, if they are here and no platform is named; else the one image."""
    store = context.store
    if not platform:
        entry = images.entry_of(store, text)
        if wholes.is_index(entry):
            found = wholes.whole(store, entry)
            if not found.absent and found.manifests:
                return found
            context.warn(
                f'the store has not all images of "{text}": only the one for this host is pushed',
                f"to have all: rcrun pull --all-platforms {text}",
            )
    image = images.find(store, text, platform=platform)
    return wholes.whole(store, images.manifest_of(store, image))


# What is pushed.


def prepared(store: Store, top: Descriptor, wishes: Wishes, lease: Lease) -> Descriptor:
    """The manifest or index that goes out: the image's own, byte for byte, unless it has to be another one."""
    document = blobs.read_document(store, top)
    if wholes.is_index(top):
        return _prepared_index(store, top, document, wishes, lease)
    if document["config"].get("mediaType", "") not in documents.CONFIGS:
        return top  # an artifact
    plain = [layer for layer in document["layers"] if _is_to_compress(layer, wishes)]
    if not plain and not _is_to_convert(top["mediaType"], wishes):
        return top
    return _converted(store, document, wishes, lease)


def _prepared_index(
    store: Store, top: Descriptor, index: Index, wishes: Wishes, lease: Lease
) -> Descriptor:
    """Another one only where one of its images has to be another, or it has to be of the other kind."""
    media_type = {"oci": documents.INDEX, "v2s2": documents.DOCKER_INDEX}.get(wishes.form)
    made = [prepared(store, wholes.plain(each), wishes, lease) for each in index["manifests"]]
    if media_type in (None, top["mediaType"]) and [each["digest"] for each in made] == [
        each["digest"] for each in index["manifests"]
    ]:
        return top
    entries = [{**before, **after} for before, after in zip(index["manifests"], made, strict=True)]
    kind = media_type or top["mediaType"]
    changed = {**index, "mediaType": kind, "manifests": entries}
    return blobs.write_document(store, changed, kind, lease=lease)


def _is_to_compress(layer: Descriptor, wishes: Wishes) -> bool:
    if documents.is_foreign(layer):
        return False
    if layer.get("mediaType", "") in _PLAIN:
        return not wishes.plain
    return wishes.force and not layer["mediaType"].endswith(wishes.compression or "gzip")


def _is_to_convert(media_type: str, wishes: Wishes) -> bool:
    wanted = {"oci": documents.MANIFEST, "v2s2": documents.DOCKER_MANIFEST}.get(wishes.form)
    return wanted is not None and wanted != media_type


def _converted(store: Store, own: Manifest, wishes: Wishes, lease: Lease) -> Descriptor:
    from rcrun.storage.committing import FORMATS as TYPES
    from rcrun.storage.committing import retyped

    is_docker = own.get("mediaType") == documents.DOCKER_MANIFEST
    form = {"oci": "oci", "v2s2": "docker"}.get(wishes.form) or ("docker" if is_docker else "oci")
    media_type, config_type, layer_types = TYPES[form]
    layers = [
        compressed_layer(store, layer, wishes, lease) if _is_to_compress(layer, wishes) else layer
        for layer in own["layers"]
    ]
    manifest: Manifest = {
        **own,
        "mediaType": media_type,
        "config": {**own["config"], "mediaType": config_type},
        "layers": retyped(layers, layer_types),
    }
    return blobs.write_document(store, manifest, media_type, lease=lease)


def compressed_layer(store: Store, layer: Descriptor, wishes: Wishes, lease: Lease) -> Descriptor:
    from rcrun.storage.compressing import compress_blob
    from rcrun.storage.compression import decompressed, reader_of

    pieces = saving.verified(store, layer)
    if layer.get("mediaType", "") not in _PLAIN:
        pieces = decompressed(reader_of(pieces))
    form = wishes.compression or "gzip"
    return compress_blob(store, pieces, lease, form=form, level=wishes.level)


class Sender:
    """One push: layers side by side, the configuration, the manifest, the name; of an index each image so, then itself.

    `fetch` brings a blob that is not here, where it is known from where.
    """

    def __init__(
        self,
        store: Store,
        uploader: Uploader,
        reference: Reference,
        progress: Progress,
        stop: threading.Event,
        fetch: Callable[[Descriptor], object] | None = None,
    ) -> None:
        self.store = store
        self.uploader = uploader
        self.reference = reference
        self.progress = progress
        self.stop = stop
        self.fetch = fetch
        self.signer: Signer | None = None
        self.count: int | None = None  # of layers at once, if somebody said it
        self.others = _Neighbours(store, reference)

    def run(self, descriptor: Descriptor, *tags: str, index_only: bool = False) -> Pushed:
        found = wholes.whole(self.store, descriptor)
        for _, manifest in () if index_only else found.manifests:
            self._send_blobs(manifest)
        for document in () if index_only else found.documents():
            if document["digest"] != descriptor["digest"]:
                self._put(document["digest"], document)
        if self.signer is not None:
            signed = [descriptor] if index_only else found.documents()
            self.signer.sign(self.uploader, signed)
        for tag in (self.reference.tag, *tags):
            self._put(tag or descriptor["digest"], descriptor)
        return Pushed(self.reference, descriptor["digest"], descriptor["size"])

    def _send_blobs(self, manifest: Manifest) -> None:
        from rcrun.engine.download import at_once

        layers = [layer for layer in manifest["layers"] if not documents.is_foreign(layer)]
        unique = {layer["digest"]: layer for layer in layers}
        self.progress.layers(list(unique.values()))
        at_once(list(unique.values()), self._send, self.stop, self.count)
        config = manifest["config"]
        if config["digest"] not in unique and not self.uploader.has_blob(config):
            self._upload(config)

    def _put(self, target: str, descriptor: Descriptor) -> None:
        data = blobs.read_blob(self.store, descriptor)
        self.uploader.put_manifest(target, data, descriptor["mediaType"], descriptor["digest"])

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

        if self.fetch is not None and not blobs.has_blob(self.store, descriptor):
            self.fetch(descriptor)

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
        self._reference = reference
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

    def note(self, origins: Mapping[str, Reference]) -> None:
        for digest, known in origins.items():
            if known.domain == self._reference.domain and known.path != self._reference.path:
                self._found.setdefault(digest, known.path)

    def holding(self, digest: str) -> str:
        return self._found.get(digest, "")
