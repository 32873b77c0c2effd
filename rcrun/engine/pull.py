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
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.registry.client import Client, Document
    from rcrun.registry.credentials import Credentials
    from rcrun.registry.transport import Transport
    from rcrun.storage.images import Image

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


class Access:
    """How to reach a registry; empty values mean what the environment says."""

    __slots__ = ("authfile", "cert_dir", "credentials", "verify")

    def __init__(
        self,
        *,
        verify: bool = True,
        credentials: Credentials | None = None,
        authfile: str = "",
        cert_dir: str = "",
    ) -> None:
        self.verify = verify
        self.credentials = credentials
        self.authfile = authfile
        self.cert_dir = cert_dir

    def connect(
        self,
        context: Context,
        reference: Reference,
        sleep: Callable[[float], object] | None = None,
    ) -> tuple[Client, Transport]:
        """The caller closes the transport; `sleep` makes the pauses between tries."""
        import time

        from rcrun.registry.client import connect

        return connect(
            reference,
            context.environ,
            verify=self.verify,
            credentials=self.credentials,
            authfile=self.authfile,
            cert_dir=self.cert_dir,
            sleep=sleep or time.sleep,
        )


def pull(
    context: Context,
    text: str,
    *,
    policy: str = "always",
    platform: str = "",
    progress: Progress | None = None,
    access: Access | None = None,
) -> Image:
    """The image that `text` names, brought as the policy says (always, missing, never, newer)."""
    if policy not in POLICIES:
        raise InvalidInput(f'unknown pull policy "{policy}"', f"use one of {', '.join(POLICIES)}")
    layout.init(context.store)
    local = None if policy == "always" else _local(context, text, platform)
    if local is not None and policy != "newer":
        return local
    if policy == "never":
        raise NotFound(f'image "{text}" is not in the store, and it may not be pulled')
    try:
        return _fetch(context, text, platform, progress or Silent(), access or Access())
    except RegistryError:
        if local is None:
            raise
        return local


def tags(context: Context, text: str, access: Access) -> list[Reference]:
    """All that the registry has of a repository."""
    reference = grammar.parse(split_transport(text)[1])
    if reference.digest or ":" in text.rpartition("/")[2]:
        raise InvalidInput("tag can't be used with --all-tags/-a", "name the repository alone")
    client, transport = access.connect(context, reference)
    with transport:
        return [grammar.parse(f"{reference.repository}:{tag}") for tag in client.tags()]


def _local(context: Context, text: str, platform: str) -> Image | None:
    """What the store has under that name; never for an archive, whose name is a path."""
    scheme, text = split_transport(text)
    if scheme != "docker":
        return None
    try:
        return images.find(context.store, text, platform=platform)
    except NotFound:
        return None


def _fetch(context: Context, text: str, platform: str, progress: Progress, access: Access) -> Image:
    scheme, rest = split_transport(text)
    if scheme == "docker":
        return _from_registry(context, rest, platform, progress, access)
    from rcrun.engine.load import bring

    return bring(context, scheme, rest, platform, progress)


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
            "save the image there into an archive, and run: rcrun load -i ARCHIVE",
        )
    return "docker", text


def _is_path(text: str) -> bool:
    """`oci:latest` may as well be an image named oci."""
    import os

    return "/" in text or text in (".", "..") or os.path.lexists(text.partition(":")[0])


def _from_registry(
    context: Context, typed: str, platform: str, progress: Progress, access: Access
) -> Image:
    import threading

    from rcrun.engine.download import Stopped, sleeper

    reference = grammar.parse(typed)
    progress.begin(reference, typed)
    stop = threading.Event()
    client, transport = access.connect(context, reference, sleeper(stop))
    with transport:
        try:
            return _RegistryPull(context, client, reference, progress, stop).run(platform)
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
    ) -> None:
        self.context = context
        self.store = context.store
        self.client = client
        self.reference = reference
        self.progress = progress
        self.stop = stop

    def run(self, platform: str) -> Image:
        from rcrun.storage.lease import Lease

        top = self.client.manifest(self.reference.digest or self.reference.tag)
        self.progress.found(self.reference)
        with Lease(self.store) as lease:
            manifest = self._manifest_for(top, platform)
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
            changed = self._name(descriptor, top.digest)
        self.progress.done(self.reference, top.digest, changed=changed)
        name = grammar.familiar(self.reference)
        emit(self.store, "image", "pull", name, {"name": name})
        return images.find(self.store, self._names(top.digest)[0])

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
        from rcrun.storage.blobs import has_blob

        unique = {layer["digest"]: layer for layer in image.manifest["layers"]}
        missing = [layer for layer in unique.values() if not has_blob(self.store, layer)]
        present = [layer for layer in unique.values() if layer not in missing]
        self.progress.layers(present, missing)
        if missing:
            with UnpackAhead(self.context, image, self.progress, self.stop) as ahead:
                ahead.begin_with(present)
                fetch_all(self.store, self.client, missing, ahead, self.stop)

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
