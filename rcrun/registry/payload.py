"""What was signed: a JSON text that names an image and its manifest (containers-signature(5)), read strictly."""

from __future__ import annotations

import json

from rcrun.formats.reference import digest_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIMPLE = "atomic container signature"
COSIGN = "cosign container image signature"


class Refused(Exception):
    """A signature that proves nothing; its text says why."""


class Claim:
    """Who signed says: this manifest is that image."""

    __slots__ = ("digest", "reference")

    def __init__(self, digest: str, reference: str) -> None:
        self.digest = digest
        self.reference = reference


def read(data: bytes, kind: str) -> Claim:
    """Refused for anything but exactly the members that a signature has."""
    whole = _members(strict_json(data), "critical", "optional")
    if not (isinstance(whole["optional"], dict) or (kind == COSIGN and whole["optional"] is None)):
        raise Refused('what was signed has no proper "optional"')
    critical = _members(whole["critical"], "type", "image", "identity")
    if critical["type"] != kind:
        raise Refused(f'what was signed is of type "{critical["type"]}", not "{kind}"')
    digest = _members(critical["image"], "docker-manifest-digest")["docker-manifest-digest"]
    reference = _members(critical["identity"], "docker-reference")["docker-reference"]
    if not isinstance(digest, str) or digest_fault(digest) or not isinstance(reference, str):
        raise Refused("what was signed names no digest or no reference")
    return Claim(digest, reference)


def _members(value: object, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise Refused(f"what was signed has not the members {', '.join(names)}")
    return value


def strict_json(data: bytes) -> Any:
    """No name twice: two readers could see two different things."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a name stands there twice")
        return dict(pairs)

    try:
        return json.loads(data, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise Refused(f"it is not proper JSON: {error}") from error


def written(kind: str, digest: str, reference: str, creator: str, now: int) -> bytes:
    """What is signed."""
    from rcrun.files import dump_json

    document = {
        "critical": {
            "type": kind,
            "image": {"docker-manifest-digest": digest},
            "identity": {"docker-reference": reference},
        },
        "optional": {"creator": creator, "timestamp": now},
    }
    return dump_json(document).encode()
