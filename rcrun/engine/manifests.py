"""Manifest lists: indexes of the store that are made by hand, of images that are here or stay in their registries.

A list is an entry of index.json like any image. Where its images were named in a registry the entry notes from where (an
annotation a digest), so that their layers come only when the list is pushed elsewhere, if at all.
"""

from __future__ import annotations

from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, images, layout, wholes
from rcrun.storage.lease import Lease
from rcrun.storage.scratch import NamedLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.places import Place
    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.wholes import Whole


class Details:
    """What is said of a member beyond its digest; empty values say nothing."""

    __slots__ = ("annotations", "arch", "features", "os", "os_features", "os_version", "variant")

    def __init__(
        self,
        *,
        annotations: Mapping[str, str] | None = None,
        arch: str = "",
        os: str = "",
        variant: str = "",
        os_version: str = "",
        os_features: Sequence[str] = (),
        features: Sequence[str] = (),
    ) -> None:
        self.annotations = dict(annotations or {})
        self.arch = arch
        self.os = os
        self.variant = variant
        self.os_version = os_version
        self.os_features = list(os_features)
        self.features = list(features)

    def platform(self) -> dict[str, Any]:
        given = {
            "architecture": self.arch,
            "os": self.os,
            "variant": self.variant,
            "os.version": self.os_version,
            "os.features": self.os_features,
            "features": self.features,
        }
        return {key: value for key, value in given.items() if value}

    def applied(self, member: Descriptor) -> Descriptor:
        made: dict[str, Any] = dict(member)
        platform = {**(member.get("platform") or {}), **self.platform()}
        if platform:
            made["platform"] = platform
        if self.annotations:
            made["annotations"] = {**(member.get("annotations") or {}), **self.annotations}
        return made  # type: ignore[return-value]


def find_list(store: Store, text: str) -> Descriptor:
    """The entry of a list; by its name, its digest, or the beginning of that."""
    names = [str(each) for each in images.typed(store, text)]
    digits = text.removeprefix("sha256:")
    other = False
    for entry in layout.references(store):
        named = layout.name_of(entry) in names
        by_digest = digests.is_hex(digits) and entry["digest"][7:].startswith(digits)
        if (named or by_digest) and wholes.is_index(entry):
            return entry
        other = other or named
    if other:
        raise InvalidInput(f'"{text}" is an image, not a manifest list')
    raise NotFound(f"no such manifest list: {text}", f"rcrun manifest create {text}")


def _name_or_none(text: str) -> grammar.Reference | None:
    try:
        return grammar.parse(text)
    except InvalidInput:
        return None


def create(
    context: Context,
    name: str,
    *,
    amend: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """An empty list under this name, or with `amend` the one that is there."""
    reference = images.named(context.store, name)
    layout.init(context.store)
    with _lock(context.store, str(reference)), Lease(context.store) as lease:
        known = _entry(context.store, str(reference))
        if known is not None and not amend:
            raise AlreadyExists(f'"{name}" exists', f"rcrun manifest create --amend {name} …")
        if known is not None:
            return find_list(context.store, name)
        index: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": documents.INDEX,
            "manifests": [],
        }
        if annotations:
            index["annotations"] = dict(annotations)
        entry = blobs.write_document(context.store, index, documents.INDEX, lease=lease)
        layout.add_reference(context.store, entry, str(reference))
        return entry


def _entry(store: Store, name: str) -> Descriptor | None:
    return next((each for each in layout.references(store) if layout.name_of(each) == name), None)


def _lock(store: Store, name: str) -> NamedLock:
    """Of who changes this list: two who add at once both succeed."""
    lock = NamedLock(store, f"list-{digests.of_bytes(name.encode())[7:23]}")
    lock.acquire()
    return lock.held()


def change(
    context: Context,
    text: str,
    action: Callable[[dict[str, Any], dict[str, str]], None],
    lease: Lease,
) -> Descriptor:
    """`action` changes the document of a list, and where its images are from; the new entry, under the same name."""
    store = context.store
    name = layout.name_of(find_list(store, text))
    with _lock(store, name or text):
        entry = find_list(store, name or text)
        index: dict[str, Any] = dict(blobs.read_document(store, entry))
        index["manifests"] = [dict(each) for each in wholes.members(index, entry["digest"])]
        sources = wholes.sources_of(entry)
        action(index, sources)
        media_type = entry["mediaType"]
        made = blobs.write_document(
            store, {**index, "mediaType": media_type}, media_type, lease=lease
        )
        noted = {wholes.SOURCE + digest: reference for digest, reference in sources.items()}
        kept = {
            key: value
            for key, value in (entry.get("annotations") or {}).items()
            if not key.startswith(wholes.SOURCE)
        }
        made["annotations"] = {**kept, **noted}
        layout.add_reference(store, made, name, keep=False)
        if not name and made["digest"] != entry["digest"]:
            layout.remove_nameless(store, {entry["digest"]})
        return made


def add(
    context: Context,
    name: str,
    image: str,
    details: Details,
    access: Access,
    *,
    every: bool = False,
) -> Descriptor:
    """An image, or with `every` all that an index has, becomes a member; one that is in already is replaced."""
    with Lease(context.store) as lease:
        found, source = brought(context, image, details, access, lease, every=every)
        members = [details.applied(each) for each in members_of(context.store, found)]

        def put(index: dict[str, Any], sources: dict[str, str]) -> None:
            new = {member["digest"] for member in members}
            kept = [each for each in index["manifests"] if each["digest"] not in new]
            index["manifests"] = [*kept, *members]
            if source:
                sources.update(dict.fromkeys(new, source))

        return change(context, name, put, lease)


def brought(
    context: Context, image: str, details: Details, access: Access, lease: Lease, *, every: bool
) -> tuple[Whole, str]:
    """The documents of an image in the store, and the reference of one that stays in its registry."""
    from rcrun.engine import imagecopy

    platform = _wanted(details)
    place = _place_of(context.store, image)
    if place.kind == "docker":
        from rcrun.engine.remote import Remote

        with Remote(context, place.reference, access, lease) as remote:
            return remote.bring(remote.top(), platform=platform, every=every), place.name
    found = imagecopy.local(context, place, lease)
    options = imagecopy.Options(every=every, platform=platform)
    return imagecopy.chosen(context, found, options), ""


def _place_of(store: Store, image: str) -> Place:
    """A name that is not here is one of a registry."""
    from rcrun.engine import places

    if _is_here(store, image):
        return places.Place(image, "store", name=image)
    place = places.parse(image)
    if place.kind == "store":
        return places.parse(f"docker://{store.meanings(image)[0]}")
    return place


def _wanted(details: Details) -> str:
    """Of an index, which image: by what is said of it."""
    if not details.arch:
        return ""
    return "/".join(filter(None, (details.os or "linux", details.arch, details.variant)))


def _is_here(store: Store, text: str) -> bool:
    try:
        images.entry_of(store, text)
    except (NotFound, InvalidInput):
        return False
    return True


def members_of(store: Store, found: Whole) -> list[Descriptor]:
    return [_member(store, descriptor, found) for descriptor, _ in found.manifests]


def _member(store: Store, descriptor: Descriptor, found: Whole) -> Descriptor:
    """As the index that it came with has it; else with the platform that its configuration tells."""
    for index in found.indexes:
        for known in blobs.read_document(store, index)["manifests"]:
            if known["digest"] == descriptor["digest"]:
                return dict(known)  # type: ignore[return-value]
    made: dict[str, Any] = dict(wholes.plain(descriptor))
    manifest = blobs.read_document(store, descriptor)
    config = manifest["config"]
    if config.get("mediaType") in documents.CONFIGS:
        value = blobs.read_document(store, config)
        keys = ("architecture", "os", "variant", "os.version", "os.features")
        made["platform"] = {key: value[key] for key in keys if value.get(key)}
    else:
        made["artifactType"] = manifest.get("artifactType") or config.get("mediaType", "")
    return made  # type: ignore[return-value]


def annotate(
    context: Context,
    name: str,
    image: str,
    details: Details,
) -> Descriptor:
    """Say more of a member, named by its digest or as it was added."""
    with Lease(context.store) as lease:

        def put(index: dict[str, Any], sources: dict[str, str]) -> None:
            digest = _member_digest(context.store, name, index, sources, image)
            index["manifests"] = [
                details.applied(each) if each["digest"] == digest else each
                for each in index["manifests"]
            ]

        return change(context, name, put, lease)


def annotate_index(
    context: Context, name: str, annotations: Mapping[str, str], subject: Descriptor | None
) -> Descriptor:
    with Lease(context.store) as lease:

        def put(index: dict[str, Any], sources: dict[str, str]) -> None:
            if annotations:
                index["annotations"] = {**(index.get("annotations") or {}), **annotations}
            if subject is not None:
                index["subject"] = subject

        return change(context, name, put, lease)


def _member_digest(
    store: Store, name: str, index: Mapping[str, Any], sources: Mapping[str, str], text: str
) -> str:
    known: list[str] = [member["digest"] for member in index["manifests"]]
    digits = text.removeprefix("sha256:")
    if digests.is_hex(digits):
        fitting = [digest for digest in known if digest[7:].startswith(digits)]
        if len(fitting) == 1:
            return fitting[0]
    reference = _name_or_none(text.removeprefix("docker://"))
    if reference is not None:
        for digest in known:
            if reference.digest == digest or sources.get(digest) == str(reference):
                return digest
        try:
            found = wholes.whole(store, images.entry_of(store, text))
        except NotFound:
            found = None
        for descriptor, _ in found.manifests if found else ():
            if descriptor["digest"] in known:
                return descriptor["digest"]
    raise NotFound(
        f'list "{name}" has no image "{text}"', f"see its digests: rcrun manifest inspect {name}"
    )


def remove(context: Context, name: str, image: str) -> str:
    """Take a member out; its digest."""
    gone: list[str] = []
    with Lease(context.store) as lease:

        def put(index: dict[str, Any], sources: dict[str, str]) -> None:
            digest = _member_digest(context.store, name, index, sources, image)
            gone.append(digest)
            sources.pop(digest, None)
            index["manifests"] = [each for each in index["manifests"] if each["digest"] != digest]

        change(context, name, put, lease)
    return gone[0]


def remove_list(context: Context, text: str) -> tuple[list[str], str]:
    """Forget a list: the names that are gone, and its digest when it went with the last one."""
    entry = find_list(context.store, text)
    name = layout.name_of(entry)
    if name in map(str, images.typed(context.store, text)):
        layout.remove_reference(context.store, name)
        others = [e for e in layout.references(context.store) if e["digest"] == entry["digest"]]
        return [name], "" if others else entry["digest"]
    gone = layout.remove_image(context.store, entry["digest"])
    return [layout.name_of(each) for each in gone if layout.name_of(each)], entry["digest"]
