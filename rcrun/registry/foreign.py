"""Foreign layers: their bytes are not the registry's to hand out, but come from URLs that the manifest names."""

from __future__ import annotations

import http.client
from urllib.parse import urljoin, urlsplit

from rcrun.errors import RegistryError
from rcrun.registry.session import MAX_REDIRECTS, REDIRECTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.registry.transport import Answer, Transport


def open_foreign(
    transport: Transport, urls: Sequence[object], headers: Mapping[str, str]
) -> Answer | None:
    """From the first that answers; nobody gets credentials, whoever it is. None: the registry may have it."""
    for url in urls:
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
            continue
        try:
            answer = _follow(transport, url, headers)
        except (OSError, http.client.HTTPException, RegistryError):
            continue
        if answer.status in (200, 206):
            return answer
        answer.close()
    return None


def _follow(transport: Transport, url: str, headers: Mapping[str, str]) -> Answer:
    for _ in range(MAX_REDIRECTS):
        answer = transport.send("GET", url, headers)
        location = answer.headers.get("Location")
        if answer.status not in REDIRECTS or not location:
            return answer
        answer.close()
        following = urljoin(url, location)
        if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
            raise RegistryError(f'"{url}" redirects to a place without TLS: refused')
        url = following
    raise RegistryError(f'"{url}" redirects without end')
