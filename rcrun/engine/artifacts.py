"""Artifacts: files under a name, kept as OCI artifacts beside the images and taken to registries like them.

One is a manifest whose configuration is no image's; each layer is a file, its name the annotation "title".
"""

from __future__ import annotations

import os

from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.files import open_regular
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, layout, wholes
from rcrun.storage.lease import Lease
from rcrun.storage.scratch import NamedLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.manifests import Details
    from rcrun.formats.image import Descriptor, Manifest
    from rcrun.paths import Store

EMPTY = "application/vnd.oci.empty.v1+json"
UNKNOWN = "application/vnd.unknown.artifact.v1"
TITLE = "org.opencontainers.image.title"
CREATED = "org.opencontainers.image.created"
CHUNK = 1 << 20
SNIFFED = 512


class Artifact:
    """`name` is empty for one without."""

    __slots__ = ("descriptor", "manifest", "name")

    def __init__(self, descriptor: Descriptor, manifest: Manifest, name: str) -> None:
        self.descriptor = descriptor
        self.manifest = manifest
        self.name = name

    @property
    def digest(self) -> str:
        return self.descriptor["digest"]

    def size(self) -> int:
        return sum(layer["size"] for layer in self.manifest["layers"])


def title_of(layer: Descriptor) -> str:
    title = (layer.get("annotations") or {}).get(TITLE, "")
    return title if isinstance(title, str) else ""


def every(store: Store) -> list[Artifact]:
    return [found for entry in layout.references(store) if (found := artifact_of(store, entry))]


def artifact_of(store: Store, entry: Descriptor) -> Artifact | None:
    """None for an image, an index, and what cannot be read."""
    from rcrun.errors import RcrunError

    if wholes.is_index(entry):
        return None
    try:
        manifest = blobs.read_document(store, entry)
    except (RcrunError, OSError):
        return None
    if documents.manifest_fault(manifest):
        return None
    if manifest["config"].get("mediaType") in documents.CONFIGS:
        return None
    return Artifact(entry, manifest, layout.name_of(entry))


def find(store: Store, text: str) -> Artifact:
    """By its name, its digest, or the beginning of that."""
    try:
        reference = str(grammar.parse(text))
    except InvalidInput:
        reference = ""
    digits = text.removeprefix("sha256:")
    known = every(store)
    named = [each for each in known if each.name == reference]
    if named:
        return named[0]
    fitting = {
        each.digest: each
        for each in known
        if digests.is_hex(digits) and each.digest[7:].startswith(digits)
    }
    if len(fitting) > 1:
        raise InvalidInput(f'artifact "{text}" is ambiguous', "give more of its digits")
    for each in fitting.values():
        return each
    raise NotFound(f"no such artifact: {text}", f"rcrun artifact pull {text}")


# ---- made


def add(
    context: Context,
    name: str,
    paths: Sequence[str],
    *,
    append: bool = False,
    replace: bool = False,
    artifact_type: str = "",
    file_type: str = "",
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """The files under this name; more of them with `append`."""
    store = context.store
    reference = grammar.parse(name)
    if reference.digest:
        raise InvalidInput(f'cannot name an artifact "{name}": a digest is computed, not given')
    layout.init(store)
    with _lock(store, str(reference)), Lease(store) as lease:
        known = known_artifact(store, str(reference), name)
        if append and known is None:
            raise NotFound(f"no such artifact: {name}", f"rcrun artifact add {name} FILE")
        if known is not None and not append and not replace:
            raise AlreadyExists(
                f'artifact "{name}" exists', "add to it, or replace it: --append, --replace"
            )
        manifest: dict[str, Any] = _empty_manifest(store, lease)
        if append and known:
            manifest = dict(known.manifest)
        if artifact_type and append:
            raise InvalidInput("--type and --append exclude each other: the artifact has a type")
        if artifact_type:
            manifest["artifactType"] = artifact_type
        layers = [_file(store, path, file_type, annotations or {}, lease) for path in paths]
        manifest["layers"] = _together(name, manifest["layers"], layers)
        made = blobs.write_document(store, manifest, documents.MANIFEST, lease=lease)
        layout.add_reference(store, made, str(reference), keep=False)
    return made


def _lock(store: Store, name: str) -> NamedLock:
    lock = NamedLock(store, f"artifact-{digests.of_bytes(name.encode())[7:23]}")
    lock.acquire()
    return lock.held()


def known_artifact(store: Store, reference: str, typed: str) -> Artifact | None:
    for entry in layout.references(store):
        if layout.name_of(entry) == reference:
            found = artifact_of(store, entry)
            if found is None:
                raise AlreadyExists(f'"{typed}" is an image', "give the artifact another name")
            return found
    return None


def _empty_manifest(store: Store, lease: Lease) -> dict[str, Any]:
    from rcrun.storage.containers import now_text

    config: dict[str, Any] = {**blobs.write_blob(store, b"{}", EMPTY, lease=lease), "data": "e30="}
    return {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "artifactType": UNKNOWN,
        "config": config,
        "layers": [],
        "annotations": {CREATED: now_text()},
    }


def _together(
    name: str, before: Sequence[Descriptor], new: Sequence[Descriptor]
) -> list[Descriptor]:
    titles = [title_of(layer) for layer in before]
    for layer in new:
        title = title_of(layer)
        if title in titles:
            raise AlreadyExists(f'artifact "{name}" has a file "{title}"', "rename one of them")
        titles.append(title)
    return [*before, *new]


def _file(
    store: Store, path: str, file_type: str, annotations: Mapping[str, str], lease: Lease
) -> Descriptor:
    try:
        with open_regular(path) as file, blobs.BlobWriter(store, lease=lease) as writer:
            head = file.read(SNIFFED)
            writer.write(head)
            while data := file.read(CHUNK):
                writer.write(data)
            made = writer.commit(file_type or sniffed(head))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot add "{path}": {reason}') from error
    title = os.path.basename(os.path.abspath(path))
    made["annotations"] = {TITLE: title, **annotations}
    return made


_MAGIC = {
    b"\x1f\x8b": "application/x-gzip",
    b"\x28\xb5\x2f\xfd": "application/zstd",
    b"PK\x03\x04": "application/zip",
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"<?xml": "text/xml; charset=utf-8",
    b"\0asm": "application/wasm",
}


def sniffed(head: bytes) -> str:
    """The media type that the first bytes tell, as podman names it."""
    for magic, media_type in _MAGIC.items():
        if head.startswith(magic):
            return media_type
    control = set(range(0x20)) - set(b"\t\n\x0c\r\x1b")
    if control.isdisjoint(head):
        return "text/plain; charset=utf-8"
    return "application/octet-stream"


class ListedArtifact:
    """What `manifest add --artifact` says of an artifact; empty values say nothing."""

    __slots__ = (
        "annotations", "artifact_type", "config_path", "config_type", "file_type", "subject", "titles",
    )  # fmt: skip

    def __init__(
        self,
        *,
        artifact_type: str,
        file_type: str,
        config_path: str,
        config_type: str,
        titles: bool,
        subject: Descriptor | None,
        annotations: Mapping[str, str],
    ) -> None:
        self.artifact_type = artifact_type
        self.file_type = file_type
        self.config_path = config_path
        self.config_type = config_type
        self.titles = titles
        self.subject = subject
        self.annotations = dict(annotations)


def add_to_list(
    context: Context, name: str, paths: Sequence[str], details: Details, wanted: ListedArtifact
) -> Descriptor:
    """manifest add --artifact: an artifact of these files, known by the list alone."""
    from rcrun.engine import manifests

    store = context.store
    with Lease(store) as lease:
        files = [_file(store, path, wanted.file_type, {}, lease) for path in paths]
        if wanted.titles:
            files = _together(name, [], files)
        else:
            files = [wholes.plain(each) for each in files]
        manifest = _listed_manifest(store, wanted, lease)
        manifest["layers"] = files
        made = blobs.write_document(store, manifest, documents.MANIFEST, lease=lease)
        member = details.applied({**made, "artifactType": manifest["artifactType"]})

        def put(index: dict[str, Any], sources: dict[str, str]) -> None:
            kept = [each for each in index["manifests"] if each["digest"] != member["digest"]]
            index["manifests"] = [*kept, member]

        return manifests.change(context, name, put, lease)


def _listed_manifest(store: Store, wanted: ListedArtifact, lease: Lease) -> dict[str, Any]:
    manifest = _empty_manifest(store, lease)
    manifest.pop("annotations")
    manifest["artifactType"] = wanted.artifact_type or UNKNOWN
    if wanted.config_path:
        kind = wanted.config_type or "application/octet-stream"
        manifest["config"] = wholes.plain(_file(store, wanted.config_path, kind, {}, lease))
    elif wanted.config_type:
        manifest["config"] = {**manifest["config"], "mediaType": wanted.config_type}
    if wanted.subject is not None:
        manifest["subject"] = wanted.subject
    if wanted.annotations:
        manifest["annotations"] = wanted.annotations
    return manifest


# ---- listed, taken away


def remove(context: Context, text: str) -> str:
    """Its digest; a name goes, by digest all names."""
    found = find(context.store, text)
    if _is_name(found, text):
        layout.remove_reference(context.store, found.name)
    else:
        layout.remove_image(context.store, found.digest)
    return found.digest


def _is_name(found: Artifact, text: str) -> bool:
    try:
        return str(grammar.parse(text)) == found.name
    except InvalidInput:
        return False


def rows(found: Sequence[Artifact], now: float) -> Iterator[dict[str, Any]]:
    """What `artifact ls` lists."""
    from rcrun.formats import duration, size, timestamp

    for each in found:
        reference = grammar.parse(each.name) if each.name else None
        created = timestamp.parse_or_zero((each.manifest.get("annotations") or {}).get(CREATED))
        yield {
            "Repository": reference.repository if reference else "<none>",
            "Tag": (reference.tag if reference else "") or "<none>",
            "Digest": each.digest,
            "CreatedAt": (each.manifest.get("annotations") or {}).get(CREATED, ""),
            "Created": f"{duration.words_of(now - created)} ago" if created else "N/A",
            "Size": size.decimal(each.size(), 3),
            "VirtualSize": each.size(),
            "Type": each.manifest.get("artifactType")
            or each.manifest["config"].get("mediaType", ""),
        }
