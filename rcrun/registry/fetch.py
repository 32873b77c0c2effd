"""A plain file from a URL, for `import`."""

from __future__ import annotations

import http.client
from urllib.parse import urljoin, urlsplit

from rcrun.errors import InvalidInput, RegistryError
from rcrun.registry.certificates import certificate_dirs
from rcrun.registry.faults import unreachable
from rcrun.registry.session import MAX_REDIRECTS, REDIRECTS
from rcrun.registry.transport import Transport, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHUNK = 1 << 20


def fetch(url: str, environ: Mapping[str, str], write: Callable[[bytes], object]) -> None:
    """All of it, in pieces; redirects are followed, but never from https to http."""
    if urlsplit(url).username is not None:
        raise InvalidInput(f'"{_shown(url)}" must not hold a user name or a password')
    with Transport(environ, cert_dirs=certificate_dirs(environ)) as transport:
        for _ in range(MAX_REDIRECTS):
            following = _fetch_once(transport, url, write)
            if not following:
                return
            if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
                raise RegistryError(f'"{_shown(url)}" redirects to a place without TLS: refused')
            url = following
    raise RegistryError(f'"{_shown(url)}" redirects without end')


def _fetch_once(transport: Transport, url: str, write: Callable[[bytes], object]) -> str:
    """Empty when it was written, else where it is."""
    host = origin_of(url)[1]
    try:
        with transport.send("GET", url, {}) as answer:
            location = answer.headers.get("Location")
            if answer.status in REDIRECTS and location:
                return urljoin(url, location)
            if answer.status != 200:
                phrase = http.client.responses.get(answer.status, "").lower()
                raise RegistryError(
                    f'cannot get "{_shown(url)}": {answer.status} {phrase}'.rstrip(),
                    http_status=answer.status,
                )
            while data := answer.read(CHUNK):
                write(data)
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(host, error) from error
    return ""


def _shown(url: str) -> str:
    """Without what may be a secret: the user, the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
