"""buildx's imagetools: what a registry has under a name, and new names there for what it or others have."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.files import parse_json
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.imagecopy import Progress
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference


class Seen:
    """A manifest or an index as its registry has it."""

    __slots__ = ("_access", "_context", "data", "descriptor", "reference", "value")

    def __init__(self, context: Context, text: str, access: Access) -> None:
        from rcrun.engine.manifestpush import document

        found, data, name = document(context, f"docker://{text}", access)
        self._context = context
        self._access = access
        self.descriptor = found
        self.data = data
        self.reference = grammar.parse(name)
        self.value: dict[str, Any] = parse_json(data)

    @property
    def members(self) -> list[Descriptor]:
        return list(self.value.get("manifests") or ())

    def told(self) -> dict[str, Any]:
        """The descriptor, of an index with its members."""
        return {**self.value, **self.descriptor} if self.members else dict(self.descriptor)

    def configurations(self) -> dict[str, Any]:
        """The image's configuration, or those of an index by their platforms."""
        with self._access.sources(self._context, self.reference) as sources:

            def of(manifest: Mapping[str, Any]) -> dict[str, Any]:
                text = sources.first(lambda client: client.small_blob(manifest["config"]))
                found: dict[str, Any] = parse_json(text)
                return found

            if not self.members:
                return of(self.value)
            found = {}
            for member in self.members:
                platform = documents.platform_text(member.get("platform"))
                if platform and "unknown" not in platform:
                    digest = member["digest"]
                    got = sources.first(lambda client, digest=digest: client.manifest(digest))  # type: ignore[misc]
                    found[platform] = of(got.value)
            return found


class Wanted:
    """What a new name stands for: `names` get an index of `sources`, or of one source what it is."""

    __slots__ = ("annotations", "names", "platforms", "prefer_index", "sources")

    def __init__(
        self,
        names: Sequence[str],
        sources: Sequence[str],
        *,
        annotations: Mapping[str, str],
        platforms: Sequence[str],
        prefer_index: bool,
    ) -> None:
        self.names = [grammar.parse(name) for name in names]
        if any(name.digest for name in self.names):
            raise InvalidInput("a new name has a tag: its digest follows from what it is")
        self.sources = [self._completed(text) for text in sources]
        self.annotations = annotations
        self.platforms = list(platforms)
        self.prefer_index = prefer_index

    def _completed(self, text: str) -> str:
        """A digest alone is one of the repository where it shall get its name."""
        if digests.is_hex(text.removeprefix("sha256:")) and text.startswith("sha256:"):
            repositories = {name.repository for name in self.names}
            if len(repositories) != 1:
                raise InvalidInput(f'in which repository is "{text}"?', f"write NAME@{text}")
            return f"{repositories.pop()}@{text}"
        return text

    def is_a_copy(self, source: Seen) -> bool:
        return (
            not self.annotations
            and not self.platforms
            and bool(source.members or not self.prefer_index)
        )


def create(
    context: Context, wanted: Wanted, progress: Progress, access: Access, *, dry_run: bool
) -> tuple[Descriptor, bytes]:
    """The descriptor and the text of what the new names stand for; with `dry_run` nobody has it."""
    from rcrun.engine import manifestpush, places
    from rcrun.engine.imagecopy import Options
    from rcrun.engine.rmi import finish
    from rcrun.storage import blobs, layout

    layout.init(context.store)
    if len(wanted.sources) == 1:
        source = Seen(context, wanted.sources[0], access)
        if wanted.is_a_copy(source):
            if not dry_run:
                _copy(context, wanted, progress, access)
            return source.descriptor, source.data
    try:
        with Lease(context.store) as lease:
            entry = _index(context, wanted, access, lease)
            data = blobs.read_blob(context.store, entry)
            for name in () if dry_run else wanted.names:
                target = places.parse(f"docker://{name}")
                manifestpush.push_entry(
                    context, entry, str(name), target, Options(every=True), progress, access
                )
    finally:
        finish(context)
    plain: Any = {key: entry[key] for key in ("mediaType", "digest", "size")}
    return plain, data


def _copy(context: Context, wanted: Wanted, progress: Progress, access: Access) -> None:
    from rcrun.engine import imagecopy, places

    for name in wanted.names:
        imagecopy.copy(
            context,
            places.parse(f"docker://{wanted.sources[0]}"),
            places.parse(f"docker://{name}"),
            imagecopy.Options(every=True, preserve=True),
            progress,
            source_access=access,
            target_access=access,
        )


def _index(context: Context, wanted: Wanted, access: Access, lease: Lease) -> Descriptor:
    from rcrun.engine import manifests
    from rcrun.storage import blobs, wholes

    members: dict[str, Descriptor] = {}
    notes = {}
    for text in wanted.sources:
        found, source = manifests.brought(
            context, f"docker://{text}", manifests.Details(), access, lease, every=True
        )
        for member in manifests.members_of(context.store, found):
            if not wanted.platforms or _platform(member) in wanted.platforms:
                members[member["digest"]] = member
                notes[wholes.SOURCE + member["digest"]] = source
    if not members:
        raise InvalidInput(f"no source has an image for {', '.join(wanted.platforms)}")
    is_oci = any(".oci." in member["mediaType"] for member in members.values())
    media_type = documents.INDEX if is_oci or wanted.annotations else documents.DOCKER_INDEX
    index: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    index["manifests"] = list(members.values())
    if wanted.annotations:
        index["annotations"] = dict(wanted.annotations)
    entry = blobs.write_document(context.store, index, media_type, lease=lease)
    entry["annotations"] = notes
    return entry


def _platform(member: Descriptor) -> str:
    return documents.platform_text(member.get("platform"))


def repositories(names: Sequence[Reference]) -> list[str]:
    return sorted({name.repository for name in names})
