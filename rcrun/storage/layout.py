"""The OCI image layout that the store is: oci-layout, and the references of index.json.

Other tools read and write it in place, so nothing here is taken on trust.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.files import Lock, dump_json, read_json_or_none, write_file
from rcrun.formats import image as images
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store

DIRECTORIES = ("blobs/sha256", "layers", "containers", "names", "volumes", "trash", "tmp")


def init(store: Store) -> None:
    """Make the store if it is not there; cheap when it is."""
    if os.path.lexists(store.path("index.json")) and os.path.isdir(store.tmp_dir()):
        return
    os.makedirs(store.root_dir, 0o700, exist_ok=True)
    version = read_json_or_none(store.path("oci-layout"))
    if version is not None and version.get("imageLayoutVersion") != "1.0.0":
        raise InvalidInput(f'"{store.root_dir}" is an image layout of an unknown version')
    for name in DIRECTORIES:
        make_private_dir(store.path(name))
    if version is None:
        write_file(store.path("oci-layout"), b'{"imageLayoutVersion":"1.0.0"}\n')
    with _index_lock(store):
        if not os.path.lexists(store.path("index.json")):
            _write_index(store, _empty_index())


def references(store: Store) -> list[Descriptor]:
    """One descriptor for each reference, and for each image without one."""
    return list(_read_index(store)["manifests"])


def name_of(descriptor: Descriptor) -> str:
    """The normalised reference; empty for an image without one."""
    return (descriptor.get("annotations") or {}).get(images.REF_NAME, "")


def add_reference(
    store: Store, descriptor: Descriptor, name: str, *, keep: bool = True
) -> Descriptor | None:
    """Let the name (empty: no name) mean this image; the descriptor that it meant before, which may lose its last name.

    Without `keep` that one goes then.
    """
    entry: Descriptor = {**descriptor, "annotations": _annotations(descriptor, name)}
    with _index_lock(store):
        index = _read_index(store)
        before = [old for old in index["manifests"] if name and name_of(old) == name]
        kept = [old for old in index["manifests"] if not _gives_way(old, entry, name)]
        previous = before[0] if before else None
        if keep and previous is not None and previous["digest"] != entry["digest"]:
            kept = _keep_unnamed(kept, previous)
        index["manifests"] = [*kept, entry]
        _write_index(store, index)
    return previous


def remove_reference(store: Store, name: str) -> Descriptor | None:
    """Forget a name; its descriptor, or None when there is no such name."""
    with _index_lock(store):
        index = _read_index(store)
        gone = next((entry for entry in index["manifests"] if name_of(entry) == name), None)
        if gone is not None:
            index["manifests"] = [entry for entry in index["manifests"] if entry is not gone]
            _write_index(store, index)
    return gone


def remove_image(store: Store, digest: str) -> list[Descriptor]:
    """Forget every entry, named or not, whose descriptor has this digest."""
    with _index_lock(store):
        index = _read_index(store)
        gone = [entry for entry in index["manifests"] if entry["digest"] == digest]
        if gone:
            index["manifests"] = [e for e in index["manifests"] if e["digest"] != digest]
            _write_index(store, index)
    return gone


def remove_nameless(store: Store, digests: Container[str]) -> None:
    """Forget entries without a name, of these digests."""
    if not digests:
        return
    with _index_lock(store):
        index = _read_index(store)
        kept = [e for e in index["manifests"] if name_of(e) or e["digest"] not in digests]
        if len(kept) != len(index["manifests"]):
            index["manifests"] = kept
            _write_index(store, index)


def rewrite(store: Store) -> None:
    """The index with the entries that can be used, and no others; an empty one where there was none."""
    with _index_lock(store):
        _write_index(store, _read_index(store))


def _gives_way(old: Descriptor, new: Descriptor, name: str) -> bool:
    """An entry of the same name, or the nameless entry of the same image."""
    return (bool(name) and name_of(old) == name) or (
        not name_of(old) and old["digest"] == new["digest"]
    )


def _keep_unnamed(entries: list[Descriptor], previous: Descriptor) -> list[Descriptor]:
    """An image that loses its last name stays, without one (docker's dangling image)."""
    if any(entry["digest"] == previous["digest"] for entry in entries):
        return entries
    return [*entries, {**previous, "annotations": _annotations(previous, "")}]


def _annotations(descriptor: Descriptor, name: str) -> dict[str, str]:
    names = (images.REF_NAME, images.CONTAINERD_NAME)
    kept = {k: v for k, v in (descriptor.get("annotations") or {}).items() if k not in names}
    return {**kept, **dict.fromkeys(names, name)} if name else kept


def _index_lock(store: Store) -> Lock:
    return Lock(store.path("index.json.lock"))


def _empty_index() -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": []}


def _read_index(store: Store) -> dict[str, Any]:
    try:
        index = read_json_or_none(store.path("index.json"))
    except ValueError as error:
        raise InvalidInput(f'"{store.path("index.json")}" is not JSON: {error}') from error
    if index is None:
        return _empty_index()
    entries = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(entries, list):
        raise InvalidInput(f'"{store.path("index.json")}" is not an image index')
    return {**index, "manifests": [entry for entry in entries if _is_usable(entry)]}


def _is_usable(entry: Any) -> bool:
    if images.descriptor_fault(entry) or not isinstance(entry.get("mediaType", ""), str):
        return False
    annotations = entry.get("annotations") or {}
    return isinstance(annotations, dict) and isinstance(annotations.get(images.REF_NAME, ""), str)


def _write_index(store: Store, index: Mapping[str, Any]) -> None:
    write_file(store.path("index.json"), (dump_json(index) + "\n").encode())
