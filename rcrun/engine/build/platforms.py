"""Images for several platforms as one: the index that names them, in the store, in a file, in a registry."""

from __future__ import annotations

from rcrun.formats import image as documents
from rcrun.storage import blobs, images, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.build.request import Built, Made
    from rcrun.engine.context import Context
    from rcrun.engine.push import Progress, Pushed, Wishes
    from rcrun.engine.signing import Signing
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.storage.images import Image
    from rcrun.storage.lease import Lease


def normalised(platform: str) -> str:
    """`amd64` is linux/amd64; nothing is this host's."""
    architecture, variant = images.wanted(platform)
    return "/".join(word for word in ("linux", architecture, variant) if word)


def write_index(
    store: Store,
    members: Sequence[Descriptor],
    form: str,
    lease: Lease,
    annotations: dict[str, str] | None = None,
) -> Descriptor:
    media_type = documents.DOCKER_INDEX if form == "docker" else documents.INDEX
    index: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": list(members),
    }
    if annotations:
        index["annotations"] = annotations
    return blobs.write_document(store, index, media_type, lease=lease)


def member(image: Image, store: Store) -> Descriptor:
    """How an index tells of it."""
    config: dict[str, Any] = {**image.config}
    platform = {"architecture": config.get("architecture", ""), "os": config.get("os", "linux")}
    platform |= {
        key: config[key] for key in ("variant", "os.version", "os.features") if config.get(key)
    }
    described: Any = {**images.manifest_of(store, image), "platform": platform}
    made: Descriptor = described
    return made


def compressed(store: Store, made: Made, wishes: Wishes | None, lease: Lease) -> Image:
    """As it goes out; it stays here as it is."""
    if wishes is None:
        return made.image
    from rcrun.engine.push import prepared

    return images.load(store, prepared(store, images.manifest_of(store, made.image), wishes, lease))


def add_to_list(
    store: Store, name: str, members: Sequence[Descriptor], form: str, lease: Lease
) -> Descriptor:
    """The index that has this name with these images besides, or in the places of those for the same platforms."""
    before: list[Descriptor] = []
    for entry in layout.references(store):
        if layout.name_of(entry) == name:
            document = blobs.read_document(store, entry)
            if isinstance(document, dict) and "manifests" in document:
                before = document["manifests"]
    new = {documents.platform_text(each.get("platform")) for each in members}
    kept = [each for each in before if documents.platform_text(each.get("platform")) not in new]
    return write_index(store, [*kept, *members], form, lease)


def push_index(
    context: Context,
    outgoing: Sequence[Image],
    destination: Reference,
    form: str,
    progress: Progress,
    access: Access,
    lease: Lease,
    signing: Signing | None = None,
) -> Pushed:
    """Each image under its digest, then the index under the name."""
    import threading

    from rcrun.engine.download import sleeper
    from rcrun.engine.push import Sender
    from rcrun.engine.signing import signer_of
    from rcrun.registry.upload import Uploader

    store = context.store
    signer = signer_of(context, destination, signing)
    stop = threading.Event()
    client, transport = access.connect(context, destination, sleeper(stop))
    with transport:
        progress.begin(destination)
        index = write_index(store, [member(image, store) for image in outgoing], form, lease)
        sender = Sender(store, Uploader(client), destination, progress, stop)
        sender.signer = signer
        return sender.run(index)


def push_built(
    context: Context,
    built: Built,
    destination: Reference,
    form: str,
    wishes: Wishes | None,
    progress: Progress,
    access: Access,
    signing: Signing | None = None,
) -> Pushed:
    """What a build has kept, under this name: an image, or an index with its images."""
    from rcrun.engine.push import push
    from rcrun.storage.lease import Lease

    if len(built.made) == 1:
        typed = built.made[0].image.config_digest
        return push(
            context,
            typed,
            destination,
            wishes=wishes,
            progress=progress,
            access=access,
            signing=signing,
        )
    with Lease(context.store) as lease:
        for each in built.made:
            members = [each.image.manifest["config"], *each.image.manifest["layers"]]
            lease.add([each.image.digest, *(one["digest"] for one in members)])
        outgoing = [compressed(context.store, each, wishes, lease) for each in built.made]
        return push_index(context, outgoing, destination, form, progress, access, lease, signing)
