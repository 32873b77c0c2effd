"""`system check`, of images: the layout, its index, every blob's digest, and what each image needs."""

from __future__ import annotations

import os
import time

from rcrun.errors import RcrunError
from rcrun.files import read_json_or_none, subdirectories
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, collect, images, layout, wholes
from rcrun.storage.faults import Fault, leftover, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store

_PIECE = 1 << 20
_UNUSABLE = "no image can be listed, run, pulled or removed"


def faults(store: Store, *, quick: bool, max_age: float) -> Iterator[Fault]:
    """`max_age` in seconds: what nothing names is told of when it is older. `quick` reads no blob."""
    if not os.path.isdir(store.root_dir):
        return
    yield from _layout_faults(store)
    entries, found = _entries(store)
    yield from found
    needed: dict[str, list[str]] = {}  # hex of a blob to the names of those who need it
    for entry in entries:
        yield from _image_faults(store, entry, needed)
    yield from _blob_faults(store, needed, quick=quick)
    yield from _unnamed(store, max_age)


def shown_name(entry: Descriptor) -> str:
    name = layout.name_of(entry)
    try:
        return grammar.familiar(grammar.parse(name)) if name else entry["digest"][:19]
    except RcrunError:
        return name


# The layout.


def _layout_faults(store: Store) -> Iterator[Fault]:
    path = store.path("oci-layout")
    try:
        version = read_json_or_none(path)
    except ValueError:
        version = "damaged"
    if version is None and not os.path.lexists(store.path("index.json")):
        return  # a store that holds no image yet
    if not isinstance(version, dict) or version.get("imageLayoutVersion") != "1.0.0":
        what = "is missing" if version is None else "is damaged"
        cost = "other tools cannot read the images, and pull and load fail"
        yield Fault(f'"{path}" {what}', cost, "layout")
    for name in layout.DIRECTORIES:
        if not os.path.isdir(store.path(name)) and os.path.lexists(store.path("index.json")):
            yield Fault(
                f'"{store.path(name)}" is missing', "what is to be put there fails", "layout"
            )


def _entries(store: Store) -> tuple[list[Descriptor], list[Fault]]:
    path = store.path("index.json")
    try:
        index = read_json_or_none(path)
        entries = layout.references(store)
    except (RcrunError, ValueError, OSError) as error:
        return [], [Fault(f'"{path}" is damaged: {reason(error)}', _UNUSABLE, "index")]
    if index is None:
        if any(True for _ in subdirectories(store.path("blobs/sha256"))):
            return [], [Fault(f'"{path}" is missing', "all images are out of sight", "index")]
        return [], []
    bad = len(index["manifests"]) - len(entries)
    if bad:
        what = f'"{path}" has {bad} entries that are no descriptors'
        return entries, [Fault(what, "other tools may refuse the layout", "entries")]
    return entries, []


# Images.


def _image_faults(store: Store, entry: Descriptor, needed: dict[str, list[str]]) -> Iterator[Fault]:
    name = shown_name(entry)
    missing: list[str] = []
    elsewhere = wholes.sources_of(entry)
    _walk(store, entry, name, needed, missing, images.DEEPEST_INDEX, elsewhere)
    if not missing:
        return
    known = "/" in layout.name_of(entry)
    hint = f"rcrun pull {name}" if known else "load or build the image again"
    cost = _cost_of(store, entry)
    for digest in missing:
        yield Fault(f'image "{name}": blob "{digest}" is missing', cost, hint=hint)


def _cost_of(store: Store, entry: Descriptor) -> str:
    try:
        images.load(store, entry)
    except (RcrunError, OSError, KeyError, TypeError):
        return "the image cannot be used"
    return (
        "the image cannot be saved, pushed or unpacked again; it runs where its layers are unpacked"
    )


def _walk(
    store: Store,
    entry: Descriptor,
    name: str,
    needed: dict[str, list[str]],
    missing: list[str],
    depth: int,
    elsewhere: Container[str] = (),
) -> None:
    """What an entry refers to; of an index for several platforms one must be here. `elsewhere`: a registry has the layers."""
    needed.setdefault(entry["digest"][7:], []).append(name)
    if not os.path.lexists(store.blob_to_read(entry["digest"])):
        missing.append(entry["digest"])
        return
    try:
        document = blobs.read_document(store, entry)
    except (RcrunError, OSError):
        return  # the blob's own fault
    if not isinstance(document, dict):
        return
    below = document.get("manifests")
    members = below if isinstance(below, list) and depth > 0 else []
    usable = [member for member in members if not documents.descriptor_fault(member)]
    here = [each for each in usable if os.path.lexists(store.blob_to_read(each["digest"]))]
    for member in here or usable[:1]:
        _walk(store, member, name, needed, missing, depth - 1, elsewhere)
    if not documents.manifest_fault(document):
        for member in (document["config"], *document["layers"]):
            needed.setdefault(member["digest"][7:], []).append(name)
            if entry["digest"] in elsewhere or member.get("urls"):
                continue
            if not _is_to_be_had(store, member):
                missing.append(member["digest"])


def _is_to_be_had(store: Store, member: Descriptor) -> bool:
    return os.path.lexists(store.blob_to_read(member["digest"])) or blobs.can_have(store, member)


# Blobs.


def _blob_faults(store: Store, needed: dict[str, list[str]], *, quick: bool) -> Iterator[Fault]:
    folder = store.path("blobs/sha256")
    for name in sorted(subdirectories(folder)):
        path = f"{folder}/{name}"
        if not digests.is_hex64(name):
            if not name.endswith("~"):
                yield Fault(f'"{path}" is no blob', "other tools may refuse the layout", "trash", (path,), loses=True)  # fmt: skip
            continue
        found = "" if quick else damage(path, name)
        if found:
            users = list(dict.fromkeys(needed.get(name, [])))
            yield Fault(f'blob "sha256:{name}" is damaged: {found}', _damage_cost(users), "blob", (name, *users))  # fmt: skip


def _damage_cost(users: list[str]) -> str:
    if not users:
        return "nothing: no image has it"
    names = ", ".join(f'"{name}"' for name in users)
    return f"these images cannot be saved, pushed or unpacked again: {names}"


def damage(path: str, name: str) -> str:
    """Empty for one that is sound, or went away meanwhile."""
    import hashlib

    computed = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                computed.update(piece)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return reason(error)
    return "" if computed.hexdigest() == name else "its content has another digest"


def _unnamed(store: Store, max_age: float) -> Iterator[Fault]:
    """Blobs and layers that no image, no container and no lease names."""
    try:
        marks = collect.mark(store)
    except (RcrunError, OSError, ValueError):
        return  # told already
    before = time.time() - max_age
    size = count = 0
    paths = [
        store.blob_path(f"sha256:{name}")
        for name in subdirectories(store.path("blobs/sha256"))
        if digests.is_hex64(name) and name not in marks.blobs
    ]
    for kind in subdirectories(store.path("layers")):
        for chain in subdirectories(store.path("layers", kind)):
            if chain not in marks.layers:
                paths.append(store.layer_dir(kind, chain))
    for path in paths:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if status.st_mtime <= before:
            count += 1
            size += collect.layer_size(path) if os.path.isdir(path) else status.st_size
    if count:
        from rcrun.formats.size import decimal

        yield leftover(
            f"{count} blobs and layers that nothing names", f"{decimal(size)} on the disk"
        )


def manifests_here(store: Store) -> Iterator[dict[str, Any]]:
    """Descriptors of the manifests among the blobs whose configuration is here, for an index that was lost."""
    folder = store.path("blobs/sha256")
    for name in sorted(subdirectories(folder)):
        path = f"{folder}/{name}"
        if not digests.is_hex64(name) or os.path.getsize(path) > blobs.MOST_DOCUMENT:
            continue
        try:
            document = read_json_or_none(path)
        except (ValueError, OSError):
            continue
        if not isinstance(document, dict) or documents.manifest_fault(document):
            continue
        if os.path.lexists(store.blob_path(document["config"]["digest"])) and not damage(
            path, name
        ):
            media_type = document.get("mediaType") or documents.MANIFEST
            yield {"mediaType": media_type, "digest": f"sha256:{name}", "size": os.path.getsize(path)}  # fmt: skip
