"""Images of podman's own store (containers-storage:), read as they lie there: each layer as the tar that it was made of."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.files import read_json_or_none
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import blobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.storage.lease import Lease

DRIVERS = ("overlay", "vfs")
MOST_LAYERS = documents.MOST_LAYERS


class PodmanStore:
    def __init__(self, root_dir: str, driver: str) -> None:
        self.root_dir = root_dir
        self.driver = driver

    def images(self) -> list[dict[str, Any]]:
        return _list(f"{self.root_dir}/{self.driver}-images/images.json")

    def layers(self) -> dict[str, dict[str, Any]]:
        folder = f"{self.root_dir}/{self.driver}-layers"
        known = _list(f"{folder}/layers.json") + _list(f"{folder}/volatile-layers.json")
        return {str(layer.get("id")): layer for layer in known}

    def big_data(self, image_id: str, key: str) -> bytes:
        """A document of an image; its file is named as the library does it."""
        import base64

        plain = all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in key)
        name = key if plain else "=" + base64.b64encode(key.encode()).decode()
        path = f"{self.root_dir}/{self.driver}-images/{image_id}/{name}"
        try:
            with open(path, "rb") as file:
                return file.read(blobs.MOST_DOCUMENT)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(f'cannot read "{path}": {reason}') from error

    def diff_dir(self, layer_id: str) -> str:
        if self.driver == "vfs":
            return f"{self.root_dir}/vfs/dir/{layer_id}"
        return f"{self.root_dir}/overlay/{layer_id}/diff"

    def split_path(self, layer_id: str) -> str:
        return f"{self.root_dir}/{self.driver}-layers/{layer_id}.tar-split.gz"


def _list(path: str) -> list[dict[str, Any]]:
    try:
        value = read_json_or_none(path)
    except (ValueError, OSError) as error:
        raise InvalidInput(f'cannot read "{path}": {error}') from error
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def bring(context: Context, text: str, lease: Lease) -> Descriptor:
    """The image's manifest, its blobs in our store; layers as podman has them, not compressed."""
    store, name = find_store(context.environ, text)
    image = find_image(store, name)
    manifest = _document(store, image, "manifest")
    fault = documents.manifest_fault(manifest)
    if fault:
        raise InvalidInput(f'image "{name}" of podman cannot be used: {fault}')
    data = store.big_data(str(image["id"]), manifest["config"]["digest"])
    if digests.of_bytes(data) != manifest["config"]["digest"]:
        raise RcrunError(f'the configuration of image "{name}" of podman was changed or damaged')
    blobs.write_blob(context.store, data, documents.CONFIG, lease=lease)
    config = blobs.read_document(context.store, manifest["config"])
    fault = documents.config_fault(config, len(manifest["layers"]))
    if fault:
        raise InvalidInput(f'image "{name}" of podman cannot be used: {fault}')
    layers = [
        _layer(context, store, layer, diff_id, lease)
        for layer, diff_id in zip(
            _chain(store, image, len(manifest["layers"])),
            config["rootfs"]["diff_ids"],
            strict=True,
        )
    ]
    made = {
        **manifest,
        "mediaType": documents.MANIFEST,
        "config": {**manifest["config"], "mediaType": documents.CONFIG},
        "layers": layers,
    }
    return blobs.write_document(context.store, made, documents.MANIFEST, lease=lease)


def _document(store: PodmanStore, image: Mapping[str, Any], key: str) -> Any:
    from rcrun.files import parse_json

    try:
        return parse_json(store.big_data(str(image["id"]), key))
    except ValueError as error:
        raise InvalidInput(f'the {key} of podman\'s image "{image["id"]}" is not JSON') from error


# ---- found


def find_store(environ: Mapping[str, str], text: str) -> tuple[PodmanStore, str]:
    """`[DRIVER@ROOT[+RUNROOT][:OPTIONS]]NAME`, or NAME in the store that podman would use."""
    driver, root, name = "", "", text
    if text.startswith("["):
        inside, bracket, name = text[1:].partition("]")
        if not bracket:
            raise InvalidInput(
                f'invalid place "containers-storage:{text}"', "write [DRIVER@DIR]NAME"
            )
        driver, _, root = inside.rpartition("@")
        root = root.partition("+")[0]
    root = root or default_root(environ)
    for each in [driver] if driver else DRIVERS:
        if os.path.isdir(f"{root}/{each}-images"):
            return PodmanStore(root, each), name
    raise NotFound(
        f'"{root}" is no store of podman', "name another one: containers-storage:[overlay@DIR]NAME"
    )


def default_root(environ: Mapping[str, str]) -> str:
    """What storage.conf says, else podman's own default."""
    uid = os.geteuid()
    home = environ.get("HOME", "/")
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    files = [environ.get("CONTAINERS_STORAGE_CONF", "")]
    if uid:
        files += [f"{config}/containers/storage.conf"]
        shared = _configured("/etc/containers/storage.conf", "rootless_storage_path")
    else:
        files += ["/etc/containers/storage.conf"]
        shared = ""
    for path in filter(None, files):
        found = _configured(path, "graphroot")
        if found:
            return _expanded(found, environ, uid)
    if shared:
        return _expanded(shared, environ, uid)
    return f"{data}/containers/storage" if uid else "/var/lib/containers/storage"


def _expanded(path: str, environ: Mapping[str, str], uid: int) -> str:
    values = {"HOME": environ.get("HOME", "/"), "UID": str(uid), "USER": environ.get("USER", "")}
    for key, value in values.items():
        path = path.replace(f"${key}", value).replace(f"${{{key}}}", value)
    return path


def _configured(path: str, key: str) -> str:
    """A text in the table [storage] of a TOML file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return ""
    table = ""
    for line in lines:
        if line.startswith("["):
            table = line.partition("]")[0].lstrip("[").strip()
        name, equals, value = line.partition("=")
        if table == "storage" and equals and name.strip() == key:
            quote = value.strip()[:1]
            return value.strip()[1:].partition(quote)[0] if quote in ('"', "'") else ""
    return ""


def find_image(store: PodmanStore, text: str) -> dict[str, Any]:
    known = store.images()
    name, _, image_id = text.rpartition("@") if "@sha256:" not in text else (text, "", "")
    wanted = _names(name or text)
    for image in known:
        if wanted & set(image.get("names") or []):
            return image
    digits = (image_id or text).removeprefix("sha256:")
    fitting = [
        image
        for image in known
        if digests.is_hex(digits) and str(image.get("id", "")).startswith(digits)
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(str(name) for image in known for name in image.get("names") or [])
    raise NotFound(
        f'podman has no image "{text}" in "{store.root_dir}"', f"it has {names or 'none'}"
    )


def _names(text: str) -> set[str]:
    """Podman gives a short name to localhost when it builds, and to docker.io when it pulls."""
    try:
        full = grammar.parse(text)
        local = grammar.parse(f"localhost/{text}")
    except InvalidInput:
        return set()
    return {str(full), str(local)}


# ---- layers


def _chain(store: PodmanStore, image: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """The layers of an image, bottom first."""
    known = store.layers()
    found: list[dict[str, Any]] = []
    layer_id = str(image.get("layer") or "")
    while layer_id and len(found) < MOST_LAYERS:
        if layer_id not in known:
            raise NotFound(f'podman\'s store "{store.root_dir}" lacks layer "{layer_id}"')
        found.append(known[layer_id])
        layer_id = str(known[layer_id].get("parent") or "")
    if len(found) != count:
        raise InvalidInput(
            f'podman\'s store has {len(found)} layers of image "{image["id"]}", its manifest {count}'
        )
    return found[::-1]


def _layer(
    context: Context, store: PodmanStore, layer: Mapping[str, Any], diff_id: str, lease: Lease
) -> Descriptor:
    from rcrun.engine.work import worker_events
    from rcrun.storage.scratch import Scratch

    size = layer.get("diff-size")
    known: Descriptor = {
        "mediaType": documents.LAYER,
        "digest": diff_id,
        "size": size if isinstance(size, int) else -1,
    }
    lease.add([diff_id])
    if blobs.can_have(context.store, known):
        return known
    layer_id = str(layer["id"])
    scratch = Scratch(context.store, "blob")
    scratch.make_file(0o644)
    try:
        words = ["tar-split", store.split_path(layer_id), store.diff_dir(layer_id)]
        told = {}
        for event in worker_events(context, words, stream_fd=scratch.fd):
            told.update(event)
        if told.get("digest") != diff_id:
            raise RcrunError(
                f'layer "{layer_id[:12]}" of podman\'s store is not what its image names: '
                f'"{told.get("digest")}", not "{diff_id}"'
            )
        known["size"] = told["size"]
        scratch.move_to(context.store.blob_path(diff_id))
    finally:
        scratch.drop()
    return known
