"""Which subnets are free, from the kernel's files of routes; ids of the host as ids of the room."""

from __future__ import annotations

from rcrun.engine.bridge import in_room_ids, interface_names, interface_words, mac_of
from rcrun.formats import cidr
from rcrun.network import subnets

ROUTES4 = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t020200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000059 0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
""".replace("000059 0A", "0000590A")
ROUTES6 = """fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000001 00000000 80200001       lo
"""


def test_routes_of_the_host() -> None:
    assert [str(each) for each in subnets.routes4(ROUTES4)] == ["10.89.0.0/24"]
    assert [str(each) for each in subnets.routes6(ROUTES6)] == ["fd00::/64"]


def test_the_first_free_subnet_is_taken() -> None:
    assert str(subnets.free_subnet([])) == "10.89.0.0/24"
    taken = [cidr.parse("10.89.0.0/24"), cidr.parse("10.89.1.128/25"), cidr.parse("fd00::/8")]
    assert str(subnets.free_subnet(taken)) == "10.89.2.0/24"
    assert str(subnets.free_subnet([cidr.parse("10.0.0.0/9")])) == "10.128.0.0/24"


def test_random_subnets_are_unique_local() -> None:
    found = {str(subnets.random_subnet6([])) for _ in range(20)}
    assert len(found) == 20
    assert all(text.startswith("fd") and text.endswith("::/64") for text in found)


def test_ids_of_the_room() -> None:
    maps = {"uidmap": [(0, 1000, 1), (1, 100000, 65536)], "gidmap": [(0, 1000, 1)]}
    plan = [
        ["uidmap", "/usr/bin/newuidmap", "0", "1000", "1", "1", "100000", "65536"],
        ["exec", "x"],
    ]
    assert in_room_ids(plan, maps) == [
        ["uidmap", "", "0", "0", "1", "1", "1", "65536"],
        ["exec", "x"],
    ]
    kept = [
        ["uidmap", "", "0", "100999", "1", "1000", "1000", "1"],
        ["gidmap", "", "33", "1000", "1"],
    ]
    assert in_room_ids(kept, maps) == [
        ["uidmap", "", "0", "1000", "1", "1000", "0", "1"],
        ["gidmap", "", "33", "0", "1"],
    ]


def test_an_extent_over_several_of_the_room() -> None:
    maps = {"uidmap": [(0, 5, 1), (1, 6, 10)]}
    assert in_room_ids([["uidmap", "", "0", "5", "3"]], maps) == [
        ["uidmap", "", "0", "0", "1", "1", "1", "2"]
    ]


def test_names_of_interfaces() -> None:
    assert interface_names([{}, {"interface": "eth0"}, {}]) == ["eth1", "eth0", "eth2"]


def test_words_of_an_interface() -> None:
    definition = {
        "network_interface": "br0",
        "internal": False,
        "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}],
        "routes": [{"destination": "10.7.0.0/16", "gateway": "10.89.0.9", "metric": 5}],
    }
    endpoint = {
        "veth": "v1",
        "interface": "eth1",
        "mac": "02:42:0a:59:00:02",
        "mtu": 0,
        "addresses": ["10.89.0.2/24"],
    }
    words = interface_words(definition, endpoint, 1)
    assert words == [
        "v1",
        "br0",
        "eth1",
        "02:42:0a:59:00:02",
        "0",
        "10.89.0.2/24",
        "0.0.0.0/0>10.89.0.1>101",
        "10.7.0.0/16>10.89.0.9>5",
    ]
    internal = interface_words({**definition, "internal": True, "routes": []}, endpoint, 0)
    assert internal[5:] == ["10.89.0.2/24"]
    assert mac_of(endpoint) == "02:42:0a:59:00:02"
