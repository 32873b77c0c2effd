from __future__ import annotations

import email.utils
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput, NotFound, RcrunError, RegistryError
from rcrun.registry.client import Client
from rcrun.registry.credentials import Credentials
from rcrun.registry.session import retry_after_seconds
from rcrun.storage.images import choose
from tiny_image import INDEX, MANIFEST, TinyImage, digest_of, index_of, tiny_image

if TYPE_CHECKING:
    from tiny_registry import Handler, TinyRegistry

MakeClient = Callable[..., Client]


@pytest.fixture
def client(registry: TinyRegistry, client_of: MakeClient) -> Client:
    return client_of(f"{registry.address}/some/thing:1")


def big_blob(registry: TinyRegistry, size: int = 300_000) -> tuple[dict[str, object], bytes]:
    data = random.Random(1).randbytes(size)
    registry.blobs[digest_of(data)] = data
    return {"digest": digest_of(data), "size": size}, data


def test_manifest_by_tag_and_digest(
    registry: TinyRegistry, client: Client, image: TinyImage
) -> None:
    registry.put(image, "1")
    by_tag, by_digest = client.manifest("1"), client.manifest(image.digest)
    assert by_tag.digest == by_digest.digest == image.digest
    assert by_tag.data == image.manifest
    assert by_tag.value["config"]["digest"] == image.config_digest
    assert by_tag.media_type == image.descriptor()["mediaType"]
    assert not by_tag.is_index
    accept = registry.asked[-1].headers["Accept"]
    for media_type in (INDEX, MANIFEST, "docker.distribution.manifest.list.v2+json"):
        assert media_type in accept


def test_one_connection_serves_all_requests(
    registry: TinyRegistry, client: Client, image: TinyImage
) -> None:
    ports = set()
    serve = registry.serve

    def spy(handler: Handler) -> None:
        ports.add(handler.client_address[1])
        serve(handler)

    registry.put(image, "1")
    client.manifest("1")  # finds out that there is no TLS, with a connection for each
    registry.serve = spy  # type: ignore[method-assign]
    for _ in range(3):
        client.manifest("1")
        assert b"".join(client.blob(image.layer_descriptor())) == image.layers[0]
    assert len(ports) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    registry: TinyRegistry, client: Client, image: TinyImage, pauses: list[float]
) -> None:
    def last_answer(handler: Handler) -> None:
        handler.answer(200, image.manifest, Content_Type=MANIFEST)
        handler.close_connection = True  # without having said so

    registry.put(image, "1")
    registry.rule("/manifests/", last_answer, times=2)
    for _ in range(3):
        assert client.manifest("1").digest == image.digest
    assert pauses == []


def test_manifest_that_is_not_there(client: Client, registry: TinyRegistry) -> None:
    with pytest.raises(NotFound) as raised:
        client.manifest("nope")
    assert raised.value.message == (
        f'image "{registry.address}/some/thing:nope" not found in registry "{registry.address}": '
        "manifest unknown"
    )


@pytest.mark.parametrize("header", [True, False])
def test_manifest_with_the_wrong_digest(
    registry: TinyRegistry, client: Client, image: TinyImage, header: bool
) -> None:
    other = tiny_image({"other": b""})
    stated = {"Docker_Content_Digest": other.digest} if header else {}
    target = "1" if header else other.digest
    registry.rule(
        "/manifests/", lambda h: h.answer(200, image.manifest, Content_Type=MANIFEST, **stated)
    )
    with pytest.raises(RegistryError, match="sent the wrong bytes for image") as raised:
        client.manifest(target)
    assert image.digest in raised.value.message
    assert other.digest in raised.value.message


@pytest.mark.parametrize(
    ("body", "declared", "words"),
    [
        (b"<html>", "text/html", "is not valid JSON"),
        (b"[]", MANIFEST, "is not a JSON object"),
        (b'{"schemaVersion":1,"fsLayers":[]}', "application/json", "schema 1"),
        (b'{"helm":"chart"}', "application/x-chart", 'media type is "application/x-chart"'),
        (b'{"manifests":[],"layers":[],"config":{}}', INDEX, "contradicts its media type"),
        (b'{"manifests":[]}', MANIFEST, "contradicts its media type"),
    ],
)
def test_what_is_no_manifest(
    registry: TinyRegistry, client: Client, body: bytes, declared: str, words: str
) -> None:
    registry.manifests["1"] = (declared, body)
    with pytest.raises((RegistryError, InvalidInput), match=words):
        client.manifest("1")


def test_a_manifest_without_end_is_given_up(registry: TinyRegistry, client: Client) -> None:
    registry.manifests["1"] = (MANIFEST, b" " * (4 * 1024 * 1024 + 1))
    with pytest.raises(RegistryError, match="longer than"):
        client.manifest("1")


def test_the_manifest_that_suits_the_platform(registry: TinyRegistry, client: Client) -> None:
    images = {"amd64": tiny_image(), "arm_v6": tiny_image(architecture="arm")}
    registry.manifests["1"] = (INDEX, index_of(**images))
    document = client.manifest("1")
    assert document.is_index
    assert choose(document.value, "linux/arm/v7")["digest"] == images["arm_v6"].digest  # type: ignore[arg-type]


def test_broken_blob_is_resumed(
    registry: TinyRegistry, client: Client, pauses: list[float]
) -> None:
    descriptor, data = big_blob(registry)
    registry.rule("/blobs/", lambda h: h.break_after(data, 100_000))
    rest = data[100_000:]
    span = {"Content_Range": f"bytes 100000-{len(data) - 1}/{len(data)}"}
    registry.rule("/blobs/", lambda h: h.break_after(rest, 50_000, 206, **span))
    assert b"".join(client.blob(descriptor)) == data
    asked = [each.headers.get("Range") for each in registry.asked if "/blobs/" in each.path]
    assert asked == [None, "bytes=100000-", "bytes=150000-"]
    assert len(pauses) == 2


def test_resumed_where_the_server_knows_no_ranges(registry: TinyRegistry, client: Client) -> None:
    descriptor, data = big_blob(registry)
    registry.ranges = False
    registry.rule("/blobs/", lambda h: h.break_after(data, 123_456))
    assert b"".join(client.blob(descriptor)) == data
    assert b"".join(client.blob(descriptor, 299_000)) == data[299_000:]


def test_blob_that_breaks_again_and_again(
    registry: TinyRegistry, client: Client, pauses: list[float]
) -> None:
    descriptor, data = big_blob(registry)
    registry.rule("/blobs/", lambda h: h.break_after(data, 0), times=100)
    with pytest.raises(RegistryError, match="it closed the connection too early") as raised:
        list(client.blob(descriptor))
    assert raised.value.hint == "run the command again: what has arrived is kept"
    assert len(pauses) == 4
    assert pauses == sorted(pauses) or max(pauses) <= 10


def test_shorter_and_longer_than_promised(registry: TinyRegistry, client: Client) -> None:
    descriptor, data = big_blob(registry)
    longer = {**descriptor, "size": len(data) + 1}
    with pytest.raises(RcrunError):
        list(client.blob(longer))
    shorter = {**descriptor, "size": 1000}
    assert b"".join(client.blob(shorter)) == data[:1000]


def test_another_range_than_asked_for(registry: TinyRegistry, client: Client) -> None:
    descriptor, data = big_blob(registry)
    registry.rule("/blobs/", lambda h: h.answer(206, data, Content_Range="bytes 0-9/10"))
    with pytest.raises(RegistryError, match="sent another part of blob"):
        list(client.blob(descriptor, 500))


def test_small_blob_is_verified(registry: TinyRegistry, client: Client, image: TinyImage) -> None:
    registry.put(image)
    descriptor = {"digest": image.config_digest, "size": len(image.config)}
    assert client.small_blob(descriptor) == image.config
    registry.blobs[image.config_digest] = image.config.replace(b"linux", b"Linux")
    with pytest.raises(RegistryError, match="sent the wrong bytes for blob"):
        client.small_blob(descriptor)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_temporary_trouble_is_waited_out(
    registry: TinyRegistry, client: Client, image: TinyImage, pauses: list[float], status: int
) -> None:
    registry.put(image, "1")
    registry.rule("/manifests/", lambda h: h.fail(status, "UNAVAILABLE", "later"), times=2)
    assert client.manifest("1").digest == image.digest
    assert len(pauses) == 2


def test_retry_after_is_obeyed(
    registry: TinyRegistry, client: Client, image: TinyImage, pauses: list[float]
) -> None:
    registry.put(image, "1")
    registry.rule("/manifests/", lambda h: h.fail(429, "X", "slow down", Retry_After="7"))
    client.manifest("1")
    assert pauses == [7.0]


def test_rate_limit(registry: TinyRegistry, client: Client, pauses: list[float]) -> None:
    registry.rule(
        "/manifests/",
        lambda h: h.fail(429, "TOOMANYREQUESTS", "You have reached your limit", Retry_After="3600"),
    )
    with pytest.raises(RegistryError) as raised:
        client.manifest("1")
    assert raised.value.message == (
        f'registry "{registry.address}" allows no more requests for now: '
        "toomanyrequests: You have reached your limit"
    )
    assert "rcrun login" in (raised.value.hint or "")
    assert pauses == []


def test_retry_after_forms() -> None:
    assert retry_after_seconds("12", 0) == 12
    assert retry_after_seconds(email.utils.formatdate(1000, usegmt=True), 990) == 10
    assert retry_after_seconds(email.utils.formatdate(1000, usegmt=True), 2000) == 0
    assert retry_after_seconds("soon", 0) is None
    assert retry_after_seconds(None, 0) is None


def test_error_texts_cannot_move_the_cursor(registry: TinyRegistry, client: Client) -> None:
    registry.rule("/manifests/", lambda h: h.fail(400, "BAD", "\x1b[2Jgone" + "x" * 5000))
    with pytest.raises(RegistryError) as raised:
        client.manifest("1")
    assert "\x1b" not in raised.value.message
    assert len(raised.value.message) < 500


def test_redirect_elsewhere_takes_no_credentials_along(
    registry: TinyRegistry, elsewhere: TinyRegistry, client_of: MakeClient, image: TinyImage
) -> None:
    registry.auth = "basic"
    registry.users["me"] = "password"
    registry.put(image, "1")
    elsewhere.put(image)
    for digest in image.blobs:
        path = f"/v2/some/thing/blobs/{digest}"
        registry.rule(f"/blobs/{digest}", lambda h, p=path: h.redirect(elsewhere.url + p))
    client = client_of(
        f"{registry.address}/some/thing:1", credentials=Credentials("me", "password", "test")
    )
    client.manifest("1")
    assert b"".join(client.blob(image.layer_descriptor())) == image.layers[0]
    assert elsewhere.asked
    for asked in elsewhere.asked:
        assert "Authorization" not in asked.headers
    sent = [asked.headers.get("Authorization") for asked in registry.asked if "blobs" in asked.path]
    assert sent == ["Basic bWU6cGFzc3dvcmQ="]


def test_challenge_of_another_host_is_not_answered(
    registry: TinyRegistry, elsewhere: TinyRegistry, client_of: MakeClient, image: TinyImage
) -> None:
    elsewhere.auth = "basic"
    registry.put(image)
    digest = image.layer_descriptor()["digest"]
    url = f"{elsewhere.url}/v2/some/thing/blobs/{digest}"
    registry.rule("/blobs/", lambda h: h.redirect(url, 302), times=9)
    client = client_of(
        f"{registry.address}/some/thing:1", credentials=Credentials("me", "password", "test")
    )
    with pytest.raises(RegistryError, match="denies access"):
        list(client.blob(image.layer_descriptor()))
    assert [asked.headers.get("Authorization") for asked in elsewhere.asked] == [None]


def test_redirects_without_end(registry: TinyRegistry, client: Client) -> None:
    registry.rule("/manifests/", lambda h: h.redirect(h.path), times=99)
    with pytest.raises(RegistryError, match="redirects without end"):
        client.manifest("1")
    assert len(registry.paths("/manifests/")) == 10


def test_redirect_to_no_address(registry: TinyRegistry, client: Client) -> None:
    registry.rule("/manifests/", lambda h: h.redirect("file:///etc/passwd"))
    with pytest.raises(RegistryError, match='"file:///etc/passwd" is not an address'):
        client.manifest("1")


def test_nobody_listens(client_of: MakeClient, pauses: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RegistryError) as raised:
            client_of(f"{address}/thing").manifest("1")
    assert raised.value.message == f'cannot reach registry "{address}": connection refused'
    assert "HTTPS_PROXY" in (raised.value.hint or "")
    assert pauses == []


def test_host_name_that_does_not_exist(
    client_of: MakeClient, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RegistryError, match="the host name is not known") as raised:
        client_of("no.such.example/thing").manifest("1")
    assert 'registry "no.such.example"' in raised.value.message
    assert pauses == []


def test_docker_hub_lives_at_another_host(
    client_of: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RegistryError):
        client_of("debian").manifest("12")
    assert asked == ["registry-1.docker.io"]


def test_plain_http_where_tls_is_asked_for(
    registry: TinyRegistry, client_of: MakeClient, monkeypatch: pytest.MonkeyPatch, image: TinyImage
) -> None:
    registry.put(image, "1")
    real = socket.getaddrinfo

    def here(_: str, port: int, *more: object, **named: object) -> object:
        return real("127.0.0.1", port, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", here)
    name = f"registry.example:{registry.server.server_port}/thing"
    with pytest.raises(RegistryError, match="speaks plain HTTP, not TLS") as raised:
        client_of(name).manifest("1")
    assert "--tls-verify=false" in (raised.value.hint or "")
    assert client_of(name, verify=False).manifest("1").digest == image.digest


def test_threads_share_a_client(registry: TinyRegistry, client: Client) -> None:
    blobs = [big_blob(registry, 200_000 + number) for number in range(6)]
    got: dict[int, bytes] = {}

    def fetch(number: int) -> None:
        got[number] = b"".join(client.blob(blobs[number][0]))

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: data for number, (_, data) in enumerate(blobs)}


def test_no_time_is_lost_on_a_silent_server(client_of: MakeClient, pauses: list[float]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        client = client_of(f"127.0.0.1:{silent.getsockname()[1]}/thing")
        client.session._transport.timeout = 0.05
        begin = time.monotonic()
        with pytest.raises(RegistryError, match="no answer in time"):
            client.manifest("1")
        assert time.monotonic() - begin < 30


def test_error_document_that_is_none(registry: TinyRegistry, client: Client) -> None:
    registry.rule("/manifests/", lambda h: h.answer(418, json.dumps("teapot").encode()))
    with pytest.raises(RegistryError, match="answered 418"):
        client.manifest("1")
