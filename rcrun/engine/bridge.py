"""A container on bridges: its addresses, names and interfaces, from its record to the plan, at each start."""

from __future__ import annotations

import os

from rcrun.engine.room import Room
from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import read_text, write_in_place
from rcrun.formats import cidr
from rcrun.network import definitions, hosts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.idmap import IdMap
    from rcrun.network.definitions import Definition
    from rcrun.storage.containers import Container

    Records = list[list[str]]

MODE = "bridge"
FIRST_METRIC = 100  # of default routes; the first network's is the smallest


def is_on_bridges(container: Container) -> bool:
    return (container.record.get("network") or {}).get("mode") == MODE


def host_lines(own: Sequence[str]) -> list[str]:
    """The host's names, for a network whose bridge has these addresses: those that can be reached from it."""
    from rcrun.network.route import own_addresses

    return [
        f"{address} {hosts.HOST_NAMES}"
        for address in own_addresses()
        if address and any((":" in each) == (":" in address) for each in own)
    ]


class Joining:
    """A container about to be on its bridges: what it has claimed goes again when that fails."""

    __slots__ = ("container", "context", "definitions", "room")

    def __init__(self, context: Context, container: Container) -> None:
        self.context = context
        self.container = container
        self.room = Room(context)
        self.definitions = [
            definitions.load(context.store, asked["name"]) for asked in self._asked()
        ]

    def _asked(self) -> list[dict[str, Any]]:
        return list(self.container.record["network"]["networks"])

    def join(self) -> Records:
        """The settings of its plan; the room's lock is held from then on, and its way out may still be made."""
        self.room.enter(self.definitions, settle=False)
        try:
            return self._records()
        except BaseException:
            self.release()
            self.room.abandon()
            raise

    def _records(self) -> Records:
        network = self.container.record["network"]
        before = network.get("endpoints") or {}
        # first of all what was there before is given up: a static address would be in its own way
        for name, endpoint in before.items():
            self._release_one(name, endpoint)
        network["endpoints"] = made = {}
        names = interface_names(self._asked())
        for place, (asked, definition) in enumerate(
            zip(self._asked(), self.definitions, strict=True)
        ):
            old = before.get(definition["name"]) or {}
            made[definition["name"]] = endpoint = new_endpoint(definition, asked, names[place])
            take_addresses(self.room, self.container.id, definition, asked, old, endpoint)
        self.publish_all()
        self._write_files(made)
        room = ["room", str(self.room.pid), str(self.room.start), str(self.room.lock.fd)]
        return [room, *self._interfaces(made), *self._proxies(made)]

    def _proxies(self, made: dict[str, Any]) -> Records:
        """The processes that publish its ports: on the host, and from the room to its first network."""
        network = self.container.record["network"]
        if not network.get("ports"):
            return []
        from rcrun.engine.network import PROXY_FILES
        from rcrun.network.ports import settle
        from rcrun.network.proxy import helper_words

        network["bound"] = settle(network["ports"])
        addresses = [each for endpoint in made.values() for each in addresses_of(endpoint)]
        if not addresses:
            return []
        room = f"{self.room.pid}:{self.room.start}"
        gateways = [each.partition("/")[0] for each in definitions.gateways(self.definitions[0])]
        proxies = helper_words(
            network["bound"], addresses, gateways, room, transparent=self.room.transparent
        )
        files = [self.container.live_path(name) for name in PROXY_FILES]
        helpers = [["helper", file, *words] for file, words in zip(files, proxies, strict=False)]
        return [["await-helpers"], *helpers]

    def with_room(self, plan: Records) -> Records:
        """The plan as the shim can run it from within the room's user namespace, once the room has a way out."""
        self.room.settle()
        identity = self.context.identity
        if identity.kind == "root":
            return plan
        return in_room_ids(plan, {"uidmap": identity.uid_map, "gidmap": identity.gid_map})

    def publish_all(self) -> None:
        """Its names in each of its networks, and that it asks for the names of all of them wherever it asks."""
        endpoints = self.container.record["network"]["endpoints"]
        keys = [definitions.key(each) for each in self.definitions if each["dns_enabled"]]
        for asked, definition in zip(self._asked(), self.definitions, strict=True):
            endpoint = endpoints.get(definition["name"])
            if endpoint is None:
                continue
            lines = []
            if definition["dns_enabled"]:
                words = " ".join(names_of(self.container, asked))
                others = " ".join(key for key in keys if key != definitions.key(definition))
                for address in addresses_of(endpoint):
                    lines.append(f"{address} {words}")
                    lines += [f"also {address} {others}"] if others else []
            self.room.claims(definition).publish(endpoint["veth"], lines)

    def _interfaces(self, made: dict[str, Any]) -> Records:
        return [
            ["interface", *interface_words(definition, made[definition["name"]], place)]
            for place, definition in enumerate(self.definitions)
        ]

    def _write_files(self, made: dict[str, Any]) -> None:
        """Into files that are bound into the container: the same inodes, it may run."""
        write_hosts(self.container, made)
        write_resolv(self.context, self.container, self.definitions)

    def release(self) -> None:
        endpoints = self.container.record["network"].get("endpoints") or {}
        for name, endpoint in endpoints.items():
            self._release_one(name, endpoint)

    def _release_one(self, name: str, endpoint: dict[str, Any]) -> None:
        definition = next((d for d in self.definitions if d["name"] == name), None)
        if definition is not None and os.path.isdir(self.room.claims(definition).dir):
            self.room.claims(definition).release(endpoint["veth"])


def release(context: Context, container: Container) -> None:
    """What a start that failed has claimed."""
    from rcrun.errors import NotFound

    try:
        Joining(context, container).release()
    except NotFound:
        pass  # the network is what was missing


# Pure.


def interface_names(asked: Sequence[dict[str, Any]]) -> list[str]:
    """eth0, eth1 and on, but for those that have a name of their own."""
    given = {each["interface"] for each in asked if each.get("interface")}
    free = (
        f"eth{number}" for number in range(len(asked) + len(given)) if f"eth{number}" not in given
    )
    return [each.get("interface") or next(free) for each in asked]


def new_endpoint(
    definition: Definition, asked: Mapping[str, Any], interface: str
) -> dict[str, Any]:
    """The veth's other end has a random name: one that is still going away cannot be in its way."""
    return {
        "veth": f"v{os.urandom(5).hex()}",
        "interface": interface,
        "id": os.urandom(32).hex(),
        "mac": "",
        "addresses": [],
        "mtu": asked.get("mtu") or definitions.mtu(definition),
    }


def take_addresses(
    room: Room,
    container_id: str,
    definition: Definition,
    asked: Mapping[str, Any],
    old: Mapping[str, Any],
    made: dict[str, Any],
) -> None:
    wanted = [asked[key] for key in ("ip", "ip6") if asked.get(key)]
    claims = room.claims(definition)
    owner = f"{made['veth']}/{container_id}"
    for bits in (32, 128):
        rows = [row for row in definition["subnets"] if (":" in row["subnet"]) == (bits == 128)]
        row, mine = _row_for(rows, wanted)
        if row is None:
            continue
        subnet = cidr.parse(row["subnet"])
        address = claims.take(row, mine, _address_in(subnet, addresses_of(old)), owner)
        made["addresses"].append(f"{address}/{subnet.prefix}")
    _refuse_strangers(definition, wanted, made)
    made["mac"] = asked.get("mac") or mac_of(made)


def _row_for(
    rows: Sequence[dict[str, Any]], wanted: Sequence[str]
) -> tuple[dict[str, Any] | None, str]:
    """The subnet of a family that has an address that is wanted, and that one; else the first."""
    for row in rows:
        mine = _address_in(cidr.parse(row["subnet"]), wanted)
        if mine:
            return row, mine
    return (rows[0] if rows else None), ""


def _address_in(subnet: cidr.Subnet, addresses: Sequence[str]) -> str:
    for address in addresses:
        number, bits = cidr.number_of(address)
        if bits == subnet.bits and number in subnet:
            return address
    return ""


def _refuse_strangers(definition: Definition, wanted: Sequence[str], made: dict[str, Any]) -> None:
    for address in wanted:
        if address not in addresses_of(made):
            subnets = ", ".join(row["subnet"] for row in definition["subnets"])
            raise InvalidInput(
                f'address {address} is not in the subnets of network "{definition["name"]}": {subnets}'
            )


def mac_of(endpoint: dict[str, Any]) -> str:
    """As docker makes it of the address: who has the address next has the same one, and nobody's ARP table is wrong."""
    address = next((each for each in addresses_of(endpoint) if ":" not in each), "")
    tail = cidr.number_of(address)[0].to_bytes(4, "big") if address else os.urandom(4)
    return "02:42:" + tail.hex(":")


def addresses_of(endpoint: Mapping[str, Any]) -> list[str]:
    return [text.partition("/")[0] for text in endpoint.get("addresses") or ()]


def names_of(container: Container, asked: Mapping[str, Any]) -> list[str]:
    words = [container.name, *(asked.get("aliases") or ()), container.id[:12]]
    return list(dict.fromkeys(words))


def interface_words(definition: Definition, endpoint: dict[str, Any], place: int) -> list[str]:
    """OUTER BRIDGE INNER MAC MTU WORD… of docs/plan.md; an internal network has no default route."""
    routes = []
    if not definition["internal"] and (definition.get("options") or {}).get(
        "no_default_route"
    ) not in ("1", "true"):
        for text in definitions.gateways(definition):
            gateway = text.partition("/")[0]
            everything = "::/0" if ":" in gateway else "0.0.0.0/0"
            metric = int((definition.get("options") or {}).get("metric") or FIRST_METRIC) + place
            if _has_family(endpoint, gateway):
                routes.append(f"{everything}>{gateway}>{metric}")
    for row in definition.get("routes") or ():
        routes.append(f"{row['destination']}>{row['gateway']}>{row.get('metric') or 0}")
    first = [endpoint["veth"], definition["network_interface"], endpoint["interface"]]
    return [*first, endpoint["mac"], str(endpoint["mtu"]), *endpoint["addresses"], *routes]


def _has_family(endpoint: dict[str, Any], address: str) -> bool:
    return any((":" in each) == (":" in address) for each in addresses_of(endpoint))


def in_room_ids(records: Records, identity_maps: dict[str, IdMap]) -> Records:
    """The plan with ids of the room's user namespace in the place of the host's: the maps are written from there."""
    return [
        [record[0], "", *_translated(record[2:], identity_maps[record[0]])]
        if record[0] in identity_maps
        else record
        for record in records
    ]


def _translated(words: Sequence[str], room: IdMap) -> list[str]:
    found = []
    numbers = [int(word) for word in words]
    for inside, outside, count in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        while count:
            rows = [row for row in room if row[1] <= outside < row[1] + row[2]]
            if not rows:
                raise HostLacks(
                    "the containers that run here now have other ids than /etc/subuid and /etc/subgid give",
                    "stop them, and start this again: rcrun stop --all",
                )
            first, host, size = rows[0]
            part = min(count, host + size - outside)
            found += [inside, first + outside - host, part]
            inside, outside, count = inside + part, outside + part, count - part
    return [str(number) for number in found]


# Files of the container.


def write_hosts(container: Container, endpoints: dict[str, Any]) -> None:
    """Its own lines anew, and the host's; what others have put into it stays."""
    from rcrun.network.route import host_address

    path = container.path("hosts")
    if not os.path.exists(path):
        return  # --no-hosts
    own = str(container.record["network"].get("own_names") or container.name)
    said = container.record["network"].get("host_address")  # of containers.conf
    there = endpoints and said != "none"
    text = hosts.with_host(read_text(path), (said or host_address()) if there else "")
    addresses = [address for endpoint in endpoints.values() for address in addresses_of(endpoint)]
    write_in_place(path, hosts.with_own_addresses(text, own, addresses))


def write_resolv(context: Context, container: Container, networks: Sequence[Definition]) -> None:
    from rcrun.network import resolv
    from rcrun.network.route import host_address

    path = container.path("resolv.conf")
    if not os.path.exists(path):
        return  # --dns none
    asked = container.record["network"].get("resolv") or {}
    servers = [
        gateway.partition("/")[0]
        for definition in networks
        if definition["dns_enabled"]
        for gateway in definitions.gateways(definition)
    ]
    text = resolv.text(
        read_text("/etc/resolv.conf"),
        own_network=True,
        forwarder=resolv.forwarder(host_address()),
        servers=[*servers, *(asked.get("servers") or ())],
        search=asked.get("search") or (),
        options=asked.get("options") or (),
    )
    write_in_place(path, text)
