from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput
from rcrun.registry.proxy import is_local, proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import Handler, TinyRegistry

    from rcrun.registry.client import Client
    from tiny_image import TinyImage

HTTPS = {"HTTPS_PROXY": "http://proxy.example:3128"}


def goes_through(host: str, port: int = 443, **environ: str) -> bool:
    return proxy_for("https", host, port, {**HTTPS, **environ}) is not None


def test_which_variable() -> None:
    assert proxy_for("https", "a.example", 443, {}) is None
    assert proxy_for("http", "a.example", 80, HTTPS) is None
    for environ in (
        {"https_proxy": "http://p.example:1"},
        {"HTTPS_PROXY": "p.example:1"},
        {"ALL_PROXY": "http://p.example:1"},
        {"https_proxy": "http://p.example:1", "HTTPS_PROXY": "http://other.example:2"},
    ):
        proxy = proxy_for("https", "a.example", 443, environ)
        assert proxy is not None
        assert (proxy.host, proxy.port, proxy.authorization) == ("p.example", 1, "")


def test_user_and_password() -> None:
    proxy = proxy_for("https", "a", 443, {"https_proxy": "http://me:p%40ss@p.example:1"})
    assert proxy is not None
    assert proxy.authorization == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize("value", ["socks5://me:secret@p:1", "http://:1", "http://p:port"])
def test_proxies_that_cannot_be_used(value: str) -> None:
    with pytest.raises(InvalidInput, match="HTTPS_PROXY holds") as raised:
        proxy_for("https", "a.example", 443, {"HTTPS_PROXY": value})
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        (".a.example", "a.example", False),
        ("ample", "a.example", False),
        ("other, a.example", "a.example", True),
        ("a.example:443", "a.example", True),
        ("a.example:80", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "a.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("[2001:db8::1]:443", "2001:db8::1", True),
        (",,", "a.example", False),
        ("not/anetwork", "10.0.0.1", False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, direct: bool) -> None:
    assert goes_through(host, no_proxy=no_proxy) is not direct


def test_this_machine_needs_no_proxy() -> None:
    for host in ("localhost", "registry.localhost", "127.0.0.1", "127.8.8.8", "::1"):
        assert is_local(host)
        assert not goes_through(host)
    assert not is_local("localhost.example")
    assert not is_local("128.0.0.1")


def test_plain_http_through_a_proxy(
    registry: TinyRegistry, client_of: Callable[..., Client], image: TinyImage
) -> None:
    """Our registry plays the proxy: it gets the whole URL, and CONNECT is not its language."""

    def as_proxy(handler: Handler) -> None:
        assert handler.path.startswith("http://registry.example/v2/")
        handler.path = handler.path.removeprefix("http://registry.example")
        registry.serve(handler)

    registry.put(image, "1")
    registry.rule("http://registry.example/", as_proxy, times=9)
    proxy = f"http://me:secret@{registry.address}"
    environ = {"http_proxy": proxy, "https_proxy": proxy}
    client = client_of("registry.example/x", environ=environ, verify=False)
    assert client.manifest("1").digest == image.digest
    sent = [asked.headers.get("Proxy-Authorization") for asked in registry.asked]
    assert set(sent) == {"Basic bWU6c2VjcmV0"}


def test_proxy_that_refuses(registry: TinyRegistry, client_of: Callable[..., Client]) -> None:
    from rcrun.errors import RegistryError

    client = client_of("registry.example/x", environ={"https_proxy": registry.address})
    with pytest.raises(RegistryError, match=r'"registry\.example": tunnel connection failed: 501'):
        client.manifest("1")
