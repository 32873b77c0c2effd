"""The client beyond manifests and blobs of one registry: foreign layers, referrers, tries that the caller asked for."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import RegistryError
from rcrun.registry.client import Client
from rcrun.registry.credentials import Credentials
from rcrun.registry.referrers import referrers
from tiny_image import INDEX, TinyImage, digest_of

if TYPE_CHECKING:
    from tiny_registry import Handler, TinyRegistry

MakeClient = Callable[..., Client]


@pytest.fixture
def client(registry: TinyRegistry, client_of: MakeClient) -> Client:
    return client_of(f"{registry.address}/some/thing:1")


def test_foreign_layers_come_from_their_urls(
    registry: TinyRegistry, elsewhere: TinyRegistry, client_of: MakeClient
) -> None:
    """Without credentials, resumed like others; where no URL answers the registry may have it."""
    registry.auth, registry.users = "basic", {"me": "secret"}
    client = client_of(f"{registry.address}/x", credentials=Credentials("me", "secret", "test"))
    data = random.Random(2).randbytes(50_000)
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest_of(data),
        "size": len(data),
        "urls": ["ftp://x.example/y", f"{elsewhere.url}/moved", f"{elsewhere.url}/v2/x/blobs/y"],
    }
    target = f"/v2/x/blobs/{layer['digest']}"
    elsewhere.blobs[layer["digest"]] = data  # type: ignore[index]
    elsewhere.rule("/moved", lambda h: h.break_after(data, 20_000))
    elsewhere.rule("/moved", lambda h: h.redirect(elsewhere.url + target))
    assert b"".join(client.blob(layer)) == data
    assert [each.headers.get("Range") for each in elsewhere.asked] == [None, *["bytes=20000-"] * 2]
    assert {each.headers.get("Authorization") for each in elsewhere.asked} == {None}
    assert registry.asked == []
    registry.blobs[layer["digest"]] = data  # type: ignore[index]
    elsewhere.rule("/", lambda h: h.answer(404), times=9)
    assert b"".join(client.blob(layer)) == data
    assert b"".join(client.blob({**layer, "mediaType": "x"})) == data


def test_referrers(registry: TinyRegistry, client: Client) -> None:
    """Page after page, of one type when the registry did not look at it; else from the tag that stands for them."""
    digest = digest_of(b"subject")

    def entry(number: int, kind: str) -> dict[str, object]:
        return {"digest": digest_of(bytes([number])), "size": 1, "artifactType": kind}

    entries = [entry(1, "sbom"), entry(2, "seal"), entry(3, "sbom")]
    path = f"/v2/some/thing/referrers/{digest}"

    def pages(handler: Handler) -> None:
        first = "?" not in handler.path or "page=2" not in handler.path
        more = {"Link": f'<{path}?page=2>; rel="next"'} if first else {}
        body = json.dumps({"manifests": entries[:2] if first else entries[2:]}).encode()
        handler.answer(200, body, Content_Type=INDEX, **more)

    registry.rule("/referrers/", pages, times=4)
    assert referrers(client, digest) == entries
    assert referrers(client, digest, "sbom") == [entries[0], entries[2]]
    assert f"{path}?artifactType=sbom" in registry.paths("/referrers/")
    assert referrers(client, digest) == []
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    registry.manifests[digest.replace(":", "-")] = (INDEX, index)
    assert referrers(client, digest, "seal") == [entries[1]]


def test_tries_and_pauses_of_the_caller(
    registry: TinyRegistry, client_of: MakeClient, image: TinyImage, pauses: list[float]
) -> None:
    registry.put(image, "1")
    registry.rule("/manifests/", lambda h: h.fail(500, "X", "later"), times=3)
    with pytest.raises(RegistryError, match="answered 500"):
        client_of(f"{registry.address}/x", retries=0).manifest("1")
    assert (pauses, len(registry.paths("/manifests/"))) == ([], 1)
    assert client_of(f"{registry.address}/x", retries=2, delay=7.0).manifest("1")
    assert pauses == [7.0, 7.0]
    # Who asks for tries waits for a registry that is not there yet, too.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RegistryError, match="connection refused"):
            client_of(f"{address}/thing", retries=2, delay=1.0).manifest("1")
    assert pauses == [7.0, 7.0, 1.0, 1.0]
