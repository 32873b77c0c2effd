"""Subnets that nobody has: neither the host, nor another network, nor the way out of the room."""

from __future__ import annotations

import os
import time

from rcrun.errors import HostLacks
from rcrun.files import read_text
from rcrun.formats import cidr
from rcrun.formats.networkflag import DEFAULT
from rcrun.network import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from rcrun.formats.cidr import Subnet
    from rcrun.network.definitions import Definition
    from rcrun.paths import Store

    Pool = Mapping[str, Any]  # `base`, `size`: default_subnet_pools of containers.conf

OUTSIDE = cidr.parse("10.0.2.0/24")  # of pasta and slirp4netns


def _candidates(pools: Sequence[Pool] = ()) -> Iterator[Subnet]:
    """As podman gives them out: 10.89.0.0/24 and on, for 42,000 networks; or out of these pools."""
    for pool in pools:
        base = cidr.parse(pool["base"])
        step = 1 << (32 - pool["size"])
        for number in range(1 << max(0, pool["size"] - base.prefix)):
            yield cidr.Subnet(base.first + number * step, pool["size"], 32)
    if pools:
        return
    for second in range(89, 256):
        for third in range(256):
            yield cidr.Subnet((10 << 24) + (second << 16) + (third << 8), 24, 32)


def free_subnet(taken: Iterable[Subnet], pools: Sequence[Pool] = ()) -> Subnet:
    avoided = list(taken)
    for candidate in _candidates(pools):
        if not any(candidate.overlaps(other) for other in avoided):
            return candidate
    where = ", ".join(pool["base"] for pool in pools) or "10.89.0.0 to 10.255.255.0"
    raise HostLacks(f"no free subnet is left in {where}", "choose one: --subnet")


def random_subnet6(taken: Iterable[Subnet]) -> Subnet:
    """A /64 of a unique local prefix (RFC 4193), whose bits are random so that nobody else has it."""
    avoided = list(taken)
    while True:
        first = (0xFD << 120) + (int.from_bytes(os.urandom(7), "big") << 64)
        found = cidr.Subnet(first, 64, 128)
        if not any(found.overlaps(other) for other in avoided):
            return found


def taken_by(networks: Iterable[Definition]) -> list[Subnet]:
    return [cidr.parse(row["subnet"]) for network in networks for row in network["subnets"]]


def of_host() -> list[Subnet]:
    """Where the host's own routes lead, but for the default one."""
    return [
        OUTSIDE,
        *routes4(read_text("/proc/net/route")),
        *routes6(read_text("/proc/net/ipv6_route")),
    ]


def routes4(text: str) -> list[Subnet]:
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        destination = int.from_bytes(bytes.fromhex(words[1]), "little")
        prefix = int(words[7], 16).bit_count()
        if prefix:
            found.append(cidr.Subnet(destination, prefix, 32))
    return found


def routes6(text: str) -> list[Subnet]:
    """Not those of the loopback interface, and of links alone."""
    found = []
    for line in text.splitlines():
        words = line.split()
        prefix = int(words[1], 16)
        if prefix and words[9] != "lo" and not words[0].startswith(("fe80", "ff")):
            found.append(cidr.Subnet(int(words[0], 16), prefix, 128))
    return found


def row_of(subnet: Subnet) -> dict[str, str]:
    return {"subnet": str(subnet), "gateway": subnet.text_of(subnet.usable()[0])}


def now_text() -> str:
    now = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    return f"{seconds}.{now % 1_000_000_000:09}Z"


def make_default(store: Store) -> Definition:
    """The network that is always there, written when somebody first asks for it."""
    with definitions.changing(store):
        found = definitions.read(definitions.path_of(store, DEFAULT))
        if found is not None:
            return found
        taken = [*of_host(), *taken_by(definitions.every_plain(store))]
        wanted = cidr.parse(store.default_subnet or "10.88.0.0/16")
        subnet = free_subnet(taken) if any(wanted.overlaps(other) for other in taken) else wanted
        made: Definition = {
            "name": DEFAULT,
            "id": definitions.DEFAULT_ID,
            "driver": "bridge",
            "network_interface": "rcrun0",
            "created": now_text(),
            "subnets": [row_of(subnet)],
            "ipv6_enabled": False,
            "internal": False,
            "dns_enabled": False,
            "labels": {},
            "options": {},
            "ipam_options": {"driver": "host-local"},
        }
        definitions.save(store, made)
        return made
