"""Manifest lists into registries and files, and what a registry has under a name, shown as it is."""

from __future__ import annotations

from rcrun.engine import imagecopy, manifests
from rcrun.errors import NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, images, wholes
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.imagecopy import Options, Progress
    from rcrun.engine.places import Place
    from rcrun.engine.remote import Remote
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.storage.wholes import Whole


class Origins:
    """Where the blobs of a list are that are not here; connections are made when they are needed."""

    def __init__(
        self, context: Context, access: Access, lease: Lease, stack: ExitStack, progress: Progress
    ) -> None:
        import threading

        self._lock = threading.Lock()  # layers go out side by side
        self._context = context
        self._access = access
        self._lease = lease
        self._stack = stack
        self._progress = progress
        self._remotes: dict[str, Remote] = {}
        self.of: dict[str, Reference] = {}

    def note(self, found: Whole, sources: dict[str, str]) -> None:
        for descriptor, manifest in found.manifests:
            source = sources.get(descriptor["digest"])
            if source:
                reference = grammar.parse(source)
                for member in (manifest["config"], *manifest["layers"]):
                    self.of.setdefault(member["digest"], reference)

    def check(self, store: Any, found: Whole) -> None:
        for member in found.blobs():
            if member["digest"] not in self.of and not documents.is_foreign(member):
                wholes.check_blob(store, member)

    def fetch(self, wanted: Iterable[Descriptor]) -> None:
        absent: dict[str, list[Descriptor]] = {}
        for each in wanted:
            if each["digest"] in self.of and not blobs.has_blob(self._context.store, each):
                absent.setdefault(str(self.of[each["digest"]]), []).append(each)
        for name, members in absent.items():
            self._remote(name).fetch(members, self._progress)

    def _remote(self, name: str) -> Remote:
        from rcrun.engine.remote import Remote

        with self._lock:
            if name not in self._remotes:
                remote = Remote(self._context, grammar.parse(name), self._access, self._lease)
                self._remotes[name] = self._stack.enter_context(remote)
            return self._remotes[name]


def push(
    context: Context,
    text: str,
    target: Place,
    options: Options,
    progress: Progress,
    access: Access,
) -> str:
    """A list and, unless only the index is wanted, all its images; the digest that it has there."""
    entry = manifests.find_list(context.store, text)
    return push_entry(context, entry, text, target, options, progress, access)


def push_entry(
    context: Context,
    entry: Descriptor,
    text: str,
    target: Place,
    options: Options,
    progress: Progress,
    access: Access,
) -> str:
    """The same of a list that need have no name; `text` is for errors."""
    from contextlib import ExitStack

    from rcrun.engine.download import Stopped
    from rcrun.engine.rmi import finish

    try:
        with ExitStack() as stack:
            lease = stack.enter_context(Lease(context.store))
            found = wholes.whole(context.store, entry)
            lease.add(found.digests())
            if found.absent and not options.index_only:
                raise NotFound(
                    f'manifest "{found.absent[0]["digest"]}" of list "{text}" is not in the store',
                    "pull it with --all-platforms, or push the index alone: --all=false",
                )
            origins = Origins(context, access, lease, stack, progress)
            origins.note(found, wholes.sources_of(entry))
            origins.check(context.store, found)
            options.origins = origins.of
            found = imagecopy.as_wanted(context, found, origins.fetch, options, target, lease)
            progress.writing()
            imagecopy.deliver(
                context, found, target, options, progress, access, lease, origins.fetch
            )
    except Stopped:
        raise RcrunError(f'the push of "{text}" was stopped') from None
    finally:
        finish(context)
    return found.top["digest"]


def document(context: Context, text: str, access: Access) -> tuple[Descriptor, bytes, str]:
    """A list or a manifest of the store, else of a registry: descriptor, bytes, and the reference."""
    local = text.removeprefix("docker://")
    if local == text:
        try:
            entry = _entry(context, text)
            return entry, blobs.read_blob(context.store, entry), local
        except NotFound:
            pass
    reference = grammar.parse(context.store.meanings(local)[0])
    target = reference.digest or reference.tag
    with access.sources(context, reference) as sources:
        got = sources.first(lambda client: client.manifest(target))
    descriptor: Descriptor = {
        "mediaType": got.media_type,
        "digest": got.digest,
        "size": len(got.data),
    }
    return descriptor, got.data, str(reference)


def _entry(context: Context, text: str) -> Descriptor:
    try:
        return wholes.plain(manifests.find_list(context.store, text))
    except (NotFound, RcrunError):
        return wholes.plain(images.entry_of(context.store, text))
