"""What refers to an image (distribution-spec, "Listing referrers"): signatures, bills of materials, attestations.

A registry that does not know the API has an index under a tag that the digest gives; whoever pushes keeps it up.
"""

from __future__ import annotations

from urllib.parse import quote

from rcrun.errors import NotFound, RegistryError
from rcrun.formats.image import INDEX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.registry.client import Client

MOST_PAGES = 100


def referrers(client: Client, digest: str, artifact_type: str = "") -> list[dict[str, Any]]:
    """Their descriptors, of one type or of all."""
    path = f"referrers/{digest}"
    if artifact_type:
        path += f"?artifactType={quote(artifact_type, safe='')}"
    found = _asked(client, path)
    if found is None:
        found = by_tag(client, digest)
    wanted = [each for each in found if artifact_type in ("", each.get("artifactType"))]
    return list({each["digest"]: each for each in wanted}.values())


def _asked(client: Client, path: str) -> list[dict[str, Any]] | None:
    """None: the registry does not know the question."""
    found: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        page = client.page(path, "the list of referrers", absent=(404,))
        if page is None:
            return None
        value, path = page
        found += _descriptors(value)
        if not path:
            break
    return found


def fallback_tag(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm[:32]}-{digits[:64]}"


def by_tag(client: Client, digest: str) -> list[dict[str, Any]]:
    try:
        document = client.manifest(fallback_tag(digest))
    except NotFound:
        return []
    return _descriptors(document.value) if document.is_index else []


def index_with(known: list[dict[str, Any]], more: Mapping[str, Any]) -> dict[str, Any] | None:
    """The index of the fallback with one more; None when it is there."""
    if any(each["digest"] == more["digest"] for each in known):
        return None
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*known, dict(more)]}


def described(value: Mapping[str, Any], digest: str, size: int, media_type: str) -> dict[str, Any]:
    """How a manifest stands in such an index."""
    artifact_type = value.get("artifactType") or (value.get("config") or {}).get("mediaType")
    found: dict[str, Any] = {"mediaType": media_type, "digest": digest, "size": size}
    if artifact_type:
        found["artifactType"] = artifact_type
    if value.get("annotations"):
        found["annotations"] = value["annotations"]
    return found


def _descriptors(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = value.get("manifests")
    if not isinstance(entries, list) or not all(
        isinstance(each, dict) and isinstance(each.get("digest"), str) for each in entries
    ):
        raise RegistryError("the registry answered with something other than a list of referrers")
    return entries
