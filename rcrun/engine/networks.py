"""The networks that containers share: found, listed, told."""

from __future__ import annotations

from rcrun.engine.filters import parsed
from rcrun.errors import InvalidInput, NotFound
from rcrun.formats import networkflag
from rcrun.network import definitions
from rcrun.storage.containers import every as every_container
from rcrun.storage.containers import seconds_of, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.network.definitions import Definition
    from rcrun.paths import Store
    from rcrun.storage.containers import Container

    Object = dict[str, Any]

# Finding.


def find(store: Store, text: str) -> Definition:
    """By name, id, or unambiguous beginning of an id."""
    try:
        return definitions.load(store, text)
    except NotFound:
        found = [each for each in definitions.every(store) if text and each["id"].startswith(text)]
    if len(found) > 1:
        raise InvalidInput(f'several networks have an id that begins with "{text}"')
    if not found:
        raise NotFound(f"no such network: {text}")
    return found[0]


def told(store: Store, text: str) -> Definition:
    """One to be told of: also `host` and `none`, which docker knows."""
    try:
        return find(store, text)
    except NotFound:
        for each in built_in(()):
            if text == each["name"] or (len(text) >= 4 and each["id"].startswith(text)):
                return each
        raise


def users(store: Store) -> dict[str, list[Container]]:
    """The containers of each network, running or not."""
    found: dict[str, list[Container]] = {}
    for container in every_container(store):
        for asked in (container.record.get("network") or {}).get("networks") or ():
            found.setdefault(asked["name"], []).append(container)
    return found


def is_in_use(name: str, used: Mapping[str, Sequence[Container]]) -> bool:
    return bool(used.get(name))


def has_id(store: Store, name: str, prefix: str) -> bool:
    found = definitions.read(definitions.path_of(store, name))
    return found is not None and len(prefix) >= 4 and str(found["id"]).startswith(prefix)


# Lists.

_FILTERS = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type", "until")


def matching(store: Store, filters: Sequence[str]) -> list[Definition]:
    asked = parsed(filters, _FILTERS)
    used = users(store) if "dangling" in asked else {}
    return [each for each in definitions.every(store) if passes(each, asked, used)]


def passes(
    network: Definition, asked: Mapping[str, list[str]], used: Mapping[str, Sequence[Container]]
) -> bool:
    for key, values in asked.items():
        holds = [_holds(network, key, value, used) for value in values]
        if not (all(holds) if key.startswith("label") else any(holds)):
            return False
    return True


def _holds(
    network: Definition, key: str, value: str, used: Mapping[str, Sequence[Container]]
) -> bool:
    if key == "name":
        import re

        return re.search(value, network["name"]) is not None
    if key in ("label", "label!"):
        return _has_label(network, value) == (key == "label")
    if key == "until":
        import time

        from rcrun.formats import moment

        return seconds_of(network["created"]) < moment.parse(value, time.time_ns()) / 1e9
    if key == "dangling":
        return (value in ("true", "1")) == (not is_in_use(network["name"], used))
    if key == "type":
        builtin = (networkflag.DEFAULT, *definitions.BUILT_IN)
        return value == ("builtin" if network["name"] in builtin else "custom")
    return {
        "driver": bool(network["driver"] == value),
        "id": str(network["id"]).startswith(value),
        "scope": value == "local",
    }[key]


def _has_label(network: Definition, text: str) -> bool:
    name, equals, wanted = text.partition("=")
    labels: Mapping[str, str] = network.get("labels") or {}
    return name in labels and (not equals or labels[name] == wanted)


# As docker and podman show it.


def docker_object(store: Store, network: Definition) -> Object:
    """`network inspect`, with what podman adds."""
    return {
        "Name": network["name"],
        "Id": network["id"],
        "Created": network["created"],
        "Scope": "local",
        "Driver": network["driver"],
        "EnableIPv4": any(":" not in row["subnet"] for row in network["subnets"]),
        "EnableIPv6": bool(network["ipv6_enabled"]),
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [_ipam_row(row) for row in network["subnets"]],
        },
        "Internal": bool(network["internal"]),
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            container.id: _docker_member(endpoint, container)
            for container, endpoint in members(store, network["name"])
        },
        "Options": dict(network.get("options") or {}),
        "Labels": dict(network.get("labels") or {}),
    }


def _podman_subnet(network: Definition, address: str) -> Object:
    is_6 = ":" in address
    for row in network["subnets"]:
        if row.get("gateway") and (":" in row["subnet"]) == is_6:
            return {"ipnet": address, "gateway": row["gateway"]}
    return {"ipnet": address}


def podman_object(store: Store, network: Definition) -> Object:
    found: Object = dict(network)
    found["name"] = shown_name(network["name"], "podman")
    found["containers"] = {
        container.id: {
            "name": container.name,
            "interfaces": {
                endpoint["interface"]: {
                    "subnets": [_podman_subnet(network, each) for each in endpoint["addresses"]],
                    "mac_address": endpoint["mac"],
                }
            },
        }
        for container, endpoint in members(store, network["name"])
    }
    return found


def shown_name(name: str, personality: str) -> str:
    return (
        networkflag.OTHER_DEFAULT
        if name == networkflag.DEFAULT and personality == "podman"
        else name
    )


def _ipam_row(row: Mapping[str, Any]) -> Object:
    found = {"Subnet": row["subnet"]}
    if row.get("gateway"):
        found["Gateway"] = row["gateway"]
    lease = row.get("lease_range")
    if lease:
        found["IPRange"] = f"{lease['start_ip']}-{lease['end_ip']}"
    return found


def _docker_member(endpoint: Mapping[str, Any], container: Container) -> Object:
    addresses = endpoint["addresses"]
    return {
        "Name": container.name,
        "EndpointID": endpoint["id"],
        "MacAddress": endpoint["mac"],
        "IPv4Address": next((each for each in addresses if ":" not in each), ""),
        "IPv6Address": next((each for each in addresses if ":" in each), ""),
    }


def members(store: Store, name: str) -> list[tuple[Container, Mapping[str, Any]]]:
    """The containers that run on it, with their endpoints."""
    return [
        (container, endpoint)
        for container in users(store).get(name, ())
        if (endpoint := container.record["network"].get("endpoints", {}).get(name))
        and status(container).is_running
    ]


def built_in(filters: Sequence[str]) -> list[Definition]:
    """`host` and `none`, which docker lists."""
    asked = parsed(filters, _FILTERS)
    found = []
    for name, driver in (("host", "host"), ("none", "null")):
        each: Definition = {
            "name": name,
            "id": (name.encode().hex() * 16)[:64],
            "driver": driver,
            "created": "0001-01-01T00:00:00.000000000Z",
            "subnets": [],
            "ipv6_enabled": False,
            "internal": False,
            "labels": {},
        }
        if "dangling" not in asked and "until" not in asked and passes(each, asked, {}):
            found.append(each)
    return found
