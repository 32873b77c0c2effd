"""Images out of the store, their blobs byte for byte: as an archive that docker and OCI tools read, or as a directory.

Every blob is verified on its way. The same images give the same bytes.
"""

from __future__ import annotations

import os

from rcrun.errors import NotFound, RcrunError
from rcrun.files import dump_json, write_all
from rcrun.formats import image as documents
from rcrun.storage import tarheader, tarwrite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Protocol

    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.storage.images import Image
    from rcrun.storage.tarwrite import TarWriter
    from rcrun.storage.wholes import Whole

    class Sink(Protocol):
        """Where files go; a name is written once."""

        def file(self, name: str, size: int, data: Iterator[bytes]) -> None: ...


CHUNK = 1 << 20
DIRECTORY_VERSION = b"Directory Transport Version: 1.1\n"


class Saved:
    """An image, or an index with what is here of its images, and the names that it shall have there.

    `image` is the one for this host, which docker's documents tell of; none of an index without one. `tag` is a
    name in an OCI archive that need not be a reference.
    """

    __slots__ = ("image", "names", "tag", "whole")

    def __init__(
        self, image: Image | None, names: Sequence[Reference], whole: Whole, tag: str = ""
    ) -> None:
        self.image = image
        self.names = list(names)
        self.whole = whole
        self.tag = tag


class TarSink:
    def __init__(self, writer: TarWriter) -> None:
        self.writer = writer

    def file(self, name: str, size: int, data: Iterator[bytes]) -> None:
        entry = tarwrite.member(name.encode(), tarheader.FILE, 0o644)
        entry.size = entry.real_size = size
        self.writer.add(entry, data)


class DirectorySink:
    def __init__(self, path: str) -> None:
        self.path = path

    def file(self, name: str, size: int, data: Iterator[bytes]) -> None:
        path = f"{self.path}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        aside = f"{path}.{os.getpid()}~"
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            for piece in data:
                write_all(fd, piece)
        except BaseException:
            os.unlink(aside)
            raise
        finally:
            os.close(fd)
        os.rename(aside, path)


def save_layout(store: Store, saved: Sequence[Saved], sink: Sink, *, docker: bool) -> None:
    """An OCI image layout; with `docker` also the documents that `docker load` looks for, as docker writes them."""
    written: set[str] = set()
    for each in saved:
        for member in (*each.whole.documents(), *each.whole.blobs()):
            _put_blob(store, member, f"blobs/sha256/{member['digest'][7:]}", sink, written)
    _put(sink, "index.json", _index(saved))
    if docker:
        _put(sink, "manifest.json", [_docker_entry(each) for each in saved if each.image])
    _put(sink, "oci-layout", {"imageLayoutVersion": "1.0.0"})
    repositories = _repositories(saved)
    if docker and repositories:
        _put(sink, "repositories", repositories)


def save_directory(store: Store, saved: Saved, sink: Sink) -> None:
    """What `skopeo copy … dir:PATH` writes."""
    written: set[str] = set()
    for member in saved.whole.blobs():
        _put_blob(store, member, member["digest"][7:], sink, written)
    for document in saved.whole.documents():
        if document["digest"] != saved.whole.top["digest"]:
            _put_blob(store, document, f"{document['digest'][7:]}.manifest.json", sink, written)
    _put_blob(store, saved.whole.top, "manifest.json", sink, written)
    sink.file("version", len(DIRECTORY_VERSION), iter([DIRECTORY_VERSION]))


def _put(sink: Sink, name: str, value: Any) -> None:
    data = dump_json(value).encode()
    sink.file(name, len(data), iter([data]))


def _put_blob(
    store: Store, descriptor: Descriptor, name: str, sink: Sink, written: set[str]
) -> None:
    if name in written or _stays_away(store, descriptor):
        return
    written.add(name)
    sink.file(name, descriptor["size"], verified(store, descriptor))


def _stays_away(store: Store, descriptor: Descriptor) -> bool:
    """A layer that whoever needs it fetches elsewhere."""
    return documents.is_foreign(descriptor) and not os.path.lexists(
        store.blob_to_read(descriptor["digest"])
    )


def verified(store: Store, descriptor: Descriptor) -> Iterator[bytes]:
    import hashlib

    digest, left = descriptor["digest"], descriptor["size"]
    content = hashlib.sha256()
    store.bring(digest)
    try:
        with open(store.blob_to_read(digest), "rb", buffering=0) as file:
            while left and (data := file.read(min(left, CHUNK))):
                content.update(data)
                left -= len(data)
                yield data
            longer = file.read(1)
    except FileNotFoundError:
        raise NotFound(
            f'blob "{digest}" is not in the store', "pull or load its image again"
        ) from None
    if left or longer or f"sha256:{content.hexdigest()}" != digest:
        raise RcrunError(
            f'blob "{digest}" does not match its digest: its content was changed or damaged',
            "pull or load its image again",
        )


def _index(saved: Sequence[Saved]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for each in saved:
        descriptor: dict[str, Any] = {**each.whole.top}
        for name in each.names:
            full = str(name)
            annotations = {documents.REF_NAME: full, documents.CONTAINERD_NAME: full}
            entries.append({**descriptor, "annotations": annotations})
        if each.tag:
            entries.append({**descriptor, "annotations": {documents.REF_NAME: each.tag}})
        elif not each.names:
            entries.append(descriptor)
    return {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": entries}


def _docker_entry(each: Saved) -> dict[str, Any]:
    assert each.image is not None
    names = [
        str(name) for name in each.names
    ]  # podman takes a short one for its own: localhost/NAME
    return {
        "Config": f"blobs/sha256/{each.image.config_digest[7:]}",
        "RepoTags": names or None,
        "Layers": [
            f"blobs/sha256/{layer['digest'][7:]}" for layer in each.image.manifest["layers"]
        ],
    }


def _repositories(saved: Sequence[Saved]) -> dict[str, dict[str, str]]:
    """What docker 1.9 and older read: the top layer of each tag."""
    found: dict[str, dict[str, str]] = {}
    for each in saved:
        for name in each.names if each.image and each.image.chain else ():
            assert each.image is not None
            top = each.image.manifest["layers"][-1]["digest"][7:]
            found.setdefault(name.repository, {})[name.tag] = top
    return found
