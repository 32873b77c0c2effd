"""Images in every respect, for who asks (`rcrun image validate`): documents, and the blobs that they name.

A fault is told as `FILE: PLACE: what is wrong`, FILE as it is called within the layout.
"""

from __future__ import annotations

import os

from rcrun.files import parse_json
from rcrun.formats import image as images
from rcrun.formats import imagerules, validate
from rcrun.formats.rules import at, items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_DIGITS = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdef")
_MOST_DOCUMENT = 16 << 20
_DEEPEST = 8  # image indexes within one another
_PIECE = 1 << 20


class Layout:
    """The walk through one image layout; each blob is looked at once."""

    __slots__ = ("_seen", "root_dir")

    def __init__(self, root_dir: str) -> None:
        self.root_dir = root_dir
        self._seen: set[str] = set()

    def faults(self) -> Iterator[str]:
        """Of the whole layout: what its index names, and what else lies among its blobs."""
        yield from self._document("oci-layout", "layout")[1]
        if not os.path.isdir(f"{self.root_dir}/blobs"):
            yield "blobs: there is no such directory"
        index, faults = self._document("index.json", "index")
        yield from faults
        yield from self._entries(index, "index.json", 0)
        yield from self._unnamed_blobs()

    def image_faults(self, descriptor: object) -> Iterator[str]:
        """Of what one entry of the index names."""
        yield from self._named(descriptor, "index.json", (), 0)

    def _document(self, name: str, kind: str) -> tuple[Any, list[str]]:
        try:
            with open(f"{self.root_dir}/{name}", "rb") as file:
                document = parse_json(file.read(_MOST_DOCUMENT))
        except OSError as error:
            return None, [f"{name}: {(error.strerror or str(error)).lower()}"]
        except (RecursionError, ValueError) as error:
            return None, [f"{name}: is not JSON: {error}"]
        return document, [f"{name}: {fault}" for fault in validate.faults(document, kind)]

    def _entries(self, index: object, name: str, depth: int) -> Iterator[str]:
        """An index may name images for platforms that nobody fetched, so long as one is here."""
        entries = items(at(index, "manifests"))
        here = [row for _, row in entries if self._path_of(row) and self._is_here(row)]
        for number, entry in entries:
            if name == "index.json" or not here or entry in here:
                yield from self._named(entry, name, ("manifests", number), depth)
        yield from self._embedded(at(index, "subject"), name, ("subject",))

    def _named(
        self, descriptor: object, name: str, place: tuple[str | int, ...], depth: int
    ) -> Iterator[str]:
        path = self._path_of(descriptor)
        if not path or path in self._seen:
            return
        self._seen.add(path)
        fault = self._blob_fault(path, descriptor)
        if fault:
            yield f"{name}: {validate.place(place)}: {fault}" if place else f"{path}: {fault}"
            return
        media_type = at(descriptor, "mediaType")
        if media_type in images.INDEXES and depth < _DEEPEST:
            index, faults = self._document(path, "index")
            yield from faults
            yield from self._entries(index, path, depth + 1)
        elif media_type in images.MANIFESTS:
            yield from self._manifest(path)

    def _manifest(self, path: str) -> Iterator[str]:
        manifest, faults = self._document(path, "manifest")
        yield from faults
        config = at(manifest, "config")
        rows = [(("config",), config)]
        rows += [(("layers", index), row) for index, row in items(at(manifest, "layers"))]  # type: ignore[misc]
        for place, row in rows:
            yield from self._embedded(row, path, place)
        where = self._path_of(config)
        if not where or not self._is_here(config):
            return
        if at(config, "mediaType") in (images.CONFIG, images.DOCKER_CONFIG):
            document, faults = self._document(where, "image")
            yield from faults
            fault = imagerules.layer_fault(manifest, document)
            if fault:
                yield f"{where}: {fault}"

    def _embedded(
        self, descriptor: object, name: str, place: tuple[str | int, ...]
    ) -> Iterator[str]:
        """A blob that is only data here. A subject, and a layer with addresses of its own, may be elsewhere."""
        path = self._path_of(descriptor)
        elsewhere = place == ("subject",) or at(descriptor, "urls") or at(descriptor, "data")
        if not path or path in self._seen or (elsewhere and not self._is_here(descriptor)):
            return
        self._seen.add(path)
        fault = self._blob_fault(path, descriptor)
        if fault:
            yield f"{name}: {validate.place(place)}: {fault}"

    def _unnamed_blobs(self) -> Iterator[str]:
        for algorithm in _DIGITS:
            folder = f"blobs/{algorithm}"
            try:
                names = sorted(os.listdir(f"{self.root_dir}/{folder}"))
            except OSError:
                continue
            for digits in names:
                path = self._path_of({"digest": f"{algorithm}:{digits}"})
                if not path:
                    yield f"{folder}/{digits}: the name is no digest"
                elif path not in self._seen:
                    fault = self._blob_fault(path, {"digest": f"{algorithm}:{digits}"})
                    if fault:
                        yield f"{path}: {fault}"

    # ---- blobs

    def _path_of(self, descriptor: object) -> str:
        """Within the layout; empty for a digest that names no file here (the schema tells what is wrong)."""
        digest = at(descriptor, "digest")
        algorithm, _, digits = digest.partition(":") if isinstance(digest, str) else ("", "", "")
        if len(digits) != _DIGITS.get(algorithm) or not _HEX.issuperset(digits):
            return ""
        return f"blobs/{algorithm}/{digits}"

    def _is_here(self, descriptor: object) -> bool:
        path = self._path_of(descriptor)
        return bool(path) and os.path.lexists(f"{self.root_dir}/{path}")

    def _blob_fault(self, path: str, descriptor: object) -> str:
        import hashlib

        digest, size = at(descriptor, "digest"), at(descriptor, "size")
        computed = hashlib.new(digest.partition(":")[0])
        length = 0
        try:
            with open(f"{self.root_dir}/{path}", "rb") as file:
                while piece := file.read(_PIECE):
                    computed.update(piece)
                    length += len(piece)
        except OSError as error:
            return f'blob "{digest}": {(error.strerror or str(error)).lower()}'
        if isinstance(size, int) and length != size:
            return f'blob "{digest}" has {length} bytes, not {size}'
        if computed.hexdigest() != digest.partition(":")[2]:
            return f'blob "{digest}" has another digest: its content was changed or damaged'
        return ""


def document_faults(path: str) -> list[str]:
    """Of one file with an OCI document of whatever kind."""
    try:
        with open(path, "rb") as file:
            document = parse_json(file.read(_MOST_DOCUMENT))
    except (RecursionError, ValueError) as error:
        return [f"is not JSON: {error}"]
    kind = imagerules.kind_of(document)
    if not kind:
        return ["document: is no OCI document: neither its media type nor its members tell which"]
    return validate.faults(document, kind)
