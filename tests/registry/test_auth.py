from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rcrun.errors import RegistryError
from rcrun.registry.auth import parse_challenges
from rcrun.registry.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import TinyRegistry

    from rcrun.registry.client import Client
    from tiny_image import TinyImage

    MakeClient = Callable[..., Client]

ME = Credentials("me", "pass:word", "/home/me/auth.json")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/t",service="s, t=u",scope="repository:x:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/t",
                        "service": "s, t=u",
                        "scope": "repository:x:pull,push",
                    },
                )
            ],
        ),
        (
            'Negotiate, Basic realm="a \\"b\\"", BEARER Realm = https://x , error="invalid_token"',
            [
                ("negotiate", {}),
                ("basic", {"realm": 'a "b"'}),
                ("bearer", {"realm": "https://x", "error": "invalid_token"}),
            ],
        ),
        ("", []),
        (',,="', []),
        ('realm="lost"', []),
    ],
)
def test_challenges(text: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(each.scheme, each.parameters) for each in parse_challenges(text)] == found


def test_anonymous_token(registry: TinyRegistry, client_of: MakeClient, image: TinyImage) -> None:
    registry.auth = "bearer"
    registry.put(image, "1")
    client = client_of(f"{registry.address}/x:1")
    assert client.manifest("1").digest == image.digest
    assert b"".join(client.blob(image.layer_descriptor())) == image.layers[0]
    assert registry.token_queries() == [
        {"scope": ["repository:x:pull"], "service": ["tiny, really"]}
    ]
    token_request = next(asked for asked in registry.asked if asked.path.startswith("/token"))
    assert "Authorization" not in token_request.headers


def test_token_for_a_user(registry: TinyRegistry, client_of: MakeClient, image: TinyImage) -> None:
    registry.auth = "bearer"
    registry.anonymous = False
    registry.users["me"] = "pass:word"
    registry.put(image, "1")
    assert client_of(f"{registry.address}/x", credentials=ME).manifest("1").digest == image.digest
    assert registry.token_queries()[0]["account"] == ["me"]


def test_identity_token(registry: TinyRegistry, client_of: MakeClient, image: TinyImage) -> None:
    registry.auth = "bearer"
    registry.anonymous = False
    registry.users["refresh"] = ""
    registry.put(image, "1")
    mine = Credentials("", "", "file", identity_token="refresh")
    assert client_of(f"{registry.address}/x", credentials=mine).manifest("1").digest == image.digest
    token_request = next(asked for asked in registry.asked if asked.path.startswith("/token"))
    assert token_request.method == "POST"
    assert b"grant_type=refresh_token" in token_request.body
    assert "Authorization" not in token_request.headers


def test_token_that_expires_in_between(
    registry: TinyRegistry, client_of: MakeClient, image: TinyImage
) -> None:
    registry.auth = "bearer"
    registry.put(image, "1")
    client = client_of(f"{registry.address}/x")
    client.manifest("1")
    registry.token = "another-token"
    assert client.manifest("1").digest == image.digest
    assert len(registry.paths("/token")) == 2


def test_token_that_is_refused_is_not_asked_for_forever(
    registry: TinyRegistry, client_of: MakeClient, image: TinyImage
) -> None:
    registry.auth = "bearer"
    registry.rule("/token", lambda h: h.answer(200, b'{"access_token":"useless"}'), times=9)
    with pytest.raises(RegistryError, match="denies access") as raised:
        client_of(f"{registry.address}/x").manifest("1")
    assert "it does not exist or needs a login" in raised.value.message
    assert raised.value.hint == f"check the name; if it is private: rcrun login {registry.address}"
    assert len(registry.paths("/token")) == 1


def test_wrong_password(registry: TinyRegistry, client_of: MakeClient) -> None:
    registry.auth = "bearer"
    with pytest.raises(RegistryError) as raised:
        client_of(f"{registry.address}/x", credentials=ME).manifest("1")
    assert raised.value.message == (
        f'registry "{registry.address}" denies access to the user "me" of /home/me/auth.json: '
        "incorrect username or password"
    )
    assert "pass:word" not in raised.value.message + str(raised.value.hint)


def test_wrong_password_with_basic(registry: TinyRegistry, client_of: MakeClient) -> None:
    registry.auth = "basic"
    registry.users["me"] = "other"
    with pytest.raises(RegistryError, match=r'denies access to image ".*" to the user "me"'):
        client_of(f"{registry.address}/x", credentials=ME).manifest("1")
    assert len(registry.paths("/manifests/")) == 2


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"token":""}', b'{"token":"a\\r\\nX: y"}', b"<html>"]
)
def test_answers_that_hold_no_token(
    registry: TinyRegistry, client_of: MakeClient, body: bytes
) -> None:
    registry.auth = "bearer"
    registry.rule("/token", lambda h: h.answer(200, body), times=9)
    with pytest.raises(RegistryError, match="token"):
        client_of(f"{registry.address}/x").manifest("1")


def test_realm_that_is_no_address(registry: TinyRegistry, client_of: MakeClient) -> None:
    registry.auth = "bearer"
    registry.realm = "file:///etc/passwd"
    with pytest.raises(RegistryError, match="is not an address"):
        client_of(f"{registry.address}/x").manifest("1")


def test_realm_elsewhere_gets_the_credentials_and_nobody_else_the_token(
    registry: TinyRegistry, elsewhere: TinyRegistry, client_of: MakeClient, image: TinyImage
) -> None:
    """As with Docker Hub: one host gives tokens, a second has the API, a third has the blobs."""
    registry.auth = "bearer"
    registry.realm = f"{elsewhere.url}/token"
    elsewhere.users["me"] = "pass:word"
    registry.put(image, "1")
    elsewhere.put(image)
    digest = image.layer_descriptor()["digest"]
    registry.rule("/blobs/", lambda h: h.redirect(f"{elsewhere.url}/v2/x/blobs/{digest}"))
    client = client_of(f"{registry.address}/x", credentials=ME)
    client.manifest("1")
    assert b"".join(client.blob(image.layer_descriptor())) == image.layers[0]
    basic = ME.basic()
    assert all(asked.headers.get("Authorization") != basic for asked in registry.asked)
    for asked in elsewhere.asked:
        expected = basic if asked.path.startswith("/token") else None
        assert asked.headers.get("Authorization") == expected
