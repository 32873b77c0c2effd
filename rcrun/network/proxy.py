"""The command line of the shim's port proxy (docs/plan.md), which publishes the ports of a container on bridges. Pure."""

from __future__ import annotations

from rcrun.kernel.shim import shim_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def helper_words(
    ports: Sequence[Mapping[str, Any]],
    addresses: Sequence[str],
    gateways: Sequence[str],
    room: str,
    *,
    transparent: bool = True,
) -> list[list[str]]:
    """Of one process, or of two: `room` is PID:START of its holder, and `transparent` what its rules can do; a port leads to the container's address of the same family, if it has one.

    Servers see the client's address. In the container's own network that needs nothing of the firewall and is faster,
    but is possible for TCP alone; the proxy of UDP is in the room, whose rules see to it. A client on
    the host's loopback, whose address would mean another host inside, shows as the gateway.
    """
    places = {"tcp": ("@PID@", "marked"), "udp": (room, "kept" if transparent else "own")}
    found = []
    for protocol, (into, source) in places.items():
        listeners = [
            _listener(port, _target(port["host_ip"], addresses))
            for port in ports
            if port["protocol"] == protocol
        ]
        source = "/".join([source, *gateways])
        if listeners:
            found.append([shim_path(), "proxy", "@READY@", into, source, *listeners])
    return found


def _target(host_ip: str, addresses: Sequence[str]) -> str:
    alike = [each for each in addresses if (":" in each) == (":" in host_ip)]
    return (alike or list(addresses))[0]


def _listener(port: Mapping[str, Any], target: str) -> str:
    """PROTOCOL/ADDRESS/PORT/TARGET/PORT"""
    words = (port["protocol"], port["host_ip"], port["host_port"], target, port["container_port"])
    return "/".join(map(str, words))
