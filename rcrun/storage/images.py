"""An image of the store, found by what was typed: a reference, an id or an unambiguous part of one."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from rcrun.formats.image import Descriptor, ImageConfig, Index, Manifest
    from rcrun.paths import Store

DEEPEST_INDEX = 3


class Image:
    """One image for one platform.

    `reference` is empty for an image without a name; `descriptor` is its entry of index.json, which
    may be an image index; `digest` is the manifest's; `config_digest` is the image's id. `verified` are
    blobs that have just been hashed on their way in.
    """

    __slots__ = (
        "chain",
        "config",
        "config_digest",
        "descriptor",
        "digest",
        "manifest",
        "reference",
        "verified",
    )

    def __init__(
        self,
        descriptor: Descriptor,
        digest: str,
        manifest: Manifest,
        config: ImageConfig,
        chain: list[str],
    ) -> None:
        self.reference = layout.name_of(descriptor)
        self.descriptor = descriptor
        self.digest = digest
        self.manifest = manifest
        self.config_digest = manifest["config"]["digest"]
        self.config = config
        self.chain = chain
        self.verified: Collection[str] = ()

    @property
    def short_id(self) -> str:
        return self.config_digest[7:19]


def find(store: Store, text: str, *, platform: str = "") -> Image:
    """NotFound when the store has no such image; `platform` is `os/architecture[/variant]`."""
    try:
        return _find(store, layout.references(store), text, platform)
    except NotFound:
        for entries in entries_elsewhere(store):
            try:
                return _find(store, entries, text, platform)
            except NotFound:
                continue
        raise


def entries_elsewhere(store: Store) -> Iterator[list[Descriptor]]:
    """What each of the other stores has; their blobs are found as ours are."""
    for root in store.others:
        try:
            yield layout.references(type(store)(root, ""))
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(f'cannot read the additional store "{root}": {reason}') from error


def _find(store: Store, entries: list[Descriptor], text: str, platform: str) -> Image:
    reference = _parse(text)
    for each in typed(store, text):
        named = _named(store, entries, each)
        if named is not None:
            return load(store, named, platform)
    digits = text.removeprefix("sha256:")
    if digests.is_hex(digits):
        found = _by_id(store, entries, digits, platform)
        if found is not None:
            return found
    if reference is None and not (digests.is_hex(digits) and len(digits) == 64):
        grammar.parse(text)  # says what is wrong with it
    other = meant(store, text)
    if other is not None:
        return load(store, other, platform)
    raise NotFound(f"no such image: {text}", f"rcrun pull {text}")


def entry_of(store: Store, text: str, platform: str = "") -> Descriptor:
    """The entry of index.json that a name or a digest means, whatever is behind it; else that of the image which is found."""
    for entries in (layout.references(store), *entries_elsewhere(store)):
        entry = exact(store, entries, text)
        if entry is not None:
            return entry
    return find(store, text, platform=platform).descriptor


def exact(store: Store, entries: Sequence[Descriptor], text: str) -> Descriptor | None:
    """The entry with this digest, or with the name that was typed."""
    for entry in entries:
        if entry["digest"] == text:
            return entry
    known = {layout.name_of(entry): entry for entry in entries}
    found = [known[str(each)] for each in typed(store, text) if str(each) in known]
    return found[0] if found else None


def typed(store: Store, text: str) -> list[grammar.Reference]:
    """The names that were meant, in order; none of what cannot be one."""
    reference = _parse(text)
    if reference is None:
        return []
    if store.own_names and grammar.is_short(text):
        return [grammar.local(text), reference]
    return [reference]


def named(store: Store, text: str) -> grammar.Reference:
    """What an image is called that is made here."""
    reference = grammar.local(text) if store.own_names else grammar.parse(text)
    if reference.digest:
        raise InvalidInput(f'cannot name an image "{text}": a digest is computed, not given')
    return reference


def manifest_of(store: Store, image: Image) -> Descriptor:
    """The descriptor of the image's own manifest, be its entry an index or not."""
    size = os.stat(store.blob_to_read(image.digest)).st_size
    media_type = image.manifest.get("mediaType") or documents.MANIFEST
    return {"mediaType": media_type, "digest": image.digest, "size": size}


def load(store: Store, descriptor: Descriptor, platform: str = "") -> Image:
    """The image of an entry of index.json, every document verified."""
    chosen = _manifest_descriptor(store, descriptor, platform)
    manifest: Manifest = blobs.read_document(store, chosen)
    fault = documents.manifest_fault(manifest)
    if fault:
        raise InvalidInput(f'manifest "{chosen["digest"]}" cannot be used: {fault}')
    config: ImageConfig = blobs.read_document(store, manifest["config"])
    fault = documents.config_fault(config, len(manifest["layers"]))
    if fault:
        raise InvalidInput(
            f'image configuration "{manifest["config"]["digest"]}" cannot be used: {fault}'
        )
    if platform and config.get("architecture"):
        _check_platform(descriptor, config, platform)
    chain = documents.chain_ids(config["rootfs"]["diff_ids"])
    return Image(descriptor, chosen["digest"], manifest, config, chain)


def _check_platform(descriptor: Descriptor, config: ImageConfig, platform: str) -> None:
    """An image without an index is there, but not for the platform that was asked for."""
    made_for = documents.platform_text(config)  # type: ignore[arg-type]
    wanted(platform)
    if not documents.suits(made_for, platform):
        name = layout.name_of(descriptor) or descriptor["digest"]
        raise NotFound(f'image "{name}" is made for "{made_for}", not for "{platform}"')


def every(store: Store) -> list[Image]:
    """What `images` lists; an image that cannot be read is left out."""
    return [image for _, image in _readable(store, layout.references(store), "")]


def _parse(text: str) -> grammar.Reference | None:
    try:
        return grammar.parse(text)
    except InvalidInput:
        return None


def _named(
    store: Store, entries: list[Descriptor], reference: grammar.Reference
) -> Descriptor | None:
    wanted = str(reference)
    for entry in entries:
        if layout.name_of(entry) == wanted:
            return entry
    if reference.digest:
        return _by_digest(store, entries, reference)
    return None


def meant(store: Store, text: str) -> Descriptor | None:
    """The entry that a short name means by the host's configuration; a faulty one matters when something is pulled.

    What podman made here has a name below `localhost`; as podman, any repository that ends so will do.
    """
    reference = _parse(text)
    if reference is None or not grammar.is_short(text):
        return None
    try:
        names = store.meanings(text)
    except InvalidInput:
        names = []
    entries = layout.references(store)
    for name in (*names, f"{grammar.LOCAL_DOMAIN}/{text}"):
        other = _parse(name) if name != text else None
        found = _named(store, entries, other) if other is not None else None
        if found is not None:
            return found
    return _ending_so(entries, reference) if store.own_names else None


def _ending_so(entries: Sequence[Descriptor], wanted: grammar.Reference) -> Descriptor | None:
    path = wanted.path.removeprefix(grammar.OFFICIAL)
    for entry in entries:
        known = _parse(layout.name_of(entry))
        same = known is not None and (known.tag, known.digest) == (wanted.tag, wanted.digest)
        if known and same and f"/{known.path}".endswith(f"/{path}"):
            return entry
    return None


def _by_digest(
    store: Store, entries: list[Descriptor], reference: grammar.Reference
) -> Descriptor | None:
    """An image of that repository under another tag; with a digest the tag does not matter."""
    for entry in entries:
        name = layout.name_of(entry)
        known = _parse(name) if name else None
        if known is None or known.repository != reference.repository:
            continue
        if reference.digest == known.digest or _has_digest(store, entry, reference.digest):
            return entry
    return None


def _has_digest(store: Store, entry: Descriptor, digest: str) -> bool:
    if entry["digest"] == digest:
        return True
    try:
        return _manifest_descriptor(store, entry, "")["digest"] == digest
    except RcrunError:
        return False


def _by_id(store: Store, entries: list[Descriptor], digits: str, platform: str) -> Image | None:
    found: dict[str, Image] = {}
    for entry, config_digest in _ids(store, entries, platform):
        if config_digest[7:].startswith(digits) and config_digest not in found:
            found[config_digest] = load(store, entry, platform)
    if len(found) > 1:
        ids = ", ".join(sorted(image.short_id for image in found.values()))
        raise InvalidInput(f'image id "{digits}" is ambiguous: {ids}', "give more of its digits")
    return next(iter(found.values()), None)


def _ids(
    store: Store, entries: Iterable[Descriptor], platform: str
) -> Iterable[tuple[Descriptor, str]]:
    """Each readable entry and its image id, without reading configurations."""
    for entry in entries:
        try:
            manifest = blobs.read_document(store, _manifest_descriptor(store, entry, platform))
        except (RcrunError, OSError):
            continue
        if not documents.manifest_fault(manifest):
            yield entry, manifest["config"]["digest"]


def _readable(
    store: Store, entries: Iterable[Descriptor], platform: str
) -> Iterable[tuple[Descriptor, Image]]:
    for entry in entries:
        try:
            yield entry, load(store, entry, platform)
        except (RcrunError, OSError):
            continue


def _manifest_descriptor(store: Store, descriptor: Descriptor, platform: str) -> Descriptor:
    """The descriptor of the platform's manifest, through image indexes."""
    for _ in range(DEEPEST_INDEX):
        if descriptor.get("mediaType", "") not in documents.INDEXES:
            return descriptor
        index: Index = blobs.read_document(store, descriptor)
        descriptor = choose(index, platform)
    raise InvalidInput(f'image index "{descriptor["digest"]}" is nested too deeply')


def choose(index: Index, platform: str = "") -> Descriptor:
    """The manifest of an image index for the platform (empty: this host's); NotFound names those it has."""
    architecture, variant = wanted(platform)
    entries = index.get("manifests")
    if not isinstance(entries, list) or any(map(documents.descriptor_fault, entries)):
        raise InvalidInput("an image index has no valid list of manifests")
    chosen = documents.select(index, architecture, variant)
    if chosen is None:
        has = ", ".join(sorted({documents.platform_text(e.get("platform")) for e in entries}))
        asked = platform or documents.platform_text({"os": "linux", "architecture": architecture})
        raise NotFound(f'the image is not made for "{asked}": it has {has or "nothing"}')
    return chosen


def wanted(platform: str) -> tuple[str, str]:
    """Architecture and variant of `[linux/]ARCHITECTURE[/VARIANT]`; this host's for an empty text."""
    if not platform:
        return documents.platform_of(os.uname().machine)
    words = platform.split("/")
    if words[0] == "linux":
        words = words[1:]
    if len(words) not in (1, 2) or not all(words):
        raise InvalidInput(f'invalid platform "{platform}"', "write linux/ARCHITECTURE[/VARIANT]")
    return words[0], words[1] if len(words) == 2 else ""
