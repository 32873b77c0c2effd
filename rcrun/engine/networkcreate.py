"""`network create`: what was asked for, as a definition that is in nobody's way."""

from __future__ import annotations

import os

from rcrun.engine.events_network import tell
from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.formats import cidr, names, networkflag
from rcrun.network import definitions, subnets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.cidr import Subnet
    from rcrun.network.definitions import Definition

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
            "subnets": _rows(
                wanted, others, context.setting("network", "default_subnet_pools") or ()
            ),
            "ipv6_enabled": False,
            "internal": wanted.internal,
            "dns_enabled": wanted.dns_enabled,
            "labels": dict(wanted.labels),
            "options": options,
            "ipam_options": {"driver": "host-local"},
        }
        made["ipv6_enabled"] = any(":" in row["subnet"] for row in made["subnets"])
        if wanted.dns:
            made["network_dns_servers"] = [
                cidr.checked_address(each, "--dns") for each in wanted.dns
            ]
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
            kept[known or key] = (
                {"1": "true", "0": "false"}.get(value, value) if known == "isolate" else value
            )
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
        raise InvalidInput(
            f'interface name "{wanted}" is in use', "choose another --interface-name"
        )
    return wanted


# Subnets.


def _rows(
    wanted: Wanted, others: Sequence[Definition], pools: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    given = [cidr.checked(text, "--subnet") for text in wanted.subnets]
    others_have = subnets.taken_by(others)
    for position, subnet in enumerate(given):
        _refuse_overlap(subnet, [*others_have, *given[:position]])
    taken = [*subnets.of_host(), *others_have, *given]
    found = list(given)
    has_four = any(subnet.bits == 32 for subnet in given)
    if wanted.ipv4 and not has_four and (not given or wanted.ipv6):
        found.insert(0, subnets.free_subnet(taken, pools))
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
        index = _index_of(first, found, "--ip-range", text)
        if _index_of(last, found, "--ip-range", text) != index:
            raise InvalidInput(f'invalid --ip-range "{text}": it is not within one subnet')
        if cidr.number_of(first)[0] > cidr.number_of(last)[0]:
            raise InvalidInput(f'invalid --ip-range "{text}": it ends before it begins')
        rows[index]["lease_range"] = {"start_ip": first, "end_ip": last}


def _index_of(address: str, found: list[Subnet], flag: str, typed: str = "") -> int:
    number, bits = cidr.number_of(address)
    for index, subnet in enumerate(found):
        if subnet.bits == bits and number in subnet:
            return index
    raise InvalidInput(
        f'invalid {flag} "{typed or address}": it is not in a subnet of this network'
    )


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
