"""Repositories that a registry knows: by docker's search (v1), else out of its catalog (distribution-spec, "_catalog")."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlencode

from rcrun.errors import RegistryError
from rcrun.files import parse_json
from rcrun.registry import faults
from rcrun.registry.client import next_page
from rcrun.registry.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.registry.credentials import Lookup
    from rcrun.registry.session import Patience
    from rcrun.registry.transport import Answer, Transport

HUB = "docker.io"
HUB_INDEX = "index.docker.io"
MOST = 100  # of one answer
MOST_PAGES = 200


class Found:
    """`name` is with the registry, as one would pull it."""

    __slots__ = ("automated", "description", "domain", "name", "official", "stars")

    def __init__(self, domain: str, entry: dict[str, Any]) -> None:
        self.domain = domain
        self.name = str(entry.get("name") or "")
        self.description = " ".join(str(entry.get("description") or "").split())
        self.stars = int(entry.get("star_count") or 0)
        self.official = bool(entry.get("is_official"))
        self.automated = bool(entry.get("is_automated"))


def search(
    transport: Transport,
    domain: str,
    lookup: Lookup,
    term: str,
    limit: int,
    patience: Patience | None = None,
) -> list[Found]:
    """At most `limit`, in the registry's order."""
    host = HUB_INDEX if domain == HUB else domain
    session = Session(transport, host, lookup, patience=patience)
    query = urlencode({"q": term, "n": min(limit, MOST)}, quote_via=quote)
    answer = session.request("GET", f"/v1/search?{query}")
    if answer.status == 200:
        entries = _read(answer, domain).get("results")
    elif domain != HUB and answer.status in (401, 403, 404, 405, 410):
        answer.close()
        entries = [{"name": name} for name in _catalog(session, domain, lookup) if term in name]
    else:
        raise _refused(answer, domain, lookup)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RegistryError(f'registry "{domain}" answered with something other than a list')
    try:
        found = [Found(domain, entry) for entry in entries]
    except (TypeError, ValueError) as error:
        raise RegistryError(f'registry "{domain}" answered with a damaged list') from error
    return [each for each in found if each.name][:limit]


def _catalog(session: Session, domain: str, lookup: Lookup) -> list[str]:
    path, found = "/v2/_catalog?n=1000", list[str]()
    for _ in range(MOST_PAGES):
        answer = session.request("GET", path, scope="registry:catalog:*")
        if answer.status != 200:
            raise _refused(answer, domain, lookup)
        path = next_page(answer.headers.get("Link", ""))
        names = _read(answer, domain).get("repositories") or []
        found += [name for name in names if isinstance(name, str)]
        if not path:
            break
    return found


def _read(answer: Answer, domain: str) -> dict[str, Any]:
    try:
        with answer:
            value = parse_json(answer.read_all())
    except (OSError, http.client.HTTPException) as error:
        raise faults.broken(domain, "the list", error) from error
    except ValueError as error:
        raise RegistryError(
            f'registry "{domain}" answered with something other than JSON'
        ) from error
    if not isinstance(value, dict):
        raise RegistryError(f'registry "{domain}" answered with something other than a list')
    return value


def _refused(answer: Answer, domain: str, lookup: Lookup) -> Exception:
    with answer:
        try:
            body = answer.read_all()
        except (OSError, http.client.HTTPException):
            body = b""
    return faults.refused(answer.status, body, domain, lookup, what="a search")
