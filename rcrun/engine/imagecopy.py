"""image copy: between any two places, through the store's blobs, where nothing gets a name that was not asked for.

A blob that the destination has is not even fetched. What came along for the copy is collected afterwards.
"""

from __future__ import annotations

import os

from rcrun.engine.push import Sender, Wishes, prepared
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout, wholes
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.places import Place
    from rcrun.engine.push import Progress as PushProgress
    from rcrun.engine.signing import Signing
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.storage.saving import Saved
    from rcrun.storage.wholes import Whole

    class Progress(PushProgress, Protocol):
        """Of what is fetched, too."""

        def downloaded(self, digest: str) -> None: ...
        def writing(self) -> None: ...

    Fetch = Callable[[Iterable[Descriptor]], None]


class Options:
    """`every`: an index with all its images; `index_only`: nothing of what it names."""

    __slots__ = (
        "additional_tags", "every", "index_only", "origins", "platform", "preserve", "signing", "wishes",
    )  # fmt: skip

    def __init__(
        self,
        *,
        every: bool = False,
        index_only: bool = False,
        platform: str = "",
        preserve: bool = False,
        additional_tags: Sequence[str] = (),
        wishes: Wishes | None = None,
        signing: Signing | None = None,
    ) -> None:
        self.signing = signing
        self.every = every
        self.index_only = index_only
        self.platform = platform
        self.preserve = preserve
        self.additional_tags = list(additional_tags)
        self.wishes = wishes or Wishes()
        self.origins: dict[str, Reference] = {}  # of blobs: a repository that has them


def copy(
    context: Context,
    source: Place,
    target: Place,
    options: Options,
    progress: Progress,
    *,
    source_access: Access,
    target_access: Access,
) -> str:
    """The digest of the manifest or the index that the destination has now."""
    from contextlib import ExitStack

    from rcrun.engine.download import Stopped
    from rcrun.engine.rmi import finish

    _check_target(target)
    layout.init(context.store)
    try:
        with ExitStack() as stack:
            lease = stack.enter_context(Lease(context.store))
            found, fetch = _brought(context, source, options, progress, source_access, lease, stack)
            if found.absent and not options.index_only:
                raise NotFound(
                    f'"{source.text}" lacks {len(found.absent)} of the images that its index names',
                    "leave out --all, or copy the index alone: --multi-arch index-only",
                )
            found = as_wanted(context, found, fetch, options, target, lease)
            progress.writing()
            deliver(context, found, target, options, progress, target_access, lease, fetch)
    except Stopped:
        raise RcrunError(f'the copy of "{source.text}" was stopped') from None
    finally:
        finish(context)
    if target.kind == "store":
        context.drop_blobs(found.top, ask=True)
    context.drop_again()
    return found.top["digest"]


def _check_target(target: Place) -> None:
    if target.kind == "containers-storage":
        raise InvalidInput(
            "podman's own storage is read only",
            "write an archive, and let podman take it: podman load -i FILE",
        )
    if (
        target.kind == "docker-archive"
        and os.path.exists(target.path)
        and os.path.getsize(target.path)
    ):
        raise InvalidInput(f'"{target.path}" exists: a docker archive is not added to', "remove it")


# ---- sources


def _brought(
    context: Context,
    source: Place,
    options: Options,
    progress: Progress,
    access: Access,
    lease: Lease,
    stack: object,
) -> tuple[Whole, Fetch]:
    """Its documents in the store, and what fetches the blobs that may be missing."""
    if source.kind == "docker":
        from rcrun.engine.remote import Remote

        remote = Remote(context, source.reference, access, lease)
        stack.enter_context(remote)  # type: ignore[attr-defined]
        found = remote.bring(
            remote.top(),
            platform=options.platform,
            every=options.every,
            index_only=options.index_only,
        )
        options.origins = dict.fromkeys(found.digests(), source.reference)
        return found, lambda wanted: remote.fetch(wanted, progress)
    return chosen(context, local(context, source, lease, access.policy_file), options), _nothing


def _nothing(wanted: Iterable[Descriptor]) -> None:
    pass


def local(context: Context, source: Place, lease: Lease, policy_file: str = "") -> Whole:
    """What is on this host, its blobs in the store."""
    store = context.store
    if source.kind == "store":
        found = wholes.whole(store, images.entry_of(store, source.name))
    elif source.kind == "containers-storage":
        from rcrun.engine.podmanstore import bring

        found = wholes.whole(store, bring(context, source.name, lease))
    else:
        from rcrun.engine.trust import check_local
        from rcrun.storage import archive

        archive.check_kind(source.kind, source.path)
        try:
            brought = archive.brought(store, source.path, lease, source.name)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InvalidInput(
                f'cannot read "{error.filename or source.path}": {reason}'
            ) from error
        archive.check_one(source.kind, source.path, brought)
        found = wholes.whole(store, brought[0].descriptor)
        location = f"{source.path}:{source.name}" if source.name else source.path
        for manifest, _ in found.manifests:
            check_local(context, source.kind, location, manifest["digest"], policy_file)
    lease.add(found.digests())
    wholes.check_blobs(store, found, foreign_too=False)
    return found


def chosen(context: Context, found: Whole, options: Options) -> Whole:
    """Of an index the image for the platform, unless all of them are wanted."""
    if not found.is_index or options.every or options.index_only:
        return found
    image = images.load(context.store, found.top, options.platform)
    return wholes.whole(context.store, images.manifest_of(context.store, image))


def as_wanted(
    context: Context,
    found: Whole,
    fetch: Fetch,
    options: Options,
    target: Place,
    lease: Lease,
) -> Whole:
    """With the format and the compression that were asked for; layers for a registry are compressed."""
    wishes = options.wishes
    wishes.plain = target.kind != "docker" and not wishes.compression
    asked = wishes.form or wishes.compression or target.kind == "docker"
    if options.preserve or options.index_only or not asked:
        return found
    if wishes.force or any(
        _is_plain(layer) for _, each in found.manifests for layer in each["layers"]
    ):
        fetch(found.blobs())
    top = prepared(context.store, found.top, wishes, lease)
    made = wholes.whole(context.store, top)
    lease.add(made.digests())
    return made


def _is_plain(layer: Descriptor) -> bool:
    return not layer.get("mediaType", "").endswith(("gzip", "zstd"))


# ---- destinations


def deliver(
    context: Context,
    found: Whole,
    target: Place,
    options: Options,
    progress: PushProgress,
    access: Access,
    lease: Lease,
    fetch: Fetch,
) -> None:
    from rcrun.engine.signing import check_place

    check_place(target.kind, options.signing)
    if target.kind == "docker":
        _to_registry(context, found, target, options, progress, access, fetch)
        return
    if not options.index_only:
        fetch(found.blobs())
    if target.kind == "store":
        _to_store(context, found, target, lease)
        return
    try:
        _to_files(context, found, target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RcrunError(f'cannot write "{error.filename or target.path}": {reason}') from error


def _to_registry(
    context: Context,
    found: Whole,
    target: Place,
    options: Options,
    progress: PushProgress,
    access: Access,
    fetch: Fetch,
) -> None:
    import threading

    from rcrun.engine.download import sleeper
    from rcrun.engine.signing import signer_of
    from rcrun.registry.upload import Uploader

    reference = target.reference
    if reference.digest and reference.digest != found.top["digest"]:
        raise InvalidInput(
            f'"{target.text}" cannot be that digest: what is copied is "{found.top["digest"]}"',
            "name a tag",
        )
    signer = signer_of(context, reference, options.signing)
    stop = threading.Event()
    client, transport = access.connect(context, reference, sleeper(stop))
    progress.begin(reference)
    with transport:
        sender = Sender(
            context.store, Uploader(client), reference, progress, stop, lambda one: fetch([one])
        )
        sender.signer = signer
        sender.others.note(options.origins)
        tags = [_tag_of(tag) for tag in options.additional_tags]
        sender.run(found.top, *tags, index_only=options.index_only)


def _tag_of(text: str) -> str:
    """skopeo takes a whole reference, of which the tag counts."""
    return grammar.parse(text).tag if ":" in text else text


def _to_store(context: Context, found: Whole, target: Place, lease: Lease) -> None:
    from rcrun.engine.pull import Silent, unpack

    if target.reference.digest:
        raise InvalidInput(f'cannot name an image "{target.text}": a digest is computed, not given')
    wholes.check_blobs(context.store, found, foreign_too=True)
    if _is_image(found):
        image = wholes.image_or_index(context.store, found.top)
        if not wholes.stands_for_index(image):
            lease.add([], image.chain)
            unpack(context, image, Silent())
    layout.add_reference(context.store, found.top, target.name)


def _is_image(found: Whole) -> bool:
    return all(
        manifest["config"].get("mediaType") in documents.CONFIGS for _, manifest in found.manifests
    )


def _to_files(context: Context, found: Whole, target: Place) -> None:
    from rcrun.engine.export import OutputFile
    from rcrun.engine.save import write_archive
    from rcrun.storage import delivering
    from rcrun.storage.saving import Saved

    store = context.store
    if target.kind == "oci":
        delivering.to_layout(store, found, target.path, target.name)
    elif target.kind == "dir":
        delivering.to_directory(store, Saved(None, [], found), target.path)
    else:
        saved = _archived(context, found, target)
        with OutputFile(target.path) as file:
            write_archive(store, [saved], file.fd, docker=target.kind == "docker-archive")


def _archived(context: Context, found: Whole, target: Place) -> Saved:
    from rcrun.storage.saving import Saved

    if target.kind == "oci-archive":
        return Saved(None, [], found, target.name)
    if found.is_index:
        raise InvalidInput(
            "a docker archive has no room for an index",
            "write oci-archive:FILE, or leave out --all",
        )
    if not _is_image(found):
        raise InvalidInput("a docker archive has no room for an artifact", "write oci-archive:FILE")
    names = [target.reference] if target.name else []
    return Saved(images.load(context.store, found.top), names, found)
