"""login and logout beyond a name and a password: whose secret, which file, who is logged in."""

from __future__ import annotations

import pytest

from registry.tiny_registry import TinyRegistry

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def registry():
    with TinyRegistry() as server:
        server.auth = "basic"
        server.anonymous = False
        server.users["octo"] = "s3cret"
        yield server


@pytest.fixture
def auth(rcrun):
    return str(rcrun.account.new_dir("auth") / "auth.json")


@pytest.fixture
def secret(rcrun):
    rcrun("secret", "create", "--env", "pw", "PASSWORD", env={"PASSWORD": "s3cret"}).check()
    yield "pw"
    rcrun("secret", "rm", "pw")


def test_the_password_is_in_a_secret(rcrun, registry, auth, secret):
    words = ["--authfile", auth, "-u", "octo", registry.address]
    got = rcrun("login", "-v", "--secret", secret, *words).check()
    assert got.out == "Login Succeeded\n"
    assert f"Used: {auth}" in got.err
    assert rcrun("login", "--get-login", "--authfile", auth, registry.address).out == "octo\n"
    assert rcrun("login", "--secret", secret, "-p", "x", *words).status == 1
    assert rcrun("login", "--secret", secret, "--authfile", auth, registry.address).status == 1
    assert rcrun("login", "--secret", "nosuch", *words).status == 1


def test_who_is_logged_in_and_who_is_not_any_more(rcrun, registry, auth, secret):
    words = ["--compat-auth-file", auth]
    nobody = rcrun("login", "--get-login", *words, registry.address)
    assert (nobody.status, nobody.out) == (1, "")
    assert f"not logged into {registry.address}" in nobody.err
    rcrun("login", "--secret", secret, "-u", "octo", *words, registry.address).check()
    assert rcrun("logout", "--all", registry.address, *words).status == 1
    assert (
        rcrun("logout", "--all", *words).check().out
        == "Removed login credentials for all registries\n"
    )
    assert rcrun("login", "--get-login", *words, registry.address).status == 1
    assert rcrun("logout", *words, registry.address).out == f"Not logged in to {registry.address}\n"
    both = rcrun("login", "--authfile", auth, *words, "-u", "x", "-p", "y", registry.address)
    assert "cannot be used together" in both.err
