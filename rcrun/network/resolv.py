"""The text of a container's /etc/resolv.conf. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Where pasta and slirp4netns pass questions on to the host's first server, be it a loopback one such as
# systemd-resolved's 127.0.0.53; the second where the host has IPv6 only.
FORWARDER, FORWARDER6 = "10.0.2.3", "fd72:6372:756e::3"


def forwarder(host_address: str) -> str:
    return FORWARDER6 if ":" in host_address else FORWARDER


def asks_forwarder(text: str) -> bool:
    """Whether this resolv.conf names it, or a server that only it can reach."""
    servers = parse(text).servers
    return any(server in (FORWARDER, FORWARDER6) or is_local(server) for server in servers)


class Resolv:
    """nameserver, search and options of a resolv.conf(5)."""

    __slots__ = ("options", "search", "servers")

    def __init__(self, servers: list[str], search: list[str], options: list[str]) -> None:
        self.servers = servers
        self.search = search
        self.options = options

    def __str__(self) -> str:
        lines = [f"nameserver {server}\n" for server in self.servers]
        if self.search:
            lines.insert(0, f"search {' '.join(self.search)}\n")
        if self.options:
            lines.append(f"options {' '.join(self.options)}\n")
        return "".join(lines)


def parse(text: str) -> Resolv:
    found = Resolv([], [], [])
    for line in text.splitlines():
        words = line.partition("#")[0].partition(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            found.servers.append(words[1])
        elif words[0] in ("search", "domain"):
            found.search = words[1:]
        elif words[0] == "options":
            found.options += words[1:]
    return found


def is_local(server: str) -> bool:
    """Means the host itself, and so nothing in a network namespace of the container's own."""
    return server.startswith("127.") or server in ("::1", "0.0.0.0", "::")


def text(
    host: str,
    *,
    own_network: bool,
    forwarder: str = "",
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> str:
    """The host's settings, each replaced by what was asked for.

    In a network of the container's own the host's loopback servers cannot be reached; `forwarder` is the
    address where its network passes questions on to them.
    """
    result = parse(host)
    if servers:
        result.servers = [_checked(server) for server in servers]
    elif own_network:
        result.servers = _reachable(result.servers, forwarder)
    if search:
        result.search = [] if list(search) == ["."] else list(search)
    if options:
        result.options = list(options)
    return str(result)


def _reachable(servers: list[str], forwarder: str) -> list[str]:
    kept = [server for server in servers if not is_local(server) and "%" not in server]
    if len(kept) == len(servers) and kept:
        return kept
    return [forwarder, *kept] if forwarder else kept


def _checked(server: str) -> str:
    import _socket

    family = _socket.AF_INET6 if ":" in server else _socket.AF_INET
    try:
        _socket.inet_pton(family, server)
    except OSError:
        raise InvalidInput(f'invalid --dns "{server}": it is not an IP address') from None
    return server
