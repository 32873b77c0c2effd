"""One repository of one registry: manifests and blobs, each checked against its digest and size."""

from __future__ import annotations

import hashlib
import http.client
from urllib.parse import urlsplit

from rcrun.errors import InvalidInput, RegistryError
from rcrun.files import parse_json
from rcrun.formats.image import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    INDEXES,
    MANIFEST,
    MANIFESTS,
    is_foreign,
)
from rcrun.formats.reference import digest_fault
from rcrun.registry import faults
from rcrun.registry.credentials import Credentials, Lookup, find
from rcrun.registry.session import Session
from rcrun.registry.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from rcrun.errors import RcrunError
    from rcrun.formats.reference import Reference
    from rcrun.registry.session import Patience
    from rcrun.registry.transport import Answer

ACCEPT = ", ".join((INDEX, DOCKER_INDEX, MANIFEST, DOCKER_MANIFEST))
MAX_MANIFEST = 4 * 1024 * 1024
MOST_PAGES = 10_000
CHUNK = 1 << 20


class Document:
    """A manifest or an index as the registry sent it: the digest is that of `data`."""

    __slots__ = ("data", "digest", "media_type", "value")

    def __init__(self, data: bytes, digest: str, media_type: str, value: dict[str, Any]) -> None:
        self.data = data
        self.digest = digest
        self.media_type = media_type
        self.value = value

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES


class Client:
    """May be shared by threads; `patience` is how often is tried, and how the pauses between are made."""

    def __init__(
        self,
        transport: Transport,
        reference: Reference,
        lookup: Lookup,
        *,
        patience: Patience | None = None,
    ) -> None:
        self.reference = reference
        self._transport = transport
        self.session = Session(transport, reference.domain, lookup, patience=patience)
        self.lookup = lookup

    def manifest(self, target: str) -> Document:
        """The manifest or index of a tag or digest."""
        what = f'image "{_shown(self.reference, target)}"'
        with self._get(f"manifests/{target}", {"Accept": ACCEPT}, what, (200,)) as answer:
            data = self._whole(answer, what)
            declared = answer.headers.get_content_type()
            stated = answer.headers.get("Docker-Content-Digest")
        digest = self._checked_digest(data, target if ":" in target else stated, what)
        value = _object(data, what)
        return Document(data, digest, _media_type(value, declared, what), value)

    def blob(self, descriptor: Mapping[str, Any], start: int = 0) -> Iterator[bytes]:
        """The bytes from `start` on; goes on where a broken connection stopped.

        Exactly `size` bytes come, or an error: whoever stores them checks the digest.
        """
        size = int(descriptor["size"])
        at, failures = start, 0
        while at < size:
            error: Exception | None = None
            with self._open_blob(descriptor, at) as answer:
                try:
                    while chunk := answer.read(min(CHUNK, size - at)):
                        at += len(chunk)
                        failures = 0
                        yield chunk
                        if at == size:
                            return
                except (OSError, http.client.HTTPException) as caught:
                    error = caught
            failures += 1
            if not self.session.patience.wait(failures):
                raise faults.broken(self.session.host, f'blob "{descriptor["digest"]}"', error)

    def has_blob(self, descriptor: Mapping[str, Any]) -> bool:
        """Whether whoever may pull there gets it."""
        path = f"blobs/{descriptor['digest']}"
        answer = self.session.request("HEAD", self.url_of(path), scope=self.scope("pull"))
        if answer.status not in (200, 404):
            raise self.refusal(answer, f'blob "{descriptor["digest"]}"')
        answer.close()
        return answer.status == 200

    def small_blob(self, descriptor: Mapping[str, Any]) -> bytes:
        """A blob that is a document, verified."""
        what = f'blob "{descriptor["digest"]}"'
        if int(descriptor["size"]) > MAX_MANIFEST:
            raise RegistryError(f"{what} is longer than a document may be")
        data = b"".join(self.blob(descriptor))
        self._checked_digest(data, str(descriptor["digest"]), what)
        return data

    def tags(self) -> list[str]:
        """Every tag of the repository, page after page."""
        what = f'repository "{self.reference.familiar_repository}"'
        path, found = "tags/list", list[str]()
        for _ in range(MOST_PAGES):
            page = self.page(path, what)
            assert page is not None
            value, path = page
            names = value.get("tags") or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise RegistryError(f"the list of tags of {what} is not one")
            found += names
            if not path:
                break
        return found

    def page(
        self, path: str, what: str, *, absent: tuple[int, ...] = ()
    ) -> tuple[dict[str, Any], str] | None:
        """A document and the path of the next one, empty at the end; None for a status of `absent`."""
        with self._get(path, {}, what, (200, *absent)) as answer:
            if answer.status in absent:
                return None
            value = _object(self._whole(answer, what), what)
            return value, next_page(answer.headers.get("Link", ""))

    def _open_blob(self, descriptor: Mapping[str, Any], at: int) -> Answer:
        """An answer whose next byte is number `at`."""
        digest = str(descriptor["digest"])
        what = f'blob "{digest}"'
        headers = {"Range": f"bytes={at}-"} if at else {}
        answer = self._foreign(descriptor, headers) if descriptor.get("urls") else None
        if answer is None:
            answer = self._get(f"blobs/{digest}", headers, what, (200, 206))
        try:
            if answer.status == 200:
                _skip(answer, at)
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
                raise RegistryError(f'registry "{self.session.host}" sent another part of {what}')
        except (OSError, http.client.HTTPException) as error:
            answer.close()
            raise faults.broken(self.session.host, what, error) from error
        except BaseException:
            answer.close()
            raise
        return answer

    def _foreign(self, descriptor: Mapping[str, Any], headers: Mapping[str, str]) -> Answer | None:
        from rcrun.registry.foreign import open_foreign

        if not is_foreign(descriptor) or not isinstance(descriptor["urls"], list):  # type: ignore[arg-type]
            return None
        return open_foreign(self._transport, descriptor["urls"], headers)

    def _get(
        self, path: str, headers: Mapping[str, str], what: str, good: tuple[int, ...]
    ) -> Answer:
        answer = self.session.request(
            "GET", self.url_of(path), scope=self.scope("pull"), headers=headers
        )
        if answer.status in good:
            return answer
        raise self.refusal(answer, what)

    def refusal(self, answer: Answer, what: str) -> RcrunError:
        """The error that an answer is; it is read and closed."""
        with answer:
            try:
                body = answer.read_all()
            except (OSError, http.client.HTTPException):
                body = b""
        domain = self.reference.domain
        return faults.refused(answer.status, body, domain, self.lookup, what=what)

    def _whole(self, answer: Answer, what: str) -> bytes:
        try:
            return answer.read_all(MAX_MANIFEST)
        except (OSError, http.client.HTTPException) as error:
            raise faults.broken(self.session.host, what, error) from error

    def url_of(self, path: str) -> str:
        """Beneath the repository; what begins with a slash is as the registry gave it out."""
        return path if path.startswith("/") else f"/v2/{self.reference.path}/{path}"

    def scope(self, actions: str) -> str:
        return f"repository:{self.reference.path}:{actions}"

    def _checked_digest(self, data: bytes, expected: str | None, what: str) -> str:
        """The digest of `data`; an error if it is not `expected`."""
        algorithm = expected.partition(":")[0] if expected else "sha256"
        if expected and digest_fault(expected):
            raise RegistryError(f'registry "{self.session.host}": {digest_fault(expected)}')
        digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        if expected and digest != expected:
            raise RegistryError(
                f'registry "{self.session.host}" sent the wrong bytes for {what}: '
                f'their digest is "{digest}", not "{expected}"'
            )
        return digest


def reach(
    reference: Reference,
    environ: Mapping[str, str],
    *,
    verify: bool = True,
    credentials: Credentials | None = None,
    authfile: str = "",
    cert_dir: str = "",
    helpers: Sequence[str] = (),
) -> tuple[Lookup, Transport]:
    """Who we are there by what the environment knows, and connections; the caller closes them."""
    from rcrun.registry.certificates import certificate_dirs

    lookup = (
        Lookup(credentials)
        if credentials
        else find(environ, reference.domain, reference.path, authfile=authfile, helpers=helpers)
    )
    return lookup, Transport(
        environ, verify=verify, cert_dirs=certificate_dirs(environ), cert_dir=cert_dir
    )


def _shown(reference: Reference, target: str) -> str:
    joint = "@" if ":" in target else ":"
    return f"{reference.familiar_repository}{joint}{target}"


def next_page(link: str) -> str:
    """The path of `Link: <…>; rel="next"` (RFC 5988), without the host: it is ours. Empty: there is none."""
    for each in link.split(","):
        target, _, parameters = each.strip().partition(">")
        if target.startswith("<") and 'rel="next"' in parameters.replace("rel=next", 'rel="next"'):
            parts = urlsplit(target[1:])
            query = f"?{parts.query}" if parts.query else ""
            return f"{parts.path}{query}" if parts.path.startswith("/v2/") else ""
    return ""


def _skip(answer: Answer, count: int) -> None:
    """For a server that does not know ranges."""
    while count:
        data = answer.read(min(CHUNK, count))
        if not data:
            raise http.client.IncompleteRead(b"", count)
        count -= len(data)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = parse_json(data)
    except ValueError as error:
        raise RegistryError(f"the manifest of {what} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise RegistryError(f"the manifest of {what} is not a JSON object")
    return value


def _media_type(value: dict[str, Any], declared: str, what: str) -> str:
    """The document's own word, else the header's, else what its members tell."""
    media_type = str(value.get("mediaType") or declared)
    if value.get("schemaVersion") == 1 or "manifest.v1" in media_type.replace(MANIFEST, ""):
        raise InvalidInput(
            f"{what} has a manifest of docker's schema 1, which is obsolete",
            "push the image again with a tool of this decade",
        )
    if media_type in INDEXES or media_type in MANIFESTS:
        # An attacker could make one text mean two things to two readers.
        if (media_type in INDEXES) == ("layers" in value):
            raise RegistryError(f'the manifest of {what} contradicts its media type "{media_type}"')
        return media_type
    if isinstance(value.get("manifests"), list):
        return INDEX
    if isinstance(value.get("layers"), list):
        return MANIFEST
    raise RegistryError(f'{what} is not an image: its media type is "{media_type}"')
