"""--cache-from and --cache-to: what steps made, found in and sent to a registry or a directory, by the same keys as in the store.

One manifest holds many steps: its configuration is `{"version": 1, "steps": {KEY: {"diff_id", "created"}}}`, its layers have their
diffIDs in an annotation. In podman's form each step has a manifest of its own, tagged with its key. An image that was built with
type=inline has the steps in its configuration.
"""

from __future__ import annotations

from rcrun.engine.build.cache import Result
from rcrun.engine.build.state import Layer
from rcrun.errors import NotFound, RcrunError, RegistryError
from rcrun.files import parse_json
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.formats.registriesconf import Blocked
from rcrun.storage import blobs, saving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.build.closing import Closing
    from rcrun.engine.build.request import Request
    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.formats.buildwords import Words
    from rcrun.formats.image import Descriptor
    from rcrun.registry.client import Client
    from rcrun.storage.lease import Lease

    Step = dict[str, Any]
    Open = Callable[[Descriptor], Iterator[bytes]]

CONFIG = "application/vnd.rcrun.buildcache.config.v1+json"
INLINE = "io.rcrun.buildcache"
DIFF_ID = "io.rcrun.diff-id"
VERSION = 1


class Found:
    """Steps of one manifest: `steps` by key, `layers` by diffID, and how to read one."""

    __slots__ = ("layers", "open", "steps")

    def __init__(
        self, steps: Mapping[str, Step], layers: Mapping[str, Descriptor], read: Open
    ) -> None:
        self.steps = steps
        self.layers = layers
        self.open = read


def found_in(manifest: Any, config: Any, read: Open) -> Found | None:
    """None for what holds no steps of ours."""
    if documents.manifest_fault(manifest) or not isinstance(config, dict):
        return None
    own = config if manifest["config"].get("mediaType") == CONFIG else config.get(INLINE)
    if not isinstance(own, dict) or own.get("version") != VERSION:
        return None
    steps = own.get("steps")
    if not isinstance(steps, dict):
        return None
    if own is config:
        diff_ids = [(one.get("annotations") or {}).get(DIFF_ID, "") for one in manifest["layers"]]
    else:
        diff_ids = (config.get("rootfs") or {}).get("diff_ids") or []
    layers: dict[str, Descriptor] = dict(zip(diff_ids, manifest["layers"], strict=False))
    return Found({k: v for k, v in steps.items() if _is_step(v)}, layers, read)


def _is_step(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("created"), str):
        return False
    return value.get("diff_id") is None or digests.is_sha256(value["diff_id"])


class Remote:
    """All sources and targets of one build; used by several threads. What cannot be reached is a warning, not an error."""

    def __init__(
        self, context: Context, request: Request, lease: Lease, connections: Closing
    ) -> None:
        import threading

        self.context = context
        self.request = request
        self.lease = lease
        self.connections = connections
        self._lock = threading.Lock()
        self._sources: list[Callable[[str], Found | None]] | None = None

    # ---- from

    def find(self, key: str) -> Result | None:
        if not self.request.caching.sources:
            return None
        with self._lock:
            if self._sources is None:
                self._sources = [
                    source
                    for words in self.request.caching.sources
                    for source in self._guarded(words)
                ]
        for source in self._sources:
            found = source(key)
            if found is None or key not in found.steps:
                continue
            result = self._brought(found, found.steps[key])
            if result is not None:
                return result
        return None

    def _guarded(self, words: Words) -> list[Callable[[str], Found | None]]:
        try:
            return self._source(words)
        except (RcrunError, OSError) as error:
            reason = error.message if isinstance(error, RcrunError) else str(error)
            self.context.warn(f'cannot use the cache "{words.text}": {reason}', None)
            return []

    def _source(self, words: Words) -> list[Callable[[str], Found | None]]:
        if words.kind == "local":
            found = _in_directory(words.get("src"))
            return [lambda key: found]
        reference = grammar.parse(words.get("ref"))
        clients, whole = self._answering(reference, words)
        sources: list[Callable[[str], Found | None]] = []
        if whole is not None:
            sources.append(lambda key: whole)
        if words.kind == "plain" and not _has_tag(words.get("ref")):
            sources += [_steps_of(client) for client in clients]
        elif whole is None:
            raise NotFound("it holds no build cache of rcrun")
        return sources

    def _answering(
        self, reference: grammar.Reference, words: Words
    ) -> tuple[list[Client], Found | None]:
        """The places that answer, mirrors and the registry itself, and the cache that the first has under this name."""
        access = _access(self.request, words)
        failures: list[RcrunError] = []
        clients: list[Client] = []
        whole = None
        for place in access.registries(self.context.environ).pull_places(reference):
            try:
                client, transport = access.connect_to(self.context, place, reference)
                self.connections.enter_context(transport)
                whole = whole or _in_registry(client, reference.digest or reference.tag)
                clients.append(client)
            except (RegistryError, Blocked) as error:
                failures.append(error)
        if not clients:
            raise failures[-1]
        return clients, whole

    def _brought(self, found: Found, step: Step) -> Result | None:
        """Into the store, where the next build finds it; a layer is what its diffID says, or an error."""
        diff_id = step.get("diff_id")
        if diff_id is None:
            return Result(None, step["created"])
        descriptor = found.layers.get(diff_id)
        if descriptor is None:
            return None
        try:
            return Result(self._layer(diff_id, descriptor, found.open), step["created"])
        except (RcrunError, OSError) as error:
            reason = error.message if isinstance(error, RcrunError) else str(error)
            self.context.warn(f'cannot use the layer "{diff_id}" of a cache: {reason}', None)
            return None

    def _layer(self, diff_id: str, descriptor: Descriptor, read: Open) -> Layer:
        import os

        from rcrun.storage.compression import decompressed, reader_of

        store = self.context.store
        self.lease.add([diff_id])
        if not os.path.exists(store.blob_path(diff_id)):
            with blobs.BlobWriter(store, lease=self.lease) as blob:
                for data in decompressed(reader_of(read(descriptor))):
                    blob.write(data)
                if blob.digest != diff_id:
                    raise RcrunError(f'its digest is "{blob.digest}"')
                return Layer(blob.commit(documents.LAYER), diff_id)
        size = os.stat(store.blob_path(diff_id)).st_size
        plain: Descriptor = {"mediaType": documents.LAYER, "digest": diff_id, "size": size}
        return Layer(plain, diff_id)

    # ---- to

    def export(self, state: State, made: Mapping[str, Result]) -> None:
        """`made`: the steps of all stages."""
        for words in self.request.caching.targets:
            if words.kind == "inline":
                continue  # it is in the image
            steps = made if words.get("mode") == "max" else state.steps
            if words.kind == "local":
                self._to_directory(words, steps)
            elif words.kind == "plain" and not _has_tag(words.get("ref")):
                for key, result in steps.items():
                    self._to_registry(words, {key: result}, key)
            else:
                self._to_registry(words, steps, grammar.parse(words.get("ref")).tag)

    def _manifest(self, words: Words, steps: Mapping[str, Result]) -> Descriptor:
        from rcrun.engine.build.outputs import wishes_of
        from rcrun.engine.push import compressed_layer

        wishes = wishes_of(words)
        layers: dict[str, Descriptor] = {}
        for result in steps.values():
            if result.layer is not None and result.layer.diff_id not in layers:
                plain = result.layer.descriptor
                sent = (
                    compressed_layer(self.context.store, plain, wishes, self.lease)
                    if wishes is not None
                    else plain
                )
                annotations = {DIFF_ID: result.layer.diff_id}
                layers[result.layer.diff_id] = {**sent, "annotations": annotations}
        config = {"version": VERSION, "steps": steps_document(steps)}
        store = self.context.store
        manifest = {
            "schemaVersion": 2,
            "mediaType": documents.MANIFEST,
            "config": blobs.write_document(store, config, CONFIG, lease=self.lease),
            "layers": list(layers.values()),
        }
        return blobs.write_document(store, manifest, documents.MANIFEST, lease=self.lease)

    def _to_registry(self, words: Words, steps: Mapping[str, Result], tag: str) -> None:
        import threading

        from rcrun.engine.push import Sender
        from rcrun.registry.upload import Uploader

        named = grammar.parse(words.get("ref"))
        reference = grammar.Reference(named.domain, named.path, tag)
        client, transport = _access(self.request, words).connect(self.context, reference)
        self.connections.enter_context(transport)
        uploader = Uploader(client)
        sender = Sender(self.context.store, uploader, reference, _Silent(), threading.Event())
        sender.run(self._manifest(words, steps))

    def _to_directory(self, words: Words, steps: Mapping[str, Result]) -> None:
        import os

        from rcrun.files import dump_json
        from rcrun.storage.saving import DirectorySink

        path = words.get("dest")
        store = self.context.store
        descriptor = self._manifest(words, steps)
        manifest = blobs.read_document(store, descriptor)
        sink = DirectorySink(path)
        try:
            os.makedirs(path, exist_ok=True)
            for each in (descriptor, manifest["config"], *manifest["layers"]):
                name = f"blobs/sha256/{each['digest'][7:]}"
                if not os.path.exists(f"{path}/{name}"):
                    sink.file(name, each["size"], saving.verified(store, each))
            index = {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": [descriptor]}
            for name, value in (
                ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                ("index.json", index),
            ):
                data = dump_json(value).encode()
                sink.file(name, len(data), iter([data]))
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise RcrunError(
                f'--cache-to: cannot write "{error.filename or path}": {reason}'
            ) from error


def steps_document(steps: Mapping[str, Result]) -> dict[str, Step]:
    return {
        key: {"diff_id": result.layer.diff_id if result.layer else None, "created": result.created}
        for key, result in steps.items()
    }


def _has_tag(text: str) -> bool:
    return ":" in text.rpartition("/")[2] or "@" in text


def _access(request: Request, words: Words) -> Access:
    from rcrun.engine.access import Access

    given = request.access or Access()
    return given.insecurely() if words.has("registry.insecure") else given


def _steps_of(client: Client) -> Callable[[str], Found | None]:
    return lambda key: _in_registry(client, key)


def _in_registry(client: Client, target: str) -> Found | None:
    """None where there is nothing of the name, or something else."""
    try:
        document = client.manifest(target)
    except NotFound:
        return None
    except RegistryError as error:
        if getattr(error, "status", 0) == 404:
            return None
        raise
    if document.is_index or documents.manifest_fault(document.value):
        return None
    config = parse_json(client.small_blob(document.value["config"]))
    return found_in(document.value, config, client.blob)


def _in_directory(path: str) -> Found:
    """Of an OCI image layout whose one manifest is a cache."""
    import os

    def read(descriptor: Descriptor) -> Iterator[bytes]:
        digest = descriptor["digest"]
        if not digests.is_sha256(digest):
            raise RcrunError(f'"{digest}" is no digest')
        with open(f"{path}/blobs/sha256/{digest[7:]}", "rb") as file:
            while data := file.read(1 << 20):
                yield data

    def document(descriptor: Descriptor) -> Any:
        data = b"".join(read(descriptor))
        if digests.of_bytes(data) != descriptor["digest"]:
            raise RcrunError(f'the blob "{descriptor["digest"]}" does not match its digest')
        return parse_json(data)

    if not os.path.isdir(path):
        raise NotFound(f'"{path}" is not a directory')
    try:
        with open(f"{path}/index.json", "rb") as file:
            entry = parse_json(file.read())["manifests"][0]
        manifest = document(entry)
        found = found_in(manifest, document(manifest["config"]), read)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise RcrunError(f'"{path}" is not a build cache: {error}') from error
    if found is None:
        raise NotFound("it holds no build cache of rcrun")
    return found


class _Silent:
    """A push that nobody looks at."""

    def __getattr__(self, name: str) -> Any:
        return lambda *words: None
