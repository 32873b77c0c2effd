"""Images from files into the store: docker-archive, oci-archive, OCI layouts, skopeo's dir:, root file systems.

Everything is read once, from a path or from a pipe, and every digest that a document claims is verified.
Names are given last, so that a name always means a whole image.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import layout
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.images import Image

TRANSPORTS = ("docker-archive", "oci-archive", "oci", "dir")


class Loaded:
    """An image that was brought: its names (normalised, maybe none), its descriptor and its id."""

    __slots__ = ("config_digest", "descriptor", "names")

    def __init__(self, descriptor: Descriptor, config_digest: str, names: Sequence[str]) -> None:
        self.descriptor = descriptor
        self.config_digest = config_digest
        self.names = list(names)


class Candidate:
    """An image whose blobs are in the store: its descriptor, and the names that the archive gives it."""

    __slots__ = ("descriptor", "names", "tag", "verified")

    def __init__(
        self,
        descriptor: Descriptor,
        names: Sequence[str],
        tag: str = "",
        verified: Collection[str] = (),
    ) -> None:
        self.descriptor = descriptor
        self.names = list(names)
        self.tag = tag  # a name within the archive that is no reference
        self.verified = verified  # digests of blobs that were hashed as they came


def load(
    store: Store,
    source: str | int,
    *,
    select: str = "",
    name: str = "",
    platform: str = "",
    prepare: Callable[[Image], object] | None = None,
) -> list[Loaded]:
    """The images of an archive (a path, or a descriptor to read from) or of a directory.

    `select` takes only the one that has this name or tag there; `name` names it anew. `prepare` sees each before it
    is named: what it refuses takes no name from an image that can be used.
    """
    layout.init(store)
    with Lease(store) as lease:
        chosen = brought(store, source, lease, select)
        return [_add(store, lease, candidate, name, platform, prepare) for candidate in chosen]


def brought(store: Store, source: str | int, lease: Lease, select: str = "") -> list[Candidate]:
    """The blobs of what is chosen are in the store then, kept by the lease alone."""
    if isinstance(source, str) and os.path.isdir(source):
        from rcrun.storage.archivedir import from_directory

        candidates = from_directory(store, source, lease, select)
    else:
        from rcrun.storage.archivetar import from_tar

        with opened(source) as file:
            candidates = from_tar(store, file.read, lease)
    return choose(candidates, select)


def pull_local(
    store: Store,
    transport: str,
    location: str,
    name: str = "",
    platform: str = "",
    prepare: Callable[[Image], object] | None = None,
) -> Loaded:
    """The image of `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]` or `dir:DIR`."""
    if transport not in TRANSPORTS:
        raise InvalidInput(f'transport "{transport}" is not supported')
    path, select = split_location(location)
    check_kind(transport, path)
    loaded = load(store, path, select=select, name=name, platform=platform, prepare=prepare)
    check_one(transport, path, loaded)
    return loaded[0]


def check_kind(transport: str, path: str) -> None:
    """Archives are files, layouts are directories."""
    if not os.path.lexists(path):
        raise NotFound(f'"{path}" does not exist')
    if os.path.isdir(path) == transport.endswith("-archive"):
        kind = "a directory" if os.path.isdir(path) else "not a directory"
        raise InvalidInput(f'"{path}" is {kind}, which "{transport}" cannot be')


def check_one(transport: str, path: str, found: Sequence[Loaded] | Sequence[Candidate]) -> None:
    if len(found) > 1:
        names = ", ".join(name for each in found for name in each.names)
        raise InvalidInput(
            f'"{path}" has {len(found)} images: {names}', f"name one: {transport}:{path}:NAME"
        )


def split_location(location: str) -> tuple[str, str]:
    """Path and name, as containers-transports(5) writes them; a path may have colons if it exists."""
    if os.path.lexists(location):
        return location, ""
    path, _, select = location.partition(":")
    return path, select


def choose(candidates: Sequence[Candidate], select: str) -> list[Candidate]:
    if not select:
        return list(candidates)
    if select[0] == "@" and select[1:].isdecimal() and int(select[1:]) < len(candidates):
        return [candidates[int(select[1:])]]
    wanted = {select, normalised(select)}
    found = [each for each in candidates if each.tag == select or wanted & set(each.names)]
    if found:
        return [found[0]]
    names = ", ".join(name for each in candidates for name in (each.names or [each.tag]) if name)
    raise NotFound(f'the archive has no image "{select}": it has {names or "none with a name"}')


def normalised(name: str) -> str:
    """Empty for what is no reference."""
    try:
        return str(grammar.parse(name))
    except InvalidInput:
        return ""


def _add(
    store: Store,
    lease: Lease,
    candidate: Candidate,
    name: str,
    platform: str,
    prepare: Callable[[Image], object] | None,
) -> Loaded:
    from rcrun.storage import wholes

    image = wholes.image_or_index(store, candidate.descriptor, platform)
    image.verified = candidate.verified
    _check_layers(store, image, candidate.descriptor)
    lease.add([], image.chain)
    if prepare is not None and not wholes.stands_for_index(image):
        prepare(image)
    names = [name] if name else candidate.names
    for each in names or [""]:
        layout.add_reference(store, candidate.descriptor, each)
    return Loaded(candidate.descriptor, image.config_digest, names)


def _check_layers(store: Store, image: Image, descriptor: Descriptor) -> None:
    """Of every image that the archive has."""
    from rcrun.storage import wholes

    for manifest, document in wholes.whole(store, descriptor).manifests:
        absent = [layer for layer in document["layers"] if not _has(store, layer)]
        if absent:
            name = image.short_id if manifest["digest"] == image.digest else manifest["digest"]
            raise RcrunError(
                f'the archive lacks layer "{absent[0]["digest"]}" of image "{name}"',
                "save the image again, with all its layers",
            )


def _has(store: Store, descriptor: Descriptor) -> bool:
    from rcrun.storage.blobs import has_blob

    return has_blob(store, descriptor)


class opened:  # noqa: N801  # used like a function
    """A path or a descriptor to read from; a descriptor stays open."""

    __slots__ = ("_fd", "_source")

    def __init__(self, source: str | int) -> None:
        self._source = source
        self._fd = -1

    def __enter__(self) -> opened:
        if isinstance(self._source, int):
            self._fd = self._source
        else:
            self._fd = os.open(self._source, os.O_RDONLY | os.O_CLOEXEC)
        return self

    def read(self, size: int) -> bytes:
        return os.read(self._fd, size)

    def __exit__(self, *_: object) -> None:
        if self._fd != self._source:
            os.close(self._fd)


def unnamed(descriptor: Descriptor) -> Descriptor:
    """The descriptor without what index.json of the archive says about it."""
    kept: Descriptor = {
        "mediaType": descriptor.get("mediaType", documents.MANIFEST),
        "digest": descriptor["digest"],
        "size": descriptor["size"],
    }
    return kept
