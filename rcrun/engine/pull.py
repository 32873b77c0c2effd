"""Pull: an image from a registry, a layout or an archive into the store, unpacked and named.

Documents and blobs come first, each verified; the name is written last, so that a name always means a whole image.
"""

from __future__ import annotations

from rcrun.engine.eventlog import emit
from rcrun.errors import InvalidInput, NotFound, RcrunError, RegistryError, StepFailed
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from typing import Protocol

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.registry.client import Client, Document
    from rcrun.storage.images import Image
    from rcrun.storage.lease import Lease

    class Progress(Protocol):
        """What a person wants to know meanwhile. `advanced` and `downloaded` come from several threads."""

        def begin(self, reference: Reference, typed: str) -> None: ...
        def found(self, reference: Reference) -> None: ...
        def layers(self, present: Sequence[Descriptor], missing: Sequence[Descriptor]) -> None: ...
        def advanced(self, digest: str, done: int) -> None: ...
        def downloaded(self, digest: str) -> None: ...
        def unpacking(self, digest: str) -> None: ...
        def unpacked(self, digest: str) -> None: ...
        def done(self, reference: Reference, digest: str, *, changed: bool) -> None: ...


POLICIES = ("always", "missing", "never", "newer")
_CONFIGS = (documents.CONFIG, documents.DOCKER_CONFIG)


class Silent:
    """Progress for those who do not look."""

    def begin(self, reference: Reference, typed: str) -> None:
        pass

    def found(self, reference: Reference) -> None:
        pass

    def layers(self, present: Sequence[Descriptor], missing: Sequence[Descriptor]) -> None:
        pass

    def advanced(self, digest: str, done: int) -> None:
        pass

    def downloaded(self, digest: str) -> None:
        pass

    def unpacking(self, digest: str) -> None:
        pass

    def unpacked(self, digest: str) -> None:
        pass

    def done(self, reference: Reference, digest: str, *, changed: bool) -> None:
        pass


def pull(
    context: Context,
    text: str,
    *,
    policy: str = "always",
    platform: str = "",
    every: bool = False,
    progress: Progress | None = None,
    access: Access | None = None,
) -> Image:
    """The image that `text` names, brought as the policy says (always, missing, never, newer).

    With `every` an index is kept as it is, with its images for all platforms.
    """
    if policy not in POLICIES:
        raise InvalidInput(f'unknown pull policy "{policy}"', f"use one of {', '.join(POLICIES)}")
    layout.init(context.store)
    local = None if policy == "always" else _local(context, text, platform)
    if local is not None and policy != "newer":
        return local
    if policy == "never":
        raise NotFound(f'image "{text}" is not in the store, and it may not be pulled')
    from rcrun.engine.access import Access

    try:
        image = _fetch(context, text, platform, every, progress or Silent(), access or Access())
    except RegistryError:
        if local is None:
            raise
        return local
    context.drop_blobs(image.descriptor, ask=True)
    return image


def tags(context: Context, text: str, access: Access) -> list[Reference]:
    """All that the registry has of a repository."""
    name = split_transport(text)[1]
    check_repository(name)
    reference = grammar.parse(context.store.meanings(name)[0])
    client, transport = access.connect(context, reference)
    with transport:
        return [grammar.parse(f"{reference.repository}:{tag}") for tag in client.tags()]


def check_repository(text: str) -> None:
    """For --all-tags, of pull and of push: neither tag nor digest."""
    if "@" in text or ":" in text.rpartition("/")[2]:
        raise InvalidInput("tag can't be used with --all-tags/-a", "name the repository alone")


def _local(context: Context, text: str, platform: str) -> Image | None:
    """What the store has under that name; never for an archive, whose name is a path."""
    scheme, text = split_transport(text)
    if scheme != "docker":
        return None
    try:
        return images.find(context.store, text, platform=platform)
    except NotFound:
        return None


def _fetch(
    context: Context, text: str, platform: str, every: bool, progress: Progress, access: Access
) -> Image:
    scheme, rest = split_transport(text)
    if scheme == "docker":
        return _from_registry(context, rest, platform, every, progress, access)
    from rcrun.engine.load import bring

    return bring(context, scheme, rest, platform, progress, access.policy_file)


def split_transport(text: str) -> tuple[str, str]:
    """The transport and the rest; `docker` for a plain reference."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "docker" and rest.startswith("//"):
        return scheme, rest[2:]
    if colon and scheme in ("docker-archive", "oci-archive"):
        return scheme, rest
    if colon and scheme in ("oci", "dir") and _is_path(rest):
        return scheme, rest
    if colon and scheme in ("containers-storage", "docker-daemon", "sif", "ostree", "tarball"):
        raise InvalidInput(
            f'cannot pull from "{text}": transport "{scheme}" is not supported',
            f"rcrun image copy {text} NAME"
            if scheme == "containers-storage"
            else "save the image there into an archive, and run: rcrun load -i ARCHIVE",
        )
    return "docker", text


def _is_path(text: str) -> bool:
    """`oci:latest` may as well be an image named oci."""
    import os

    return "/" in text or text in (".", "..") or os.path.lexists(text.partition(":")[0])


def _from_registry(
    context: Context, typed: str, platform: str, every: bool, progress: Progress, access: Access
) -> Image:
    """From the first registry that has it, where a short name may mean several."""
    names = context.store.meanings(typed)
    failures: list[RcrunError] = []
    for name in names:
        try:
            reference = grammar.parse(name)
            return _from_places(context, reference, typed, platform, every, progress, access)
        except (NotFound, RegistryError) as error:
            if len(names) == 1:
                raise
            failures.append(error)
    reasons = "; ".join(each.message for each in failures)
    raise NotFound(
        f'cannot pull "{typed}" from any registry that it may mean: {reasons}',
        f"type the registry too, as in: rcrun pull {names[0]}",
    )


def _from_places(
    context: Context,
    reference: Reference,
    typed: str,
    platform: str,
    every: bool,
    progress: Progress,
    access: Access,
) -> Image:
    """From the first place that has all of it: the mirrors in order, then the registry."""
    from rcrun.engine.download import Stopped
    from rcrun.engine.trust import check_allowed

    check_allowed(context, reference, access)
    progress.begin(reference, typed)

    def fetch(client: Client) -> Image:
        top = client.manifest(reference.digest or reference.tag)
        one = _RegistryPull(context, client, reference, progress, sources.stop, access)
        return one.run(platform, top, every)

    try:
        with access.sources(context, reference) as sources:
            return sources.first(fetch)
    except Stopped:
        raise RcrunError(f'the pull of "{typed}" was stopped') from None


class _RegistryPull:
    """One pull: from the tag to the manifest, to the blobs, to the layers, to the name."""

    def __init__(
        self,
        context: Context,
        client: Client,
        reference: Reference,
        progress: Progress,
        stop: threading.Event,
        access: Access,
    ) -> None:
        self.context = context
        self.store = context.store
        self.access = access
        self.client = client
        self.reference = reference
        self.progress = progress
        self.stop = stop

    def run(self, platform: str, top: Document, every: bool) -> Image:
        """`top` is what the tag or digest names."""
        from rcrun.engine import pullwhole
        from rcrun.storage.lease import Lease

        self.progress.found(self.reference)
        found = None
        with Lease(self.store) as lease:
            if top.is_index and (every or pullwhole.is_kept_whole(self.store, self.reference)):
                self._check(top)
                found = pullwhole.bring(
                    self.context, self.client, top, platform, lease, self.progress, self.stop
                )
            descriptor = found.top if found else self._bring_one(top, platform, lease)
            changed = self._name(descriptor, top.digest)
        self.progress.done(self.reference, top.digest, changed=changed)
        name = grammar.familiar(self.reference)
        emit(self.store, "image", "pull", name, {"name": name})
        own_name = self._names(top.digest)[0]
        if found:
            return pullwhole.named(self.store, found, own_name, platform)
        return images.find(self.store, own_name)

    def _bring_one(self, top: Document, platform: str, lease: Lease) -> Descriptor:
        manifest = self._manifest_for(top, platform)
        self._check(manifest, top)
        fault = documents.manifest_fault(manifest.value)
        if fault:
            raise self._unusable(fault)
        blobs = [manifest.value["config"], *manifest.value["layers"]]
        lease.add([manifest.digest, *(blob["digest"] for blob in blobs)])
        descriptor = self._write_documents(manifest, platform)
        image = images.load(self.store, descriptor)
        lease.add([], image.chain)
        self._fetch_layers(image)
        unpack(self.context, image, self.progress)
        return descriptor

    def _check(self, *documents: Document) -> None:
        """By the policy, before anything is unpacked: one of them must be signed where it wants signatures."""
        from rcrun.engine.trust import check_pull

        check_pull(self.context, self.client, self.reference, documents, self.access)

    def _manifest_for(self, top: Document, platform: str) -> Document:
        """The manifest of the platform; through indexes, of which there is one in practice."""
        document = top
        for _ in range(images.DEEPEST_INDEX):
            if not document.is_index:
                return document
            try:
                chosen = images.choose(document.value, platform)  # type: ignore[arg-type]
            except NotFound as error:
                name = grammar.familiar(self.reference)
                raise NotFound(f'image "{name}": {error.message}', error.hint) from error
            document = self.client.manifest(chosen["digest"])
        raise self._unusable("its image indexes are nested too deeply")

    def _write_documents(self, manifest: Document, platform: str) -> Descriptor:
        """Manifest and configuration; refused before any layer is fetched if they are of no use."""
        from rcrun.files import parse_json
        from rcrun.storage import blobs

        config = manifest.value["config"]
        media_type = config.get("mediaType", "")
        if media_type not in _CONFIGS:
            raise self._unusable(f'it is an artifact of type "{media_type}", not a container image')
        data = (
            blobs.read_blob(self.store, config)
            if blobs.has_blob(self.store, config)
            else self.client.small_blob(config)
        )
        try:
            value = parse_json(data)
        except ValueError as error:
            raise self._unusable(f"its configuration is not JSON: {error}") from error
        fault = documents.config_fault(value, len(manifest.value["layers"]))
        if fault:
            raise self._unusable(fault)
        self._check_platform(value, platform)
        blobs.write_blob(self.store, data, media_type)
        return blobs.write_blob(self.store, manifest.data, manifest.media_type)

    def _check_platform(self, config: documents.ImageConfig, platform: str) -> None:
        """An image without an index may be for another platform than was asked for."""
        made_for = documents.platform_text(config)  # type: ignore[arg-type]
        if platform and not documents.suits(made_for, platform):
            name = grammar.familiar(self.reference)
            raise NotFound(
                f'image "{name}" is made for "{made_for}", not for "{platform}"',
                "leave out --platform, or ask for another tag",
            )

    def _fetch_layers(self, image: Image) -> None:
        """Those whose layer is unpacked already are needed as well: save and push hand them on."""
        from rcrun.engine.download import fetch_all
        from rcrun.engine.unpackahead import UnpackAhead
        from rcrun.storage.blobs import divided

        drops = self.context.drops_blobs  # else it is whole after a pull
        present, missing = divided(self.store, image.manifest["layers"], dropped_too=drops)
        self.progress.layers(present, missing)
        if missing:
            with UnpackAhead(self.context, image, self.progress, self.stop) as ahead:
                ahead.begin_with(present)
                count = self.context.setting("engine", "image_parallel_copies")
                fetch_all(self.store, self.client, missing, ahead, self.stop, count)

    def _name(self, descriptor: Descriptor, top_digest: str) -> bool:
        """The tag, and `repository@digest` for RepoDigests; whether anything is new."""
        have = {layout.name_of(entry): entry["digest"] for entry in layout.references(self.store)}
        names = self._names(top_digest)
        new = [name for name in names if have.get(name) != descriptor["digest"]]
        for name in new:
            layout.add_reference(self.store, descriptor, name)
        return bool(new)

    def _names(self, top_digest: str) -> list[str]:
        by_digest = str(self.reference.with_digest(top_digest))
        return [by_digest] if self.reference.digest else [str(self.reference), by_digest]

    def _unusable(self, fault: str) -> InvalidInput:
        return InvalidInput(f'image "{grammar.familiar(self.reference)}" cannot be used: {fault}')


def unpack(context: Context, image: Image, progress: Progress) -> None:
    """What is missing of an image's layers."""
    from rcrun.storage import layers

    try:
        layers.ensure(context.store, context.identity, image, progress, most=context.max_size)
    except StepFailed as error:
        from rcrun.engine.work import worded

        raise worded(error) from error
