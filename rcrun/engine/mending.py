"""How `system check --repair` mends each kind of fault; nobody's own data goes without --force."""

from __future__ import annotations

import os

from rcrun.errors import InUse, NotFound, RcrunError
from rcrun.files import unlink_if_there, write_file
from rcrun.storage import checkcontainers, checkimages, containers, images, layers, layout, volumes
from rcrun.storage.claims import ContainerLock, claim_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container
    from rcrun.storage.faults import Fault
    from rcrun.storage.images import Image


class Mended:
    """What was done, in words; `complete` is false when something is left for people to do: `hint`."""

    __slots__ = ("complete", "hint", "text")

    def __init__(self, text: str, *, complete: bool = True, hint: str = "") -> None:
        self.text = text
        self.complete = complete
        self.hint = hint


def mend(context: Context, fault: Fault, *, force: bool = False) -> Mended | None:
    """None: nothing was done. An RcrunError tells why it could not be."""
    if not fault.mend or (fault.loses and not force):
        return None
    return _WAYS[fault.mend](context, *fault.words)


# Images.


def _layout(context: Context) -> Mended:
    write_file(context.store.path("oci-layout"), b'{"imageLayoutVersion":"1.0.0"}\n')
    for name in layout.DIRECTORIES:
        os.makedirs(context.store.path(name), 0o700, exist_ok=True)
    return Mended("made anew")


def _entries(context: Context) -> Mended:
    layout.rewrite(context.store)
    return Mended("the entries are gone")


def _index(context: Context) -> Mended:
    """Names are known of what containers were made of; the rest is listed without a name."""
    store = context.store
    path, aside = store.path("index.json"), store.path("index.json.damaged")
    if os.path.lexists(path):
        os.replace(path, aside)
    layout.rewrite(store)
    names: dict[str, set[str]] = {}
    for container in containers.every(store):
        if container.record.get("image") and container.record.get("manifest_digest"):
            digest = str(container.record["manifest_digest"])
            names.setdefault(digest, set()).add(str(container.record["image"]))
    count = 0
    for descriptor in checkimages.manifests_here(store):
        count += 1
        for name in sorted(names.get(descriptor["digest"], {""})):
            layout.add_reference(store, descriptor, name)  # type: ignore[arg-type]
    return Mended(
        f"made anew of {count} images; those that no container was made of have lost their names",
        complete=False,
        hint="pull them again, or name them: rcrun tag ID NAME",
    )


def _blob(context: Context, name: str, *users: str) -> Mended:
    unlink_if_there(context.store.blob_path(f"sha256:{name}"))
    if not users:
        return Mended("removed")
    pulls = ", ".join(f"rcrun pull {user}" for user in users if not user.startswith("sha256:"))
    return Mended("removed", complete=False, hint=pulls or "load or build the image again")


def _layer(context: Context, kind: str, chain: str) -> Mended:
    """Out of the way, and unpacked anew. Nobody may change the lowers of a container that runs."""
    store, identity = context.store, context.identity
    running = [
        container.name
        for container in containers.every(store)
        if (kind, chain) in checkcontainers.lowers(container)
        and containers.status(container).is_running
    ]
    if running:
        raise InUse(
            f"containers stand on it that run: {' '.join(running)}",
            f"rcrun stop {' '.join(running)}, then check again",
        )
    image = next((each for each in images.every(store) if chain in each.chain), None)
    if kind != identity.layer_kind():
        layers.discard(store, kind, chain)
        return Mended("removed: who needs it unpacks it again")
    if image is None:
        raise NotFound("no image here has this layer", "pull the image again, then check again")
    from rcrun.storage.comparing import can_unpack

    _bring_blob(context, image, chain)
    can_unpack(store, image, chain)
    with layers.gate(store):
        layers.discard(store, kind, chain)
        layers.ensure(store, identity, image)
    return Mended("unpacked anew")


def _bring_blob(context: Context, image: Image, chain: str) -> None:
    try:
        context.store.bring(image.manifest["layers"][image.chain.index(chain)]["digest"])
    except RcrunError as error:
        context.warn(error.message, error.hint)


# Containers.


def _loaded(context: Context, container_id: str) -> Container:
    container = containers.load(context.store, container_id)
    if container is None:
        raise NotFound("it was removed meanwhile")
    return container


def _container(context: Context, container_id: str) -> Mended:
    from rcrun.engine.rm import Removal

    removal = Removal(context, force=True)
    removal.take(container_id)
    removal.finish()
    return Mended("the container was removed with its data")


def _directory(context: Context, container_id: str, base: str) -> Mended:
    container = _loaded(context, container_id)
    with ContainerLock(container):
        lowers = checkcontainers.lowers(container)
        path = container.path(base)
        if not os.path.isdir(path):
            os.mkdir(path, 0o700 if base == "work" else 0o755)
        if base == "upper" and lowers:
            os.chmod(path, os.stat(f"{context.store.layer_dir(*lowers[0])}/diff").st_mode & 0o7777)
    return Mended("made anew, empty")


def _bound_file(context: Context, container_id: str, base: str) -> Mended:
    container = _loaded(context, container_id)
    hostname = str(container.config().get("hostname") or container.id[:12])
    texts = {
        "hostname": lambda: f"{hostname}\n",
        "hosts": lambda: (
            f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t{hostname} {container.name}\n"
        ),
        "resolv.conf": _resolv_conf,
    }
    with ContainerLock(container):
        write_file(container.path(base), texts[base]().encode())
    return Mended("made anew; what --add-host or --dns had put there is not in it")


def _resolv_conf() -> str:
    from rcrun.files import read_text

    return read_text("/etc/resolv.conf")


def _name(context: Context, container_id: str, name: str) -> Mended:
    container = _loaded(context, container_id)
    with ContainerLock(container):
        try:
            claim_name(context.store, name, container_id)
        except RcrunError:
            other = f"{name}-{container_id[:6]}"
            claim_name(context.store, other, container_id)
            container.record["name"] = other
            container.save()
            return Mended(f'another container has that name: it is called "{other}" now')
    return Mended("the name leads to it again")


def _pod_name(context: Context, pod_id: str, name: str) -> Mended:
    from rcrun.storage import pods

    with pods.PodLock(pods.find(context.store, pod_id)):
        pods.claim_name(context.store, name, pod_id)
    return Mended("the name leads to it again")


def _live_state(context: Context, container_id: str) -> Mended:
    from rcrun.engine.cleanup import tidy

    container = _loaded(context, container_id)
    with ContainerLock(container):
        now = containers.status(container)
        if now.is_running or now.monitor:
            return Mended("it was started again")
        tidy(container)
    return Mended("removed")


# Volumes, and what is nothing.


def _volume(context: Context, name: str) -> Mended:
    volumes.make(context.store, name, containers.now_text())
    return Mended("an empty volume was made", complete=True)


def _volume_record(context: Context, name: str) -> Mended:
    with volumes.VolumeLock(context.store, name):
        unlink_if_there(f"{context.store.volume_dir(name)}/volume.json")
    return Mended("the record was removed: it is a plain volume now")


def _volume_data(context: Context, name: str) -> Mended:
    os.makedirs(f"{context.store.volume_dir(name)}/_data", 0o755, exist_ok=True)
    return Mended("an empty one was made")


def _trash(context: Context, path: str) -> Mended:
    from rcrun.engine.rm import remove_trees

    remove_trees(context, [path])
    return Mended("removed")


def _sweep(context: Context) -> Mended:
    from rcrun.engine.systemprune import sweep

    sweep(context)
    return Mended("swept")


_WAYS: dict[str, Callable[..., Mended]] = {
    "blob": _blob,
    "bound-file": _bound_file,
    "container": _container,
    "directory": _directory,
    "entries": _entries,
    "index": _index,
    "layer": _layer,
    "layout": _layout,
    "live-state": _live_state,
    "name": _name,
    "pod-name": _pod_name,
    "sweep": _sweep,
    "trash": _trash,
    "volume": _volume,
    "volume-data": _volume_data,
    "volume-record": _volume_record,
}
