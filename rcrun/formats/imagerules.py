"""What the image specification asks of its documents that no schema can say. As configrules.py: any shape will do."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import digest as digests
from rcrun.formats import timestamp
from rcrun.formats.rules import at, integer, items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rcrun.formats.rules import Fault, Path

EMPTY = "application/vnd.oci.empty.v1+json"


def faults(document: object, kind: str) -> Iterator[Fault]:
    rule = _RULES.get(kind)
    if rule is not None:
        yield from rule(document)


def _descriptor(entry: object, path: Path = ()) -> Iterator[Fault]:
    """`data` is the content once more (descriptor.md): who trusts it skips the digest."""
    data = at(entry, "data")
    if not isinstance(data, str):
        return
    import base64

    try:
        content = base64.b64decode(data, validate=True)
    except ValueError:
        return  # the schema's to tell
    size, digest = integer(entry, "size"), at(entry, "digest")
    if size is not None and size != len(content):
        yield (*path, "data"), f"holds {len(content)} bytes, not {size}"
    elif digests.is_sha256(digest) and digests.of_bytes(content) != digest:
        yield (*path, "data"), f'has the digest "{digests.of_bytes(content)}"'


def _manifest(document: object) -> Iterator[Fault]:
    if at(document, "manifests") is not None:
        yield ("manifests",), "is for an image index, which a manifest must not be at once"
    if at(document, "config", "mediaType") == EMPTY and not at(document, "artifactType"):
        yield (), '"artifactType" is missing, which an empty "config" needs'
    for key in ("config", "subject"):
        yield from _descriptor(at(document, key), (key,))
    for index, layer in items(at(document, "layers")):
        yield from _descriptor(layer, ("layers", index))


def _index(document: object) -> Iterator[Fault]:
    for key in ("config", "layers"):
        if at(document, key) is not None:
            yield (key,), "is for a manifest, which an image index must not be at once"
    yield from _descriptor(at(document, "subject"), ("subject",))
    for index, entry in items(at(document, "manifests")):
        yield from _descriptor(entry, ("manifests", index))


def _image(document: object) -> Iterator[Fault]:
    yield from _time(("created",), at(document, "created"))
    for index, row in items(at(document, "history")):
        yield from _time(("history", index, "created"), at(row, "created"))


def _time(path: Path, text: object) -> Iterator[Fault]:
    if not isinstance(text, str):
        return
    try:
        timestamp.parse(text)
    except InvalidInput:
        yield path, f'"{text}" is no time as in 2026-01-31T12:00:00Z'


_RULES: dict[str, Callable[[object], Iterator[Fault]]] = {
    "descriptor": _descriptor,
    "image": _image,
    "index": _index,
    "manifest": _manifest,
}


def layer_fault(manifest: object, config: object) -> str:
    """Of the two together: each layer has its diffID."""
    layers, ids = at(manifest, "layers"), at(config, "rootfs", "diff_ids")
    if isinstance(layers, list) and isinstance(ids, list) and len(layers) != len(ids):
        return f"rootfs.diff_ids: names {len(ids)} layers, the manifest {len(layers)}"
    return ""


def kind_of(document: object) -> str:
    """Which document it is meant to be: by its media type, else by its members; empty: none."""
    media_type = at(document, "mediaType")
    if not isinstance(document, dict):
        return ""
    if "digest" in document and "size" in document:
        return "descriptor"
    if isinstance(media_type, str):
        for word, kind in (("index", "index"), ("list", "index"), ("manifest", "manifest")):
            if word in media_type:
                return kind
    for member, kind in _TELLING:
        if member in document:
            return kind
    return ""


_TELLING = (
    ("imageLayoutVersion", "layout"),
    ("ociVersion", "config"),
    ("manifests", "index"),
    ("layers", "manifest"),
    ("schemaVersion", "manifest"),
    ("rootfs", "image"),
    ("architecture", "image"),
)
