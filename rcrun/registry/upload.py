"""Push: blobs and manifests into one repository, resumed where a connection broke (distribution-spec, "Push")."""

from __future__ import annotations

import hashlib
import http.client
from urllib.parse import quote, urlencode, urljoin, urlsplit

from rcrun.errors import RegistryError
from rcrun.files import dump_json, parse_json
from rcrun.formats.image import INDEX
from rcrun.formats.reference import digest_fault
from rcrun.registry import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rcrun.formats.image import Descriptor
    from rcrun.registry.client import Client
    from rcrun.registry.transport import Answer

    # The bytes of a blob from an offset on.
    Bytes = Callable[[int], Iterator[bytes]]

AT_ONCE = 1 << 16  # a blob up to this size goes out in one request
STREAM = {"Content-Type": "application/octet-stream"}


class Uploader:
    """Blobs and manifests into the client's repository; may be shared by threads."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._session = client.session

    def has_blob(self, descriptor: Descriptor) -> bool:
        what = f'blob "{descriptor["digest"]}"'
        answer = self._request("HEAD", f"blobs/{descriptor['digest']}")
        if answer.status == 404:
            answer.close()
            return False
        if answer.status != 200:
            raise self.client.refusal(answer, what)
        answer.close()
        return True

    def mount(self, descriptor: Descriptor, repository: str) -> str:
        """Take the blob over from another repository of the registry: empty when that worked.

        Otherwise the place for an upload, which the registry has begun instead.
        """
        query = urlencode({"mount": descriptor["digest"], "from": repository}, quote_via=quote)
        scope = f"{self.client.scope('pull,push')} repository:{repository}:pull"
        answer = self._request("POST", f"blobs/uploads/?{query}", scope=scope)
        if answer.status == 201:
            answer.close()
            return ""
        return self._place(answer, descriptor)

    def upload(self, descriptor: Descriptor, read: Bytes, place: str = "") -> None:
        """`read` gives the blob's bytes; `place` is an upload that was begun before."""
        failures = 0
        while True:
            try:
                place = place or self._begin(descriptor)
                data = b""
                if descriptor["size"] <= AT_ONCE and not failures:
                    data = b"".join(read(0))
                else:
                    received = self._received(place, failures)
                    place = self._send(descriptor, read, place, received)
                self._finish(descriptor, place, data)
                return
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                if not self._session.patience.wait(failures):
                    raise self._broken(descriptor, error) from error
            except _Lost:
                failures += 1
                place = ""
                if not self._session.patience.wait(failures):
                    raise self._broken(descriptor, None) from None

    def put_manifest(self, target: str, data: bytes, media_type: str, digest: str) -> None:
        what = f'manifest "{target}"'
        headers = {"Content-Type": media_type}
        answer = self._request("PUT", f"manifests/{target}", headers, body=data)
        if answer.status not in (200, 201, 202):
            raise self.client.refusal(answer, what)
        stated = answer.headers.get("Docker-Content-Digest")
        knows_subjects = "OCI-Subject" in answer.headers
        answer.close()
        if stated and stated != digest:
            raise RegistryError(
                f'registry "{self._session.host}" stored something else: its digest of the manifest '
                f'is "{stated}", not "{digest}"'
            )
        if b'"subject"' in data and not knows_subjects:
            self._note_referrer(data, digest, media_type)

    def _note_referrer(self, data: bytes, digest: str, media_type: str) -> None:
        """For a registry that keeps no list of what refers to a manifest: the index that stands for it."""
        from rcrun.registry.referrers import by_tag, described, fallback_tag, index_with

        value = parse_json(data)
        subject = (value.get("subject") or {}).get("digest") if isinstance(value, dict) else None
        if not isinstance(subject, str) or digest_fault(subject):
            return
        one = described(value, digest, len(data), media_type)
        index = index_with(by_tag(self.client, subject), one)
        if index is not None:
            text = dump_json(index).encode()
            own = f"sha256:{hashlib.sha256(text).hexdigest()}"
            self.put_manifest(fallback_tag(subject), text, INDEX, own)

    def _begin(self, descriptor: Descriptor) -> str:
        return self._place(self._request("POST", "blobs/uploads/"), descriptor)

    def _place(self, answer: Answer, descriptor: Descriptor) -> str:
        """Where an upload goes on; its query is the registry's own and stays."""
        if answer.status not in (202, 204):
            raise self.client.refusal(answer, f'blob "{descriptor["digest"]}"')
        location = answer.headers.get("Location")
        answer.close()
        if not location:
            raise RegistryError(
                f'registry "{self._session.host}" does not say where an upload goes'
            )
        return urljoin(answer.url, location)

    def _received(self, place: str, failures: int) -> int:
        """How much is there of an upload that broke off."""
        if not failures:
            return 0
        answer = self._session.request("GET", place, scope=self.client.scope("pull,push"))
        with answer:
            first, _, last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if answer.status not in (200, 202, 204):
            raise _Lost
        return int(last) + 1 if first == "0" and last.isdecimal() and last != "0" else 0

    def _send(self, descriptor: Descriptor, read: Bytes, place: str, start: int) -> str:
        size = descriptor["size"]
        if start >= size:
            return place
        headers = {
            **STREAM,
            "Content-Length": str(size - start),
            "Content-Range": f"{start}-{size - 1}",
        }
        answer = self._session.request_once(
            "PATCH",
            place,
            scope=self.client.scope("pull,push"),
            headers=headers,
            body=lambda: read(start),
        )
        if answer.status in (404, 416) or answer.status >= 500:
            answer.close()
            raise _Lost
        return self._place(answer, descriptor)

    def _finish(self, descriptor: Descriptor, place: str, data: bytes) -> None:
        """With all of it, or behind what was sent before."""
        digest = descriptor["digest"]
        joint = "&" if urlsplit(place).query else "?"
        # A second try of what has arrived in part would come behind that part.
        send = self._session.request_once if data else self._session.request
        answer = send(
            "PUT",
            f"{place}{joint}digest={quote(digest)}",
            scope=self.client.scope("pull,push"),
            headers={**STREAM, "Content-Length": str(len(data))},
            body=(lambda: iter((data,))) if data else None,
        )
        if answer.status == 404 or (data and answer.status >= 500):
            answer.close()
            raise _Lost
        if answer.status not in (201, 202, 204):
            raise self.client.refusal(answer, f'blob "{digest}"')
        answer.close()

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        scope: str = "",
        body: bytes | None = None,
    ) -> Answer:
        return self._session.request(
            method,
            self.client.url_of(path),
            scope=scope or self.client.scope("pull,push"),
            headers={**({"Content-Length": "0"} if method == "POST" else {}), **(headers or {})},
            body=body,
        )

    def _broken(self, descriptor: Descriptor, error: Exception | None) -> RegistryError:
        return faults.broken_upload(self._session.host, f'blob "{descriptor["digest"]}"', error)


class _Lost(Exception):
    """The registry knows nothing of an upload any more: it begins anew."""
