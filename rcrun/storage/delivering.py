"""An image, or an index with its images, from the store into files: a layout beside what is there, an archive, skopeo's `dir:`."""

from __future__ import annotations

import fcntl
import os

from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.files import dump_json, open_regular, parse_json, write_file
from rcrun.formats import image as documents
from rcrun.storage import blobs, saving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.wholes import Whole


def to_layout(store: Store, found: Whole, path: str, name: str) -> None:
    """Into an OCI layout, made if it is not there; an image that has this name there loses it."""
    os.makedirs(f"{path}/blobs/sha256", exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # of who writes there as we do
        sink = saving.DirectorySink(path)
        for member in (*found.blobs(), *found.documents()):
            target = f"blobs/sha256/{member['digest'][7:]}"
            if not _is_there(f"{path}/{target}", member) and blobs.can_have(store, member):
                sink.file(target, member["size"], saving.verified(store, member))
        if not os.path.lexists(f"{path}/oci-layout"):
            write_file(f"{path}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        index = _with_entry(_index_of(path), found.top, name)
        write_file(f"{path}/index.json", dump_json(index).encode())
    finally:
        os.close(fd)


def _is_there(path: str, descriptor: Descriptor) -> bool:
    try:
        return os.stat(path).st_size == descriptor["size"]
    except FileNotFoundError:
        return False


def _index_of(path: str) -> dict[str, Any]:
    try:
        with open_regular(f"{path}/index.json") as file:
            index = parse_json(file.read(blobs.MOST_DOCUMENT))
    except FileNotFoundError:
        return {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": []}
    except ValueError as error:
        raise InvalidInput(f'"{path}/index.json" is not JSON: {error}') from error
    if not isinstance(index, dict) or not isinstance(index.get("manifests"), list):
        raise InvalidInput(f'"{path}/index.json" is not an image index')
    return index


def _with_entry(index: dict[str, Any], top: Descriptor, name: str) -> dict[str, Any]:
    """As skopeo does: of entries with one name, or with none, the new one stays."""
    entry: Descriptor = {**top, "annotations": {documents.REF_NAME: name}} if name else top
    kept = [
        old
        for old in index["manifests"]
        if _name_of(old) != name or (not name and old.get("digest") != top["digest"])
    ]
    return {**index, "manifests": [*kept, entry]}


def _name_of(entry: Any) -> str:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    name = annotations.get(documents.REF_NAME) if isinstance(annotations, dict) else ""
    return name if isinstance(name, str) else ""


def to_directory(store: Store, saved: saving.Saved, path: str) -> None:
    """As skopeo does: into a new or empty directory, or over what a copy wrote there before."""
    os.makedirs(path, exist_ok=True)
    if os.listdir(path):
        if not os.path.lexists(f"{path}/version") or not os.path.lexists(f"{path}/manifest.json"):
            raise AlreadyExists(
                f'"{path}" is not empty, and is no copy of an image', "name another directory"
            )
        _empty(path)
    saving.save_directory(store, saved, saving.DirectorySink(path))


def _empty(path: str) -> None:
    import shutil

    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
