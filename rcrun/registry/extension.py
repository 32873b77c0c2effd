"""Signatures that a registry keeps itself, as OpenShift's does: it says so with the header X-Registry-Supports-Signatures."""

from __future__ import annotations

import base64
import os

from rcrun.files import dump_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.registry.client import Client

HEADER = "X-Registry-Supports-Signatures"
_KIND = {"schemaVersion": 2, "type": "atomic"}


def is_there(client: Client) -> bool:
    answer = client.session.request("GET", "/v2/", scope=client.scope("pull"))
    answer.close()
    return answer.headers.get(HEADER) == "1"


def signatures(client: Client, digest: str) -> list[bytes]:
    """Messages of OpenPGP; what is of another kind is left out."""
    page = client.page(_path(client, digest), f'the signatures of "{digest}"', absent=(404,))
    found = page[0].get("signatures") if page else None
    return [
        base64.b64decode(str(one.get("content", "")))
        for one in found or ()
        if isinstance(one, dict) and {key: one.get(key) for key in _KIND} == _KIND
    ]


def put(client: Client, digest: str, message: bytes) -> None:
    one = {
        **_KIND,
        "name": f"{digest}@{os.urandom(16).hex()}",
        "content": base64.b64encode(message).decode(),
    }
    answer = client.session.request(
        "PUT",
        _path(client, digest),
        scope=client.scope("pull,push"),
        headers={"Content-Type": "application/json"},
        body=dump_json(one).encode(),
    )
    if answer.status != 201:
        raise client.refusal(answer, f'a signature of "{digest}"')
    answer.close()


def _path(client: Client, digest: str) -> str:
    return f"/extensions/v2/{client.reference.path}/signatures/{digest}"
