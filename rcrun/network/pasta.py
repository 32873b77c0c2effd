"""The command line of pasta, of the words that every version since 2023 has. Pure."""

from __future__ import annotations

from rcrun.network.resolv import forwarder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Port = Mapping[str, Any]

# The container's side, the same as slirp4netns gives, so that resolv.conf and inspect need not know which it is.
# pasta translates nothing: whom the host reaches, the container reaches under the same address. An address of its
# own, where pasta would lend it the host's, is what lets it reach the host.
ADDRESS, PREFIX, GATEWAY = "10.0.2.100", "24", "10.0.2.2"
ADDRESS6, GATEWAY6 = "fd72:6372:756e::100", "fd72:6372:756e::2"
INTERFACE = "eth0"

# Who gives one of these wants to arrange addresses alone.
_ARRANGING = frozenset(
    "-a --address -n --netmask -g --gateway -i --interface -M --mac-addr --outbound-if4"
    " --outbound-if6 -4 --ipv4-only -6 --ipv6-only".split()
)
# Without a default route pasta knows no interface to copy from; it only needs the name of one.
_ISOLATED = ["-4", "-i", "lo", "-M", "02:00:00:00:00:01"]


def words(
    ports: Sequence[Port],
    options: Sequence[str],
    host: tuple[str, str],
    *,
    forwards: bool = True,
) -> list[str]:
    """No ports but the published ones, in neither direction; `host` as route.own_addresses() says it.

    `forwards`: the container asks the forwarder for names. One that asks the host's own server is not to have it:
    to Debian 12's pasta every answer of that server would be the forwarder's.
    """
    own = [option for option in options if option != "--map-gw"]
    return [
        "--config-net",
        "--quiet",
        *([] if "--map-gw" in options else ["--no-map-gw"]),
        *([] if _ARRANGING.intersection(own) else address_words(host)),
        *([] if _has(own, "-I", "--ns-ifname") else ["-I", INTERFACE]),
        *(_forward_words(host) if forwards and not _has(own, "--dns-forward") else []),
        *_port_words("-t", "tcp", ports),
        *_port_words("-u", "udp", ports),
        "-T", "none",
        "-U", "none",
        *own,
    ]  # fmt: skip


def _forward_words(host: tuple[str, str]) -> list[str]:
    return ["--dns-forward", forwarder(host[0] or host[1])]


def _has(options: Sequence[str], *names: str) -> bool:
    return any(option in names or option.startswith(f"{names[-1]}=") for option in options)


def address_words(host: tuple[str, str]) -> list[str]:
    ip4 = ["-a", ADDRESS, "-n", PREFIX, "-g", GATEWAY]
    ip6 = ["-a", ADDRESS6, "-g", GATEWAY6, "--no-ra", "--no-dhcpv6"]
    if host[0] and host[1]:
        return [*ip4, *ip6]
    if host[1]:
        return ["-6", *ip6]
    return ["-4", *ip4] if host[0] else [*_ISOLATED, *ip4]


def _port_words(option: str, protocol: str, ports: Sequence[Port]) -> list[str]:
    addresses: dict[str, list[str]] = {}
    for port in ports:
        if port["protocol"] == protocol:
            pair = f"{port['host_port']}:{port['container_port']}"
            addresses.setdefault(pair, []).append(port["host_ip"] or "0.0.0.0")
    found = [word for pair in addresses for word in _specifiers(pair, addresses[pair])]
    return [word for each in found for word in (option, each)] or [option, "none"]


def _specifiers(pair: str, addresses: list[str]) -> list[str]:
    """All of IPv4 unless another address was named.

    Not IPv6 as well: there pasta takes a connection for a program that listens on IPv4 only, too, and
    `curl localhost:8080`, which tries ::1 first, would fail where it now goes on to 127.0.0.1.
    """
    if {"0.0.0.0", "::"} <= set(addresses):
        return [pair]  # pasta has it twice as overlapping, and means both when none is named
    return [f"{address}/{pair}" for address in dict.fromkeys(addresses)]
