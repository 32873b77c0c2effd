"""Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl and Go read them."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote, urlsplit

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Proxy:
    """Host, port and the value of Proxy-Authorization, empty without a user."""

    __slots__ = ("authorization", "host", "port")

    def __init__(self, host: str, port: int, authorization: str) -> None:
        self.host = host
        self.port = port
        self.authorization = authorization


def is_local(host: str) -> bool:
    """This machine, where docker and podman too do without TLS."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> Proxy | None:
    if is_local(host) or _is_excluded(host, port, _either(environ, "no_proxy")):
        return None
    name = f"{scheme}_proxy"
    text = _either(environ, name) or _either(environ, "all_proxy")
    return _parse(name.upper(), text) if text else None


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _parse(variable: str, text: str) -> Proxy:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        shown = text.rpartition("@")[2]  # the part before it may be a password
        raise InvalidInput(
            f'{variable} holds "{shown}", which is no proxy that can be used',
            f"export {variable}=http://HOST:PORT",
        )
    return Proxy(parts.hostname, port, _authorization(parts.username, parts.password))


def _authorization(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    import base64

    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def _is_excluded(host: str, port: int, no_proxy: str) -> bool:
    return any(_matches(host, port, entry.strip().lower()) for entry in no_proxy.split(","))


def _matches(host: str, port: int, entry: str) -> bool:
    """One word of NO_PROXY: `*`, a domain with all below it, `.domain` for those below it, an address, a network."""
    if not entry:
        return False
    if entry == "*":
        return True
    if "/" in entry:
        return _is_in_network(host, entry)
    name, wanted = _split_port(entry)
    if wanted and wanted != str(port):
        return False
    name = name.removeprefix("*")
    host = host.lower()
    return (
        host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")
    )


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _is_in_network(host: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except (ValueError, TypeError):
        return False
