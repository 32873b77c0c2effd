"""commit: an image of what a container is now, which runs at once."""

from __future__ import annotations

import os

from rcrun.engine.diff import changes_job, worker_events
from rcrun.engine.eventlog import container_event
from rcrun.engine.newlayer import new_layer
from rcrun.engine.pull import Silent, unpack
from rcrun.engine.rootfs import Layers
from rcrun.errors import HostLacks, InvalidInput, NotFound, WrongState
from rcrun.files import dump_json
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import committing, images, layout
from rcrun.storage.blobs import BlobWriter
from rcrun.storage.committing import Draft
from rcrun.storage.containers import now_text, status, time_text
from rcrun.storage.lease import Lease
from rcrun.storage.stillthere import StillThere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.image import ContainerConfig, Descriptor
    from rcrun.storage.containers import Container
    from rcrun.storage.images import Image

CHUNK = 1 << 20
# What a start puts into the environment by itself.
_OWN_VARIABLES = ("HOSTNAME", "HOME", "TERM", "container")


class Options:
    """`pause` a container that runs, where it has a cgroup of its own. `config` wins over the container's, `changes` over both."""

    __slots__ = ("author", "changes", "config", "form", "message", "pause", "squash", "volumes")

    def __init__(
        self,
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        form: str = "oci",
        squash: bool = False,
        pause: bool = True,
        config: Mapping[str, Any] | None = None,
        volumes: bool = False,
    ) -> None:
        self.author = author
        self.message = message
        self.changes = changes
        self.form = form
        self.squash = squash
        self.pause = pause
        self.config = config or {}
        self.volumes = volumes  # whether the places of its volumes are in the image's configuration


def commit(context: Context, container: Container, name: str, options: Options) -> str:
    """The new image's id; `name` may be empty."""
    from rcrun.formats.imagechange import apply_all

    reference = _reference(name)
    if options.form not in committing.FORMATS:
        raise InvalidInput(f'invalid format "{options.form}"', "write oci or docker")
    store = context.store
    layout.init(store)
    with Lease(store) as lease:
        base = _base(context, container, options, lease)
        with StillThere(container):
            config = apply_all(_container_config(container, base, options), options.changes)
            diff_ids = [] if base is None else base.config["rootfs"]["diff_ids"]
            layer = _paused_layer(context, container, options, lease, diff_ids)
        draft = Draft(_document(context, container, base, config, options))
        if base is not None and not options.squash:
            draft.take_layers(base)
        draft.add_layer(layer)
        descriptor = draft.write(store, options.form, lease)
        image = images.load(store, descriptor)
        unpack(context, image, Silent())
        layout.add_reference(store, descriptor, reference)
    if context.drops_blobs:
        from rcrun.engine.dropping import after

        after(context, descriptor)
    container_event(container, "commit", imageID=image.config_digest, imageRef=reference)
    return image.config_digest


def _reference(name: str) -> str:
    if not name:
        return ""
    reference = grammar.parse(name)
    if reference.digest:
        raise InvalidInput(f'cannot name an image "{name}": a digest is computed, not given')
    return str(reference)


def _base(context: Context, container: Container, options: Options, lease: Lease) -> Image | None:
    digest = container.record.get("manifest_digest")
    if not digest:
        return None  # its root is a directory
    try:
        return committing.base_image(context.store, digest, lease)
    except NotFound:
        if options.squash:
            return None
        raise


# ---- the layer


def _paused_layer(
    context: Context,
    container: Container,
    options: Options,
    lease: Lease,
    diff_ids: Sequence[str] = (),
) -> Descriptor:
    if not options.pause or status(container).word != "running":
        return _layer(context, container, options, lease, diff_ids)
    from rcrun.engine.cgroup import freeze

    paused = False
    try:
        freeze(container, status(container), True)
        paused = True
    except (HostLacks, WrongState):
        pass  # it is as if nobody had asked: no command of ours needs it; or it has just ended
    try:
        return _layer(context, container, options, lease, diff_ids)
    finally:
        if (
            paused and (now := status(container)).word == "paused"
        ):  # nobody else let it go on, or ended it
            freeze(container, now, False)


def _layer(
    context: Context,
    container: Container,
    options: Options,
    lease: Lease,
    diff_ids: Sequence[str],
) -> Descriptor:
    job = changes_job(context, container)
    if options.squash or not job["lowers"]:
        steps, job["root"] = Layers(container).merged(context, container)
        return packed(context, "export", job, lease, steps)
    return new_layer(context, job, lease, diff_ids)


def packed(
    context: Context,
    command: str,
    job: dict[str, Any],
    lease: Lease,
    steps: list[list[str]] | None = None,
) -> Descriptor:
    """The blob of a layer, which a worker writes."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        with BlobWriter(context.store, lease=lease) as blob:

            def take() -> None:
                os.close(writer)
                while data := os.read(reader, CHUNK):
                    blob.write(data)

            words = [command, dump_json(job)]
            for _ in worker_events(
                context, words, steps=steps or [], stream_fd=writer, started=take
            ):
                pass
            return blob.commit(documents.LAYER)
    finally:
        os.close(reader)


# ---- the documents


def _document(
    context: Context,
    container: Container,
    base: Image | None,
    config: ContainerConfig,
    options: Options,
) -> dict[str, Any]:
    created = _now(context.environ)
    before: dict[str, Any] = dict(base.config) if base is not None else {}
    architecture, variant = images.wanted("")
    document: dict[str, Any] = {
        "architecture": before.get("architecture") or architecture,
        "os": before.get("os") or "linux",
        "created": created,
        "config": config,
        "history": [
            *([] if options.squash else before.get("history") or []),
            _history(container, created, options),
        ],
    }
    if before.get("variant") or (variant and not before):
        document["variant"] = before.get("variant") or variant
    if options.author or before.get("author"):
        document["author"] = options.author or before["author"]
    return document


def _history(container: Container, created: str, options: Options) -> dict[str, str]:
    record = container.record
    words = [*(record.get("entrypoint") or []), *(record.get("command") or [])]
    entry = {"created": created, "created_by": " ".join(map(str, words))}
    if options.author:
        entry["author"] = options.author
    if options.message:
        entry["comment"] = options.message
    return entry


def _now(environ: Mapping[str, str]) -> str:
    """SOURCE_DATE_EPOCH, if it is set: the same container gives the same image then."""
    text = environ.get("SOURCE_DATE_EPOCH", "")
    return time_text(int(text) * 1_000_000_000) if text.isdecimal() else now_text()


def _container_config(
    container: Container, base: Image | None, options: Options
) -> ContainerConfig:
    """The image's, and what the container was made with."""
    record, spec = container.record, container.config()
    process = spec.get("process") or {}
    before: ContainerConfig = (base.config.get("config") if base is not None else None) or {}
    config: dict[str, Any] = {**before}
    found: dict[str, Any] = {
        "Cmd": record.get("command"),
        "Entrypoint": record.get("entrypoint"),
        "Env": _environment(before.get("Env") or [], process.get("env") or []),
        "Labels": record.get("labels"),
        "User": record.get("user"),
        "Healthcheck": record.get("healthcheck"),
        "ExposedPorts": {str(port): {} for port in record.get("exposed") or []},
    }
    for key, value in found.items():
        if value:
            config[key] = value
        elif key in ("Cmd", "Entrypoint") and value is not None:
            config.pop(key, None)
    if (process.get("cwd") or "/") != (config.get("WorkingDir") or "/"):
        config["WorkingDir"] = process["cwd"]
    mounts = record.get("mounts") or [] if options.volumes else []
    places: dict[str, Any] = {
        mount["destination"]: {} for mount in mounts if mount["type"] == "volume"
    }
    if places:
        config["Volumes"] = {**(config.get("Volumes") or {}), **places}
    config.update(options.config)
    return config  # type: ignore[return-value]


def _environment(before: Sequence[str], now: Sequence[str]) -> list[str]:
    known = {word.partition("=")[0] for word in before}
    return [
        word
        for word in now
        if word.partition("=")[0] in known or word.partition("=")[0] not in _OWN_VARIABLES
    ]
