"""A container's networks as docker's `inspect` tells them."""

from __future__ import annotations

from rcrun.engine.bridge import names_of
from rcrun.errors import NotFound
from rcrun.network import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.storage.containers import Container, Status

    Object = dict[str, Any]

EMPTY: Object = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "DriverOpts": None,
    "GwPriority": 0,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
    "DNSNames": None,
}


def networks_of(container: Container, now: Status) -> Object:
    """The addresses while it runs: with its end they are given up."""
    network = container.record["network"]
    endpoints = (network.get("endpoints") or {}) if now.is_running else {}
    return {
        asked["name"]: _one(container, asked, endpoints.get(asked["name"]) or {})
        for asked in network.get("networks") or ()
    }


def _one(container: Container, asked: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Object:
    try:
        definition = definitions.load(container.store, asked["name"])
    except NotFound:
        definition = {"id": "", "subnets": []}
    wanted = {"IPv4Address": asked.get("ip"), "IPv6Address": asked.get("ip6")}
    found: Object = {
        **EMPTY,
        "IPAMConfig": {key: value for key, value in wanted.items() if value} or None,
        "Aliases": [*(asked.get("aliases") or ()), container.id[:12]],
        "NetworkID": definition["id"],
        "EndpointID": endpoint.get("id", ""),
        "MacAddress": endpoint.get("mac", ""),
        "DNSNames": names_of(container, dict(asked)),
    }
    for text in endpoint.get("addresses") or ():
        address, _, prefix = text.partition("/")
        gateway = _gateway_of(definition, ":" in address)
        if ":" in address:
            more = {
                "GlobalIPv6Address": address,
                "GlobalIPv6PrefixLen": int(prefix),
                "IPv6Gateway": gateway,
            }
        else:
            more = {"IPAddress": address, "IPPrefixLen": int(prefix), "Gateway": gateway}
        found.update(more)
    return found


def _gateway_of(definition: Mapping[str, Any], is_six: bool) -> str:
    rows = definition["subnets"]
    return next(
        (str(row.get("gateway") or "") for row in rows if (":" in row["subnet"]) == is_six), ""
    )
