"""Images from directories: an OCI layout (`oci:`), or what `skopeo copy … dir:` writes."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.files import open_regular, parse_json
from rcrun.formats import image as documents
from rcrun.storage import blobs, images
from rcrun.storage.archive import Candidate, choose, normalised, unnamed
from rcrun.storage.wholes import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.lease import Lease

CHUNK = 1 << 20


def from_directory(store: Store, path: str, lease: Lease, select: str = "") -> list[Candidate]:
    if os.path.exists(f"{path}/index.json"):
        return _from_layout(store, path, lease, select)
    if os.path.exists(f"{path}/manifest.json") and os.path.exists(f"{path}/version"):
        return [_from_dir(store, path, lease)]
    raise InvalidInput(
        f'"{path}" is neither an OCI image layout nor a directory that "skopeo copy" made'
    )


def names_of(entry: Descriptor) -> tuple[list[str], str]:
    """The references of an entry of index.json, and its bare tag when that is all it has."""
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict):
        return [], ""
    full = annotations.get(documents.CONTAINERD_NAME)
    short = annotations.get(documents.REF_NAME)
    tag = short if isinstance(short, str) else ""
    for name in (full, tag):
        if isinstance(name, str) and ("/" in name or ":" in name) and normalised(name):
            return [normalised(name)], tag
    return [], tag


def _from_layout(store: Store, path: str, lease: Lease, select: str) -> list[Candidate]:
    index = _read_json(f"{path}/index.json")
    entries = index.get("manifests") if isinstance(index, dict) else None
    candidates = []
    for entry in entries if isinstance(entries, list) else ():
        fault = documents.descriptor_fault(entry)
        if fault:
            raise InvalidInput(f'"{path}/index.json" cannot be used: {fault}')
        if os.path.exists(_blob(path, entry)):
            names, tag = names_of(entry)
            candidates.append(Candidate(unnamed(entry), names, tag))
    if not candidates:
        raise InvalidInput(f'"{path}" has no image')
    chosen = choose(candidates, select)
    for candidate in chosen:
        _copy_image(store, path, candidate.descriptor, lease, images.DEEPEST_INDEX)
    return chosen


def _blob(path: str, descriptor: Descriptor) -> str:
    return f"{path}/blobs/sha256/{descriptor['digest'][7:]}"


def _copy_image(store: Store, path: str, descriptor: Descriptor, lease: Lease, depth: int) -> None:
    """A manifest or an index, and all that it names; of an index what is there."""
    _copy(store, _blob(path, descriptor), descriptor, lease)
    document = blobs.read_document(store, descriptor)
    if not isinstance(document, dict):
        raise InvalidInput(f'"{descriptor["digest"]}" is not a manifest')
    below = document.get("manifests")
    for member in below if isinstance(below, list) else ():
        if documents.descriptor_fault(member) or not os.path.exists(_blob(path, member)):
            continue
        if depth > 0:
            _copy_image(store, path, member, lease, depth - 1)
    if not documents.manifest_fault(document):
        for member in (document["config"], *document["layers"]):
            _copy(store, _blob(path, member), member, lease)


def _from_dir(store: Store, path: str, lease: Lease) -> Candidate:
    """`manifest.json` may be an index, whose manifests are in `HEX.manifest.json`."""
    with open_regular(f"{path}/manifest.json") as file:
        data = file.read(blobs.MOST_DOCUMENT + 1)
    document = _parse(data, f"{path}/manifest.json")
    is_index = isinstance(document, dict) and "manifests" in document
    media_type = document.get("mediaType") if isinstance(document, dict) else ""
    media_type = media_type or (documents.INDEX if is_index else documents.MANIFEST)
    if is_index:
        for member in members(document, "manifest.json"):
            _copy_member(store, path, member, lease)
    else:
        _copy_blobs(store, path, document, f"{path}/manifest.json", lease)
    return Candidate(blobs.write_blob(store, data, media_type, lease=lease), [])


def _copy_member(store: Store, path: str, member: Descriptor, lease: Lease) -> None:
    name = f"{path}/{member['digest'][7:]}.manifest.json"
    if not os.path.lexists(name):
        return
    _copy(store, name, member, lease)
    _copy_blobs(store, path, blobs.read_document(store, member), name, lease)


def _copy_blobs(store: Store, path: str, manifest: Any, name: str, lease: Lease) -> None:
    fault = documents.manifest_fault(manifest)
    if fault:
        raise InvalidInput(f'"{name}" cannot be used: {fault}')
    for each in (manifest["config"], *manifest["layers"]):
        _copy(store, f"{path}/{each['digest'][7:]}", each, lease)


def _copy(store: Store, source: str, descriptor: Descriptor, lease: Lease) -> None:
    """One blob, unless the store has it; the reader of a document verifies it again."""
    lease.add([descriptor["digest"]])
    if blobs.has_blob(store, descriptor):
        return
    try:
        file = open_regular(source)
    except FileNotFoundError:
        raise InvalidInput(
            f'blob "{descriptor["digest"]}" is missing: "{source}" does not exist'
        ) from None
    with file, blobs.BlobWriter(store, descriptor, lease=lease) as writer:
        while data := file.read(CHUNK):
            writer.write(data)
        writer.commit()


def _read_json(path: str) -> Any:
    with open_regular(path) as file:
        return _parse(file.read(blobs.MOST_DOCUMENT), path)


def _parse(data: bytes, path: str) -> Any:
    try:
        return parse_json(data)
    except ValueError as error:
        raise InvalidInput(f'"{path}" is not JSON: {error}') from error
