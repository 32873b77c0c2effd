"""Blobs: bytes under their digest. Every writer and every reader verifies them."""

from __future__ import annotations

import errno
import os

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.files import dump_json, parse_json, write_all, write_file
from rcrun.formats import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, BinaryIO, Protocol

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.lease import Lease

    class Hash(Protocol):
        def update(self, data: bytes | memoryview, /) -> None: ...
        def hexdigest(self) -> str: ...


MOST_DOCUMENT = 16 << 20  # a manifest or a configuration is read whole


def has_blob(store: Store, descriptor: Descriptor) -> bool:
    """There, and of the right size; whoever reads it verifies it."""
    try:
        status = os.stat(store.blob_path(descriptor["digest"]))
    except FileNotFoundError:
        shared = store.shared_blob(descriptor["digest"])
        if not shared:
            return False
        status = os.stat(shared)
    return status.st_size == descriptor["size"]


def can_have(store: Store, descriptor: Descriptor) -> bool:
    """It is here, or was dropped, and `store.bring` has a way to it (recipes.py)."""
    if has_blob(store, descriptor):
        return True
    from rcrun.storage.recipes import find

    found = find(store, descriptor["digest"])
    return found is not None and found.size == descriptor["size"]


def divided(
    store: Store, layers: Iterable[Descriptor], *, dropped_too: bool = False
) -> tuple[list[Descriptor], list[Descriptor]]:
    """Each once: those that are here, with `dropped_too` those that can be had again, and those that are not."""
    has = can_have if dropped_too else has_blob
    unique = {layer["digest"]: layer for layer in layers}
    absent = [layer for layer in unique.values() if not has(store, layer)]
    return [layer for layer in unique.values() if layer not in absent], absent


class BlobWriter:
    """A blob on its way in: hashed as it comes, renamed to its digest when that is right.

    A context manager; what was not committed when it ends is gone.
    """

    __slots__ = ("_hash", "_lease", "_scratch", "_store", "expected", "size")

    def __init__(
        self,
        store: Store,
        expected: Descriptor | None = None,
        *,
        lease: Lease | None = None,
        aside: bool = False,
    ) -> None:
        """`aside`: hashed by a thread of its own, which is worth it for large ones whose pieces are large."""
        from rcrun.storage.scratch import Scratch

        if expected is not None and not digests.is_sha256(expected.get("digest")):
            raise InvalidInput(f'unsupported digest "{expected.get("digest")}"', "use sha256")
        self._store = store
        self._lease = lease
        self._hash = _hash(aside=aside)
        self._scratch = Scratch(store, "blob")
        self.expected = expected
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)
        if self.expected is not None and self.size > self.expected["size"]:
            raise _mismatch(self.expected, f"it is larger than {self.expected['size']} bytes")
        self._hash.update(data)
        try:
            write_all(self._scratch.fd, data)
        except OSError as error:
            raise _cannot_store(self.expected, error) from error

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def commit(self, media_type: str = "") -> Descriptor:
        """The blob's descriptor; RcrunError when it is not what was expected."""
        digest = self.digest
        if self.expected is not None:
            if self.size != self.expected["size"]:
                raise _mismatch(
                    self.expected, f"it has {self.size} bytes, not {self.expected['size']}"
                )
            if digest != self.expected["digest"]:
                raise _mismatch(self.expected, f'its digest is "{digest}"')
            media_type = media_type or self.expected.get("mediaType", "")
        if self._lease is not None:
            self._lease.add([digest])
        # An equal blob may be there; ours is verified and the other need not be sound.
        self._scratch.move_to(self._store.blob_path(digest))
        return {"mediaType": media_type, "digest": digest, "size": self.size}

    def __enter__(self) -> BlobWriter:
        self._scratch.make_file(0o644)
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.drop()
        self._hash.hexdigest()  # a thread that hashes has ended then


def _hash(*, aside: bool) -> Hash:
    if aside:
        from rcrun.storage.hashaside import HashAside

        return HashAside()
    import hashlib

    return hashlib.sha256()


def write_blob(
    store: Store, data: bytes, media_type: str, *, lease: Lease | None = None
) -> Descriptor:
    """Store a document; durable, since a reference will name it."""
    digest = digests.of_bytes(data)
    if lease is not None:
        lease.add([digest])
    path = store.blob_path(digest)
    if not _has_bytes(path, data):
        write_file(path, data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def write_document(
    store: Store, value: Mapping[str, Any], media_type: str, *, lease: Lease | None = None
) -> Descriptor:
    return write_blob(store, dump_json(value).encode(), media_type, lease=lease)


def _has_bytes(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except FileNotFoundError:
        return False


def read_blob(store: Store, descriptor: Descriptor, limit: int = MOST_DOCUMENT) -> bytes:
    """The verified bytes of a document."""
    digest, size = descriptor["digest"], descriptor["size"]
    if not digests.is_sha256(digest):
        raise InvalidInput(f'unsupported digest "{digest}"', "use sha256")
    if size > limit:
        raise _mismatch(descriptor, f"a document of {size} bytes is too large")
    try:
        with _opened(store, digest) as file:
            data = file.read(size + 1)
    except FileNotFoundError:
        raise NotFound(
            f'blob "{digest}" is not in the store', "pull or load its image again"
        ) from None
    if len(data) != size or digests.of_bytes(data) != digest:
        raise _mismatch(descriptor, "its content was changed or damaged")
    return data


def _opened(store: Store, digest: str) -> BinaryIO:
    try:
        return open(store.blob_path(digest), "rb")
    except FileNotFoundError:
        shared = store.shared_blob(digest)
        if not shared:
            raise
        return open(shared, "rb")


def read_document(store: Store, descriptor: Descriptor) -> Any:
    """The JSON value of a verified blob."""
    try:
        return parse_json(read_blob(store, descriptor))
    except ValueError as error:
        raise InvalidInput(f'blob "{descriptor["digest"]}" is not JSON: {error}') from error


def _cannot_store(descriptor: Descriptor | None, error: OSError) -> RcrunError:
    which = f'blob "{descriptor["digest"]}"' if descriptor is not None else "a blob"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RcrunError(
        f"cannot store {which}: {(error.strerror or str(error)).lower()}",
        "free some space: rcrun system prune" if full else None,
    )


def _mismatch(descriptor: Descriptor, fault: str) -> RcrunError:
    return RcrunError(f'blob "{descriptor["digest"]}" does not match its descriptor: {fault}')
