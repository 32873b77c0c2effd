"""Push: blobs and manifests into one repository, resumed where a connection broke (distribution-spec, "Push")."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlencode, urljoin, urlsplit

from rcrun.errors import RegistryError
from rcrun.registry import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rcrun.formats.image import Descriptor
    from rcrun.registry.client import Client
    from rcrun.registry.transport import Answer

    # The bytes of a blob from an offset on.
    Bytes = Callable[[int], Iterator[bytes]]

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
                place = self._send(descriptor, read, place, self._received(place, failures))
                self._finish(descriptor, place)
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
        answer.close()
        if stated and stated != digest:
            raise RegistryError(
                f'registry "{self._session.host}" stored something else: its digest of the manifest '
                f'is "{stated}", not "{digest}"'
            )

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

    def _finish(self, descriptor: Descriptor, place: str) -> None:
        digest = descriptor["digest"]
        joint = "&" if urlsplit(place).query else "?"
        answer = self._session.request(
            "PUT",
            f"{place}{joint}digest={quote(digest)}",
            scope=self.client.scope("pull,push"),
            headers={**STREAM, "Content-Length": "0"},
        )
        if answer.status == 404:
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
