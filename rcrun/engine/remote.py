"""What a registry has under a name, brought into the store: an image, an index with all its images, an artifact.

Documents and configurations come at once and are verified; layers when they are asked for, several side by side.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs, images, wholes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from rcrun.engine.access import Access, Found, Sources
    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.registry.client import Client, Document
    from rcrun.storage.lease import Lease
    from rcrun.storage.wholes import Whole


MOST_CONFIG = 4 << 20  # what the client takes for a document


class _Connected:
    """The one place of somebody who has chosen it."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def __exit__(self, *details: object) -> None:
        pass

    def first(self, ask: Callable[[Client], Found]) -> Found:
        return ask(self._client)


class Remote:
    """One reference of one registry, of its mirrors first; a context manager that closes the connections.

    `progress` is told of the blobs that come: `advanced(digest, done)`, `downloaded(digest)`.
    """

    __slots__ = ("_judge", "_sources", "_stop", "lease", "reference", "store")

    def __init__(
        self, context: Context, reference: Reference, access: Access, lease: Lease
    ) -> None:
        from rcrun.engine.trust import check_allowed, check_pull

        check_allowed(context, reference, access)
        self._judge: Callable[[Sequence[Document]], None] = lambda found: self._sources.first(
            lambda client: check_pull(context, client, reference, found, access)
        )
        self.store = context.store
        self.reference = reference
        self.lease = lease
        self._stop: threading.Event | None = None
        self._sources: Sources | _Connected = access.sources(context, reference)

    @classmethod
    def of_client(cls, store: Store, client: Client, lease: Lease, stop: threading.Event) -> Remote:
        """With a connection that somebody else keeps, who has judged it by the policy."""
        made = cls.__new__(cls)
        made.store, made.lease, made._stop = store, lease, stop
        made.reference = client.reference
        made._sources = _Connected(client)
        made._judge = lambda found: None
        return made

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *details: object) -> None:
        self._sources.__exit__(*details)

    def top(self) -> Document:
        return self._manifest(self.reference.digest or self.reference.tag)

    def _manifest(self, target: str) -> Document:
        return self._sources.first(lambda client: client.manifest(target))

    def bring(
        self, top: Document, *, platform: str = "", every: bool = False, index_only: bool = False
    ) -> Whole:
        """Its documents: of an index the image for the platform (empty: this host), with `every` all of them.

        The policy is asked before anything is kept.
        """
        chosen = top if every or index_only else self._chosen(top, platform)
        self._judge([chosen, top])
        self._keep(top)
        descriptor = self._keep(chosen)
        if not index_only:
            self._bring_members(descriptor, images.DEEPEST_INDEX)
        found = wholes.whole(self.store, descriptor)
        for _, manifest in found.manifests:
            self._bring_config(manifest["config"])
        return found

    def fetch(self, descriptors: Iterable[Descriptor], progress: object) -> None:
        """Those of them that the store lacks; foreign layers come from where they say, so not from here."""
        import threading

        from rcrun.engine.download import fetch_all

        wanted = [each for each in descriptors if not documents.is_foreign(each)]
        self.lease.add([each["digest"] for each in wanted])

        def bring(client: Client) -> None:
            absent = [each for each in wanted if not blobs.has_blob(self.store, each)]
            # One's own: a failure elsewhere at this moment must not end it.
            stop = self._stop or threading.Event()
            if absent:
                fetch_all(self.store, client, absent, progress, stop)  # type: ignore[arg-type]

        self._sources.first(bring)

    def _keep(self, document: Document) -> Descriptor:
        return blobs.write_blob(self.store, document.data, document.media_type, lease=self.lease)

    def _chosen(self, top: Document, platform: str) -> Document:
        document = top
        for _ in range(images.DEEPEST_INDEX):
            if not document.is_index:
                return document
            member = images.choose(document.value, platform)  # type: ignore[arg-type]
            document = self._manifest(member["digest"])
        raise self._unusable("its image indexes are nested too deeply")

    def _bring_members(self, descriptor: Descriptor, depth: int) -> None:
        """The documents below an index, each once."""
        if not wholes.is_index(descriptor):
            return
        if depth == 0:
            raise self._unusable("its image indexes are nested too deeply")
        index = blobs.read_document(self.store, descriptor)
        for member in wholes.members(index, descriptor["digest"]):
            self.lease.add([member["digest"]])
            if not blobs.has_blob(self.store, member):
                self._keep(self._manifest(member["digest"]))
            self._bring_members(wholes.plain(member), depth - 1)

    def _bring_config(self, config: Descriptor) -> None:
        """Small, and needed to know what an image is; the large ones of artifacts come with the layers."""
        self.lease.add([config["digest"]])
        if config["size"] <= MOST_CONFIG and not blobs.has_blob(self.store, config):
            data = self._sources.first(lambda client: client.small_blob(config))
            blobs.write_blob(self.store, data, config.get("mediaType", ""), lease=self.lease)

    def _unusable(self, fault: str) -> InvalidInput:
        return InvalidInput(f'image "{grammar.familiar(self.reference)}" cannot be used: {fault}')


def missing(
    store: Store, found: Whole, *, dropped_too: bool = False
) -> tuple[Sequence[Descriptor], Sequence[Descriptor]]:
    """Its layers, as `blobs.divided` has them."""
    layers = (layer for _, manifest in found.manifests for layer in manifest["layers"])
    return blobs.divided(store, layers, dropped_too=dropped_too)
