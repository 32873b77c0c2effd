"""Remove what nothing names any more: blobs and layers by mark and sweep, and what crashes left in tmp/ and trash/.

The roots are index.json, the lowers that container.json files name, the layers of the build cache, and the
leases of those who are about to add something (lease.py). Marking and renaming into the trash happen under the gate; removing
does not. Whatever is left undone is found again the next time.
"""

from __future__ import annotations

import os
import time

from rcrun.errors import RcrunError
from rcrun.files import read_json_or_none, subdirectories, unlink_if_there
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.storage import blobs, images, layout, recipes
from rcrun.storage.layers import discard, gate
from rcrun.storage.scratch import lock_leftover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from typing import Any

    from rcrun.files import Lock
    from rcrun.formats.image import Descriptor
    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store

PATIENCE_SECONDS = 2
MOST_LEFTOVERS = 200  # at a time: they become words of a command
ASIDE_SECONDS = 3600
PART_SECONDS = 7 * 24 * 3600  # a download that was begun can be continued for a week


class Collected:
    """What was removed: digests of blobs, chainIDs of layers, and the bytes they had."""

    __slots__ = ("blobs", "layers", "size")

    def __init__(self) -> None:
        self.blobs: list[str] = []
        self.layers: list[str] = []
        self.size = 0


class Marks:
    """What must stay: digests (hex) of blobs, chainIDs (hex) of layers."""

    __slots__ = ("blobs", "layers")

    def __init__(self) -> None:
        self.blobs: set[str] = set()
        self.layers: set[str] = set()


def collect(store: Store, identity: Identity) -> Collected:
    """Remove the unused and the left over; safe beside pulls, runs and other collectors."""
    layout.init(store)
    collected = Collected()
    older = set(subdirectories(store.trash_dir()))
    lock = gate(store, exclusive=True)
    if acquired(lock):
        try:
            marks = mark(store)
            _sweep_layers(store, marks, collected)
            _sweep_blobs(store, marks, collected)
            collected.size += recipes.sweep(store, marks.blobs)
        finally:
            lock.release()
    _sweep_asides(store)
    stuck = [path for path in empty_trash(store, identity) if os.path.basename(path) not in older]
    if stuck:
        from rcrun.storage.trees import stuck_hint

        raise RcrunError(f'cannot remove "{stuck[0]}"', stuck_hint(stuck[0]))
    return collected


def acquired(lock: Lock) -> bool:
    """A run that has to unpack first keeps the gate for longer than anybody wants to wait."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not lock.acquire(wait=False):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def layer_size(layer_dir: str) -> int:
    """Bytes of its files, as they were when it was unpacked."""
    try:
        record = read_json_or_none(f"{layer_dir}/layer.json")
        return int(record["size"]) if record else 0
    except (ValueError, KeyError, TypeError):
        return 0


def mark(store: Store) -> Marks:
    marks = Marks()
    for lines in leases(store):
        for line in lines:
            _mark_line(marks, line)
    for entry in layout.references(store):
        _mark_entry(store, marks, entry, images.DEEPEST_INDEX)
    for chain in container_chains(store):
        marks.layers.add(chain)
    marks.blobs.update(cached_blobs(store))
    for recipe in recipes.of_layers(store):
        if recipe.digest[7:] in marks.blobs:
            marks.layers.add(recipe.chain)  # the blob is made of it
    return marks


def cached_blobs(store: Store) -> Iterator[str]:
    """The layers (hex of digests) that steps of builds made (engine/build/cache.py)."""
    for name in subdirectories(store.path("build")):
        if not name.endswith(".json"):
            continue
        try:
            record = read_json_or_none(store.path("build", name))
            digest = ((record or {}).get("layer") or {}).get("digest", "")
        except (ValueError, AttributeError, OSError):
            continue
        if digests.is_sha256(digest):
            yield digest[7:]


def _mark_line(marks: Marks, line: str) -> None:
    kind, _, digits = line.partition(":")
    if kind == "sha256":
        marks.blobs.add(digits)
    elif kind == "chain":
        marks.layers.add(digits)


def _mark_entry(store: Store, marks: Marks, entry: Descriptor, depth: int) -> None:
    """An entry and what it refers to, as far as it is here: other platforms' blobs need not be."""
    marks.blobs.add(entry["digest"][7:])
    try:
        document = blobs.read_document(store, entry)
    except (RcrunError, OSError):
        return
    if not isinstance(document, dict):
        return
    below = document.get("manifests")
    for member in below if isinstance(below, list) and depth > 0 else ():
        if not documents.descriptor_fault(member):
            _mark_entry(store, marks, member, depth - 1)
    if not documents.manifest_fault(document):
        for member in (document["config"], *document["layers"]):
            marks.blobs.add(member["digest"][7:])
        _mark_chain(store, marks, document["config"])


def _mark_chain(store: Store, marks: Marks, config: Descriptor) -> None:
    try:
        value = blobs.read_document(store, config)
        marks.layers.update(documents.chain_ids(value["rootfs"]["diff_ids"]))
    except (RcrunError, OSError, KeyError, TypeError):
        return  # an artifact, or damaged


def container_chains(store: Store) -> Iterator[str]:
    """The layers (hex of chainIDs) that containers stand on."""
    for container_id in subdirectories(store.path("containers")):
        try:
            record = read_json_or_none(f"{store.container_dir(container_id)}/container.json")
            for lower in _lowers(record or {}):
                parts = str(lower).split("/")
                yield from (part for part in parts if digests.is_hex64(part))
        except (ValueError, AttributeError, TypeError, OSError):
            continue  # a damaged record is the business of who reads containers


def _lowers(record: Mapping[str, Any]) -> Iterator[str]:
    """Of its root, and of the images that it mounts."""
    for holder in (record.get("rootfs") or {}, *(record.get("mounts") or [])):
        yield from holder.get("lowers") or ()


def leases(store: Store) -> Iterator[list[str]]:
    """The lines of those whose owner lives."""
    tmp_dir = store.tmp_dir()
    for name in subdirectories(tmp_dir):
        if name.startswith("lease."):
            path = f"{tmp_dir}/{name}"
            fd = lock_leftover(path)
            if fd is not None:
                os.close(fd)
                continue
            try:
                with open(path, encoding="ascii", errors="replace") as file:
                    yield file.read().split()
            except FileNotFoundError:
                continue


def _sweep_layers(store: Store, marks: Marks, collected: Collected) -> None:
    for kind, chain, layer_dir in _layer_dirs(store):
        if chain not in marks.layers:
            size = layer_size(layer_dir)
            if discard(store, kind, chain):
                collected.layers.append(chain)
                collected.size += size


def _layer_dirs(store: Store) -> Iterator[tuple[str, str, str]]:
    for kind in subdirectories(store.path("layers")):
        for chain in subdirectories(store.path("layers", kind)):
            yield kind, chain, store.layer_dir(kind, chain)


def _blob_names(store: Store) -> Iterator[str]:
    return (name for name in subdirectories(store.path("blobs/sha256")) if digests.is_hex64(name))


def _sweep_asides(store: Store) -> None:
    """What `write_file` had written aside when its process was killed."""
    for folder in (store.root_dir, store.path("blobs/sha256"), recipes.folder(store)):
        for name in subdirectories(folder):
            if name.endswith("~") and is_abandoned(f"{folder}/{name}"):
                unlink_if_there(f"{folder}/{name}")


def _sweep_blobs(store: Store, marks: Marks, collected: Collected) -> None:
    for name in _blob_names(store):
        if name in marks.blobs:
            continue
        path = f"{store.path('blobs/sha256')}/{name}"
        try:
            size = os.stat(path).st_size
            os.unlink(path)
        except FileNotFoundError:
            continue
        collected.blobs.append(f"sha256:{name}")
        collected.size += size


# ---- leftovers


def sweep_tmp(store: Store) -> None:
    """Things that were being made by somebody who is gone."""
    tmp_dir = store.tmp_dir()
    for name in subdirectories(tmp_dir):
        if is_abandoned(f"{tmp_dir}/{name}"):
            _discard_unlocked(store, name)


def is_abandoned(path: str) -> bool:
    """An interrupted download stays for a while; files of the replace-by-rename kind are never locked."""
    name = os.path.basename(path)
    if name.startswith("part."):
        keep = PART_SECONDS
    else:
        keep = ASIDE_SECONDS if name.endswith("~") or "." not in name else 0
    try:
        return time.time() - os.lstat(path).st_mtime >= keep
    except FileNotFoundError:
        return False


def _discard_unlocked(store: Store, name: str) -> None:
    path = f"{store.tmp_dir()}/{name}"
    fd = lock_leftover(path)
    if fd is None:
        return
    try:
        os.rename(path, f"{store.trash_dir()}/{name}.{os.urandom(4).hex()}")
    except FileNotFoundError:
        pass
    finally:
        os.close(fd)


def leftovers(store: Store, without: Container[str] = ()) -> list[str]:
    """What is to be removed: all that is in the trash, where leftovers of tmp/ go first."""
    sweep_tmp(store)
    paths = [f"{store.trash_dir()}/{name}" for name in subdirectories(store.trash_dir())]
    return [path for path in paths if path not in without][:MOST_LEFTOVERS]


def empty_trash(store: Store, identity: Identity) -> list[str]:
    """Others may be at it too. What could not be removed is returned: of other ids than ours, by a host that shares the store."""
    from rcrun.storage.work import run

    tried: set[str] = set()
    while paths := leftovers(store, tried):
        tried.update(paths)
        run(identity, ["sweep", *paths])
    return sorted(filter(os.path.lexists, tried))


def remove_trees(identity: Identity, paths: list[str]) -> None:
    """As root of our ids, since files in layers and containers belong to them."""
    from rcrun.storage.work import run

    run(identity, ["remove", *paths])
