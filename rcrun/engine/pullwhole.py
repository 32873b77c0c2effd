"""A pull that keeps an index as it is, with its images for all platforms."""

from __future__ import annotations

from rcrun.engine.remote import Remote, missing
from rcrun.errors import RcrunError
from rcrun.storage import images, layout, wholes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

    from rcrun.engine.context import Context
    from rcrun.engine.pull import Progress
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.registry.client import Client, Document
    from rcrun.storage.images import Image
    from rcrun.storage.lease import Lease
    from rcrun.storage.wholes import Whole


def is_kept_whole(store: Store, reference: Reference) -> bool:
    """A name that means an index with all that it names does so after the next pull, too."""
    name = str(reference)
    for entry in layout.references(store):
        if layout.name_of(entry) == name and wholes.is_index(entry):
            try:
                return not wholes.whole(store, entry).absent
            except RcrunError:
                return False
    return False


def bring(
    context: Context,
    client: Client,
    top: Document,
    platform: str,
    lease: Lease,
    progress: Progress,
    stop: threading.Event,
) -> Whole:
    """All its images; the one for this host is unpacked, if there is one."""
    from rcrun.engine.pull import unpack

    remote = Remote.of_client(context.store, client, lease, stop)
    found = remote.bring(top, every=True)
    here, absent = missing(context.store, found, dropped_too=context.drops_blobs)
    progress.layers(here, absent)
    remote.fetch([each for each in found.blobs() if each not in here], progress)
    image = wholes.image_or_index(context.store, found.top, platform)
    if not wholes.stands_for_index(image):
        lease.add([], image.chain)
        unpack(context, image, progress)
    return found


def named(store: Store, found: Whole, name: str, platform: str) -> Image:
    """Once it has its name: images that were known without one are now parts of it."""
    layout.remove_nameless(store, {manifest["digest"] for manifest, _ in found.manifests})
    return wholes.image_or_index(store, images.entry_of(store, name), platform)
