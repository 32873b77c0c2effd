"""Credentials that are checked, kept where docker and podman keep them, used, and forgotten."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput, RcrunError, RegistryError
from rcrun.registry.credentials import Credentials, find
from rcrun.registry.login import auth_path, domain_of, forget, keep, verify

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_registry import TinyRegistry

ME = Credentials("me", "pass:word", "test")


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("host.example", "host.example"),
        ("https://host.example/v2/", "host.example"),
        ("localhost:5000", "localhost:5000"),
        ("intranet", "intranet"),
    ],
)
def test_which_registry(text: str, domain: str) -> None:
    assert domain_of(text) == domain


@pytest.mark.parametrize("text", ["host.example/team", "a b", "-x", "host:port"])
def test_what_is_no_registry(text: str) -> None:
    with pytest.raises(InvalidInput):
        domain_of(text)


@pytest.mark.parametrize("kind", ["", "basic", "bearer"])
def test_checked_with_the_registry(registry: TinyRegistry, kind: str) -> None:
    registry.auth = kind
    registry.users["me"] = "pass:word"
    verify(registry.address, ME, {})
    if kind:
        with pytest.raises(RegistryError, match='denies access to the user "me"'):
            verify(registry.address, Credentials("me", "wrong", "test"), {})


def test_kept_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "new/config.json"
    environ = {"DOCKER_CONFIG": str(path.parent)}
    assert keep(str(path), "docker.io", ME, {}) == ""
    assert keep(str(path), "host.example", Credentials("other", "x", ""), {}) == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(path.read_bytes())["auths"]) == {
        "https://index.docker.io/v1/",
        "host.example",
    }
    found = find(environ, "docker.io", "library/x").credentials
    assert found is not None
    assert (found.username, found.password) == ("me", "pass:word")
    assert forget(str(path), "docker.io", {})
    assert not forget(str(path), "docker.io", {})
    assert find(environ, "docker.io", "library/x").credentials is None
    assert find(environ, "host.example", "x").credentials is not None


def test_what_else_the_file_holds_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"auths":{"https://host.example/v1/":{"auth":"eDp5"}},"detachKeys":"ctrl-x"}')
    keep(str(path), "host.example", ME, {})
    document = json.loads(path.read_bytes())
    assert document["detachKeys"] == "ctrl-x"
    assert list(document["auths"]) == ["host.example"]


def test_a_helper_keeps_them(tmp_path: Path) -> None:
    helper = tmp_path / "docker-credential-safe"
    helper.write_text(f'#!/bin/sh\necho "$1 $(cat)" >> {tmp_path}/log\n')
    helper.chmod(0o755)
    path = tmp_path / "config.json"
    path.write_text('{"credsStore":"safe"}')
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert keep(str(path), "host.example", ME, environ) == "safe"
    assert json.loads(path.read_bytes())["auths"] == {"host.example": {}}
    assert forget(str(path), "host.example", environ)
    verb, _, data = (tmp_path / "log").read_text().partition(" ")
    assert verb == "store"
    assert json.loads(data.splitlines()[0])["Secret"] == "pass:word"
    assert data.splitlines()[1] == "erase host.example"
    path.write_text('{"credsStore":"missing"}')
    with pytest.raises(RcrunError, match="docker-credential-missing"):
        keep(str(path), "host.example", ME, environ)


def test_where_they_are_kept() -> None:
    environ = {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/me"}
    assert auth_path(environ, authfile="", for_podman=False) == "/home/me/.docker/config.json"
    assert auth_path(environ, authfile="", for_podman=True) == "/run/me/containers/auth.json"
    assert auth_path(environ, authfile="/x", for_podman=True) == "/x"
    assert auth_path({**environ, "REGISTRY_AUTH_FILE": "/y"}, authfile="", for_podman=False) == "/y"
    with pytest.raises(InvalidInput, match="no HOME"):
        auth_path({}, authfile="", for_podman=False)
