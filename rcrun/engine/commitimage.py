"""The image that commit makes: its layer, its configuration, its manifest; the name comes last."""

from __future__ import annotations

from rcrun.engine.config_process import OWN_VARIABLES
from rcrun.engine.diff import changes_job
from rcrun.engine.eventlog import container_event
from rcrun.engine.rootfs import Layers
from rcrun.errors import HostLacks, InvalidInput, NotFound, WrongState
from rcrun.storage import committing, images, layers, layout
from rcrun.storage.committing import Draft
from rcrun.storage.containers import now_text, status, time_text
from rcrun.storage.lease import Lease
from rcrun.storage.stillthere import StillThere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.commit import Options
    from rcrun.engine.context import Context
    from rcrun.engine.newlayer import NewLayer
    from rcrun.formats.image import ContainerConfig, Descriptor
    from rcrun.storage.containers import Container
    from rcrun.storage.images import Image


def commit_with(
    new_layer: NewLayer, context: Context, container: Container, name: str, options: Options
) -> str:
    store = context.store
    reference = str(images.named(store, name)) if name else ""
    if options.form not in committing.FORMATS:
        raise InvalidInput(f'invalid format "{options.form}"', "write oci or docker")
    with Lease(store) as lease:
        base = _base(context, container, options, lease)
        with StillThere(container):
            config = _container_config(container, base, options)
            if options.changes:
                from rcrun.formats.imagechange import apply_all

                config = apply_all(config, options.changes)
            diff_ids = [] if base is None else base.config["rootfs"]["diff_ids"]
            layer = _paused(
                container,
                options,
                lambda: _layer(new_layer, context, container, options, lease, diff_ids),
            )
        draft = Draft(_document(context, container, base, config, options))
        if base is not None and not options.squash:
            draft.take_layers(base)
        draft.add_layer(layer)
        descriptor = draft.write(store, options.form, lease)
        image = images.load(store, descriptor)
        if layers.missing(store, context.identity, image):
            from rcrun.engine.pull import Silent, unpack

            unpack(context, image, Silent())
        layout.add_reference(store, descriptor, reference)
    context.drop_blobs(descriptor)
    container_event(container, "commit", imageID=image.config_digest, imageRef=reference)
    return image.config_digest


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


def _paused(container: Container, options: Options, make: Callable[[], Descriptor]) -> Descriptor:
    if not options.pause or status(container).word != "running":
        return make()
    from rcrun.engine.cgroup import freeze

    paused = False
    try:
        freeze(container, status(container), True)
        paused = True
    except (HostLacks, WrongState):
        pass  # it is as if nobody had asked: no command of ours needs it; or it has just ended
    try:
        return make()
    finally:
        # nobody else let it go on, or ended it
        if paused and (now := status(container)).word == "paused":
            freeze(container, now, False)


def _layer(
    new_layer: NewLayer,
    context: Context,
    container: Container,
    options: Options,
    lease: Lease,
    diff_ids: Sequence[str],
) -> Descriptor:
    job = changes_job(context, container)
    if options.squash or not job["lowers"]:
        from rcrun.engine.packed import packed

        steps, job["root"] = Layers(container).merged(context, container)
        return packed(context, job, lease, steps)
    return new_layer.make(job, lease, diff_ids)


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
        if word.partition("=")[0] in known or word.partition("=")[0] not in OWN_VARIABLES
    ]
