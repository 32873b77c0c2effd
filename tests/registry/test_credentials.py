from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput
from rcrun.registry.credentials import auth_paths, find, from_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, object], Path]


def encoded(user: str, password: str = "secret") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": f"{tmp_path}/home",
        "XDG_RUNTIME_DIR": f"{tmp_path}/run",
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, value: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return write


def user_for(environ: dict[str, str], domain: str, path: str = "x", authfile: str = "") -> str:
    found = find(environ, domain, path, authfile=authfile).credentials
    return found.username if found else ""


def test_order_of_the_files(environ: dict[str, str], write: Write) -> None:
    assert user_for(environ, "host") == ""
    write("home/.dockercfg", {"host": encoded("dockercfg")})
    assert user_for(environ, "host") == "dockercfg"
    for name in (
        "home/.docker/config.json",
        "home/.config/containers/auth.json",
        "run/containers/auth.json",
    ):
        write(name, {"auths": {"host": encoded(name)}})
        assert user_for(environ, "host") == name
    explicit = write("mine.json", {"auths": {"host": encoded("mine")}})
    assert user_for(environ, "host", authfile=str(explicit)) == "mine"
    assert user_for({**environ, "REGISTRY_AUTH_FILE": str(explicit)}, "host") == "mine"
    inline = json.dumps({"auths": {"host": encoded("inline")}})
    assert user_for({**environ, "DOCKER_AUTH_CONFIG": inline}, "host") == "inline"
    other = write("elsewhere/config.json", {"auths": {"host": encoded("elsewhere")}})
    assert f"{other}" in auth_paths({**environ, "DOCKER_CONFIG": str(other.parent)})


def test_the_longest_key_wins(environ: dict[str, str], write: Write) -> None:
    write(
        "run/containers/auth.json",
        {
            "auths": {
                "host": encoded("host"),
                "host/team": encoded("team"),
                "host/team/app": encoded("app"),
                "host:5000": encoded("port"),
            }
        },
    )
    assert user_for(environ, "host", "team/app") == "app"
    assert user_for(environ, "host", "team/other") == "team"
    assert user_for(environ, "host", "teamwork/app") == "host"
    assert user_for(environ, "host:5000", "team/app") == "port"
    assert user_for(environ, "other.host", "team/app") == ""


@pytest.mark.parametrize(
    ("key", "domain"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://host.example/v2/", "host.example"),
        ("http://host.example", "host.example"),
        ("host.example/", "host.example"),
    ],
)
def test_keys_of_older_files(environ: dict[str, str], write: Write, key: str, domain: str) -> None:
    write("home/.docker/config.json", {"auths": {key: encoded("me")}})
    assert user_for(environ, domain, "library/x") == "me"


def test_forms_of_an_entry(environ: dict[str, str], write: Write) -> None:
    write(
        "home/.docker/config.json",
        {
            "auths": {
                "a": {"username": "me", "password": "secret"},
                "b": {"auth": encoded("me", "with:colon")["auth"]},
                "c": {"auth": encoded("", "")["auth"], "identitytoken": "token"},
                "d": {},
            }
        },
    )
    a, b, c = (find(environ, domain, "x").credentials for domain in "abc")
    assert a is not None
    assert b is not None
    assert c is not None
    assert (a.username, a.password) == ("me", "secret")
    assert b.password == "with:colon"
    assert c.identity_token == "token"
    assert find(environ, "d", "x").credentials is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not valid JSON"),
        ("[]", "does not hold a JSON object"),
        ('{"auths":{"host":{"auth":"%%%"}}}', "is not base64"),
        ('{"auths":{"host":{"auth":"bm9jb2xvbg=="}}}', "without a colon"),
        ('{"credHelpers":{"host":"../../bin/sh"}}', "which is no plain name"),
    ],
)
def test_damaged_files(environ: dict[str, str], write: Write, text: str, words: str) -> None:
    path = write("home/.docker/config.json", text)
    with pytest.raises(InvalidInput, match=words) as raised:
        find(environ, "host", "x")
    assert f'"{path}"' in raised.value.message


def test_empty_file_is_no_fault(environ: dict[str, str], write: Write) -> None:
    write("run/containers/auth.json", "\n")
    write("home/.docker/config.json", {"auths": {"host": encoded("me")}})
    assert user_for(environ, "host") == "me"


def helper(write: Write, name: str, script: str) -> None:
    write(f"bin/docker-credential-{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)


def test_helper_of_a_registry(environ: dict[str, str], write: Write) -> None:
    helper(write, "one", 'read server; echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}"')
    helper(write, "all", 'echo \'{"Username":"<token>","Secret":"identity"}\'')
    write(
        "home/.docker/config.json",
        {"credHelpers": {"host": "one", "docker.io": "one"}, "credsStore": "all"},
    )
    assert user_for(environ, "host") == "host"
    assert user_for(environ, "docker.io") == "https://index.docker.io/v1/"
    stored = find(environ, "third", "x").credentials
    assert stored is not None
    assert stored.identity_token == "identity"


def test_helper_that_knows_nothing(environ: dict[str, str], write: Write) -> None:
    helper(write, "all", "echo credentials not found in native keychain; exit 1")
    write("home/.docker/config.json", {"credsStore": "all"})
    found = find(environ, "host", "x")
    assert found.credentials is None
    assert found.trouble == ""


def test_helper_that_is_missing_leaves_us_anonymous(environ: dict[str, str], write: Write) -> None:
    """Docker refuses to pull public images then, which hurts everybody who shares a home with a desktop."""
    path = write("home/.docker/config.json", {"credsStore": "desktop"})
    found = find(environ, "docker.io", "library/debian")
    assert found.credentials is None
    assert "docker-credential-desktop" in found.trouble
    assert str(path) in found.trouble


def test_creds_option() -> None:
    given = from_option("me:pass:word")
    assert (given.username, given.password) == ("me", "pass:word")
    with pytest.raises(InvalidInput, match="--creds"):
        from_option(":x")
