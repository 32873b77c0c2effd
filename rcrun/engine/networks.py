"""The networks that containers share: made, listed, told; `networkrm.py` and `networkchange.py` have the rest."""

from __future__ import annotations

import os

from rcrun.engine.events_network import tell
from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.formats import cidr, names, networkflag
from rcrun.network import definitions, subnets
from rcrun.storage.containers import every as every_container
from rcrun.storage.containers import seconds_of, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.cidr import Subnet
    from rcrun.network.definitions import Definition
    from rcrun.paths import Store
    from rcrun.storage.containers import Container

    Object = dict[str, Any]

_RESERVED = ("none", "host", "default", "private", "pasta", "slirp4netns", "container", "ns", "bridge", "podman")  # fmt: skip
# Docker's words for options of the driver, and podman's.
_OPTIONS = {
    "mtu": "mtu",
    "com.docker.network.driver.mtu": "mtu",
    "com.docker.network.bridge.name": "name",
    "com.docker.network.bridge.inhibit_ipv4": "",
    "com.docker.network.container_iface_prefix": "",
    "com.docker.network.bridge.default_bridge": "",
    "com.docker.network.bridge.enable_ip_masquerade": "",
    "com.docker.network.bridge.host_binding_ipv4": "",
    "com.docker.network.enable_ipv6": "",
    "com.docker.network.bridge.enable_icc": "",
    "isolate": "isolate",
    "metric": "metric",
    "no_default_route": "no_default_route",
}


class Wanted:
    """What `network create` was asked for, as typed."""

    __slots__ = (
        "dns", "dns_enabled", "driver", "gateways", "ignore", "interface", "internal", "ip_ranges",
        "ipam_driver", "ipv4", "ipv6", "labels", "name", "options", "routes", "subnets",
    )  # fmt: skip

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.driver = "bridge"
        self.subnets: Sequence[str] = ()
        self.gateways: Sequence[str] = ()
        self.ip_ranges: Sequence[str] = ()
        self.ipv4 = True
        self.ipv6 = False
        self.internal = False
        self.dns_enabled = True
        self.dns: Sequence[str] = ()
        self.options: Mapping[str, str] = {}
        self.labels: Mapping[str, str] = {}
        self.routes: Sequence[str] = ()
        self.interface = ""
        self.ipam_driver = "host-local"
        self.ignore = False


def create(context: Context, wanted: Wanted) -> Definition:
    store = context.store
    if wanted.name in _RESERVED:
        raise AlreadyExists(f"network name {wanted.name} already used", "choose another name")
    _check_driver(wanted.driver)
    options, interface = _checked_options(wanted)
    with definitions.changing(store):
        others = definitions.every_plain(store)
        if wanted.name and any(each["name"] == wanted.name for each in others):
            if wanted.ignore:
                return definitions.load(store, wanted.name)
            raise AlreadyExists(
                f"network name {wanted.name} already used",
                f"rcrun network rm {wanted.name}, or choose another name",
            )
        network_id = os.urandom(32).hex()
        made: Definition = {
            "name": names.check(wanted.name, "network") if wanted.name else _free_name(others),
            "id": network_id,
            "driver": "bridge",
            "network_interface": _free_interface(interface, network_id, others),
            "created": subnets.now_text(),
            "subnets": _rows(wanted, others),
            "ipv6_enabled": False,
            "internal": wanted.internal,
            "dns_enabled": wanted.dns_enabled,
            "labels": dict(wanted.labels),
            "options": options,
            "ipam_options": {"driver": "host-local"},
        }
        made["ipv6_enabled"] = any(":" in row["subnet"] for row in made["subnets"])
        if wanted.dns:
            made["network_dns_servers"] = [cidr.checked_address(each, "--dns") for each in wanted.dns]
        if wanted.routes:
            made["routes"] = [_route(text, made) for text in wanted.routes]
        definitions.save(store, made)
    tell(context, "create", made)
    return made


def _check_driver(driver: str) -> None:
    if driver in ("bridge", "default", ""):
        return
    if driver in ("macvlan", "ipvlan", "overlay", "host", "null", "none"):
        raise InvalidInput(
            f'driver "{driver}" is not supported: it needs an interface of the host, which only root can share'
            if driver in ("macvlan", "ipvlan")
            else f'driver "{driver}" is not supported',
            "use the driver bridge, which is the default",
        )
    raise InvalidInput(f'driver "{driver}" not found', "the driver is bridge")


def _checked_options(wanted: Wanted) -> tuple[dict[str, str], str]:
    """The options to keep, and the name of the interface if one says it."""
    kept: dict[str, str] = {}
    interface = wanted.interface
    for key, value in wanted.options.items():
        if key not in _OPTIONS and not key.startswith("com.docker.network."):
            raise InvalidInput(
                f"unsupported bridge network option {key}",
                "known are mtu, isolate, metric, no_default_route and docker's com.docker.network.…",
            )
        known = _OPTIONS.get(key, "")
        if known == "name":
            interface = value
        elif known == "mtu":
            kept["mtu"] = str(networkflag.checked_mtu(value))
        elif known == "isolate" and value not in ("true", "false", "strict", "1", "0"):
            raise InvalidInput(f'invalid isolate "{value}"', "it is true, false or strict")
        elif known == "metric" and not value.isdigit():
            raise InvalidInput(f'invalid metric "{value}"', "it is a number")
        else:
            kept[known or key] = {"1": "true", "0": "false"}.get(value, value) if known == "isolate" else value
    return kept, interface


def _free_name(others: Sequence[Definition]) -> str:
    taken = {each["name"] for each in others}
    number = 1
    while f"rcrun{number}" in taken:
        number += 1
    return f"rcrun{number}"


def _free_interface(wanted: str, network_id: str, others: Sequence[Definition]) -> str:
    if not wanted:
        return f"br-{network_id[:12]}"
    networkflag.checked_interface(wanted)
    if wanted == "eth0" or any(each["network_interface"] == wanted for each in others):
        raise InvalidInput(f'interface name "{wanted}" is in use', "choose another --interface-name")
    return wanted


# Subnets.


def _rows(wanted: Wanted, others: Sequence[Definition]) -> list[dict[str, Any]]:
    given = [cidr.checked(text, "--subnet") for text in wanted.subnets]
    others_have = subnets.taken_by(others)
    for position, subnet in enumerate(given):
        _refuse_overlap(subnet, [*others_have, *given[:position]])
    taken = [*subnets.of_host(), *others_have, *given]
    found = list(given)
    if not any(subnet.bits == 32 for subnet in given) and wanted.ipv4 and (not given or wanted.ipv6):
        if not given or not all(subnet.bits == 32 for subnet in given):
            found.insert(0, subnets.free_subnet(taken))
    if wanted.ipv6 and not any(subnet.bits == 128 for subnet in given):
        found.append(subnets.random_subnet6(taken))
    rows: list[dict[str, Any]] = [subnets.row_of(subnet) for subnet in found]
    _set_gateways(rows, found, wanted.gateways)
    _set_ranges(rows, found, wanted.ip_ranges)
    return rows


def _refuse_overlap(subnet: Subnet, others: Sequence[Subnet]) -> None:
    if subnet.bits - subnet.prefix < 2:
        raise InvalidInput(f"subnet {subnet} is too small: it has no address for a container")
    for other in others:
        if subnet.overlaps(other):
            raise InvalidInput(
                f"subnet {subnet} is already used on the host or by another config",
                f"{other} is in use: leave --subnet out for a free one",
            )
    if subnet.overlaps(subnets.OUTSIDE):
        raise InvalidInput(f"subnet {subnet} is not free: {subnets.OUTSIDE} leads out of the room")


def _set_gateways(rows: list[dict[str, Any]], found: list[Subnet], gateways: Sequence[str]) -> None:
    for text in gateways:
        address = cidr.checked_address(text, "--gateway")
        rows[_index_of(address, found, "--gateway")]["gateway"] = address


def _set_ranges(rows: list[dict[str, Any]], found: list[Subnet], ranges: Sequence[str]) -> None:
    for text in ranges:
        start, dash, end = text.partition("-")
        if dash:
            first, last = (cidr.checked_address(each, "--ip-range") for each in (start, end))
        else:
            part = cidr.checked(text, "--ip-range")
            usable = part.usable()
            first, last = part.text_of(usable[0]), part.text_of(usable[1])
        index = _index_of(first, found, "--ip-range")
        if _index_of(last, found, "--ip-range") != index:
            raise InvalidInput(f'invalid --ip-range "{text}": it is not within one subnet')
        if cidr.number_of(first)[0] > cidr.number_of(last)[0]:
            raise InvalidInput(f'invalid --ip-range "{text}": it ends before it begins')
        rows[index]["lease_range"] = {"start_ip": first, "end_ip": last}


def _index_of(address: str, found: list[Subnet], flag: str) -> int:
    number, bits = cidr.number_of(address)
    for index, subnet in enumerate(found):
        if subnet.bits == bits and number in subnet:
            return index
    raise InvalidInput(f'invalid {flag} "{address}": it is not in a subnet of this network')


def _route(text: str, made: Definition) -> dict[str, Any]:
    words = text.split(",")
    if len(words) not in (2, 3) or (len(words) == 3 and not words[2].isdigit()):
        raise InvalidInput(f'invalid --route "{text}"', "write DESTINATION/PREFIX,GATEWAY[,METRIC]")
    gateway = cidr.checked_address(words[1], "--route")
    _index_of(gateway, [cidr.parse(row["subnet"]) for row in made["subnets"]], "--route")
    destination = cidr.checked(words[0], "--route")
    if (":" in gateway) != (destination.bits == 128):
        raise InvalidInput(f'invalid --route "{text}": IPv4 and IPv6 are mixed')
    route: dict[str, Any] = {"destination": str(destination), "gateway": gateway}
    return {**route, "metric": int(words[2])} if len(words) == 3 else route


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
        raise NotFound(f"network {text} not found")
    return found[0]


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
    asked = parsed_filters(filters, _FILTERS)
    used = users(store) if "dangling" in asked else {}
    return [each for each in definitions.every(store) if passes(each, asked, used)]


def parsed_filters(words: Sequence[str], known: Sequence[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key.endswith("!") and equals:
            key = key[:-1] + "!"
        if not equals or key not in known:
            raise InvalidInput(
                f'invalid filter "{word}"', f"filters are written KEY=VALUE; keys: {' '.join(known)}"
            )
        asked.setdefault(key, []).append(value)
    return asked


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
        name, equals, wanted = value.partition("=")
        labels = network.get("labels") or {}
        return (name in labels and (not equals or labels[name] == wanted)) == (key == "label")
    if key == "until":
        from rcrun.formats.moment import parse as parse_moment

        import time

        return seconds_of(network["created"]) < parse_moment(value, time.time())
    if key == "dangling":
        return (value in ("true", "1")) == (not is_in_use(network["name"], used))
    if key == "type":
        builtin = (networkflag.DEFAULT, *definitions.BUILT_IN)
        return value == ("builtin" if network["name"] in builtin else "custom")
    return {
        "driver": network["driver"] == value,
        "id": network["id"].startswith(value),
        "scope": value == "local",
    }[key]


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


def podman_object(store: Store, network: Definition) -> Object:
    found = {key: value for key, value in network.items()}
    found["name"] = shown_name(network["name"], "podman")
    found["containers"] = {
        container.id: {
            "name": container.name,
            "interfaces": {
                endpoint["interface"]: {
                    "subnets": [{"ipnet": address} for address in endpoint["addresses"]],
                    "mac_address": endpoint["mac"],
                }
            },
        }
        for container, endpoint in members(store, network["name"])
    }
    return found


def shown_name(name: str, personality: str) -> str:
    return networkflag.OTHER_DEFAULT if name == networkflag.DEFAULT and personality == "podman" else name


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
    asked = parsed_filters(filters, _FILTERS)
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
