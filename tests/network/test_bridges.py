"""Networks that containers share: who reaches whom, under which names and addresses."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from network.servers import INSIDE, PYTHON
from rcrun.network import definitions
from rcrun.paths import Store
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "network")


# As an ordinary user's ping does it: busybox wants to be root for it.
PING = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(30)
s.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), (sys.argv[1], 0))
print("answered" if s.recv(100) else "")
"""


@pytest.fixture
def network(rcrun):
    """Makes networks, which go with the test; its containers go first."""
    made: list[str] = []

    def make(*options: str) -> str:
        name = f"net{os.urandom(3).hex()}"
        rcrun("network", "create", *options, name).check()
        made.append(name)
        return name

    yield make
    names = rcrun("ps", "-aq").check().out.split()
    if names:
        rcrun("rm", "-f", *names).check()
    for name in made:
        rcrun("network", "rm", name).check()
    assert_room_ends(rcrun)


def room_dir(rcrun) -> Path:
    store = Store(str(rcrun.store_dir), rcrun.account.environ["RCRUN_RUNROOT"])
    return Path(definitions.room_dir(store))


def assert_room_ends(rcrun) -> None:
    live = room_dir(rcrun)
    wait_for(lambda: not (live / "room.json").exists() and not (live / "names").exists())
    wait_for(lambda: not [line for line in rcrun.account.processes() if "shim room" in line])


def web(rcrun, name: str, *options: str) -> str:
    """A container that serves `hello` on port 80; its id."""
    command = ("sh", "-c", "echo hello >index.html; httpd -p 80 -h $PWD; exec sleep 1000")
    found = rcrun("run", "-d", "--name", name, *options, "busybox", *command).check().out.strip()
    wait_for(lambda: rcrun("exec", name, "wget", "-qO-", "http://127.0.0.1/").out == "hello\n")
    return found


def get(rcrun, address: str, *options: str, seconds: int = 60):
    # Debian 12's busybox crashes with a time limit of wget's own; and nobody ends the first process with SIGTERM
    command = ("timeout", str(seconds), "wget", "-qO-", f"http://{address}/")
    return rcrun("run", "--rm", "--init", *options, "busybox", *command)


def address_of(rcrun, container: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return rcrun("inspect", "-f", form, container).check().out.strip()


def lines_of(rcrun, *options: str, command: str = "ip -o addr; ip route") -> str:
    return rcrun("run", "--rm", *options, "busybox", "sh", "-c", command).check().out


def test_siblings_reach_each_other(rcrun, network):
    name = network()
    web(rcrun, "one", "--network", name)
    assert get(rcrun, address_of(rcrun, "one"), "--network", name).check().out == "hello\n"


def test_networks_are_isolated(rcrun, network):
    first, second = network(), network()
    web(rcrun, "one", "--network", first)
    address = address_of(rcrun, "one")
    assert get(rcrun, address, "--network", second, seconds=4).status != 0
    assert get(rcrun, address, "--network", first, "--network", second).out == "hello\n"


def test_networks_that_are_not_isolated(rcrun, network):
    first, second = network("-o", "isolate=false"), network("-o", "isolate=false")
    web(rcrun, "one", "--network", first)
    assert get(rcrun, address_of(rcrun, "one"), "--network", second).check().out == "hello\n"


@pytest.mark.parametrize("word", ["keep-id", "host"])
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_user_namespaces(rcrun, network, word):
    name = network()
    web(rcrun, "one", "--network", name, "--userns", word)
    address = address_of(rcrun, "one")
    assert get(rcrun, address, "--network", name, "--userns", "keep-id").out == "hello\n"
    assert get(rcrun, address, "--network", name, "--privileged").out == "hello\n"


def test_one_id(single_rcrun):
    single_rcrun("network", "create", "alone").check()
    try:
        web(single_rcrun, "one", "--network", "alone")
        address = address_of(single_rcrun, "one")
        got = get(single_rcrun, address, "--network", "alone", "-u", "33")
        assert got.check().out == "hello\n"
    finally:
        single_rcrun("rm", "-f", "one").check()
        single_rcrun("network", "rm", "alone").check()
    assert_room_ends(single_rcrun)


def test_a_container_has_no_rights_over_the_room(rcrun, network):
    """Its user namespace is its own, also beside another one in the same network."""
    name = network()
    script = "readlink /proc/self/ns/user"
    web(rcrun, "one", "--network", name)
    other = lines_of(rcrun, "--network", name, "--privileged", command=script)
    own = rcrun("exec", "one", "sh", "-c", script).check().out
    assert (own == other) == (rcrun.account.kind == "root")


def test_asked_addresses(rcrun, network):
    name = network("--subnet", "10.66.7.0/24", "--ipv6", "--subnet", "fd66:7::/64")
    options = ("--ip", "10.66.7.99", "--ip6", "fd66:7::99", "--mac-address", "02:42:00:00:00:07")
    found = lines_of(rcrun, "--network", name, *options, command="ip addr; ip route; ip -6 route")
    for part in ("10.66.7.99/24", "fd66:7::99/64", "02:42:00:00:00:07", "default via 10.66.7.1"):
        assert part in found
    assert "default via fd66:7::1" in found
    assert "tentative" not in found


def test_words_behind_the_network(rcrun, network):
    name = network("--subnet", "10.66.8.0/24")
    words = f"{name}:ip=10.66.8.5,mac=02:42:00:00:00:08,interface_name=wan0,mtu=1400"
    found = lines_of(rcrun, "--network", words, command="ip addr show dev wan0")
    for part in ("10.66.8.5/24", "02:42:00:00:00:08", "mtu 1400"):
        assert part in found


def test_an_address_that_is_in_use(rcrun, network):
    name = network("--subnet", "10.66.9.0/24")
    web(rcrun, "one", "--network", name, "--ip", "10.66.9.5")
    got = rcrun("run", "--rm", "--network", name, "--ip", "10.66.9.5", "busybox", "true")
    assert got.status == 125
    assert got.err.startswith("rcrun: error: address 10.66.9.5 is in use already\n")
    got = rcrun("run", "--rm", "--network", name, "--ip", "10.67.0.5", "busybox", "true")
    assert 'is not in the subnets of network "' in got.err
    rcrun("restart", "-t", "0", "one").check()  # its own is no hindrance
    assert address_of(rcrun, "one") == "10.66.9.5"


def test_several_networks(rcrun, network):
    first, second = network(), network("--internal")
    found = lines_of(rcrun, "--network", first, "--network", second)
    assert "eth0" in found
    assert "eth1" in found
    assert found.count("default via") == 1


def test_an_internal_network_has_no_way_out(rcrun, network):
    name = network("--internal")
    assert "default" not in lines_of(rcrun, "--network", name)
    script = (
        "ip route add default via $(ip route | sed -n 's|[.]0/24.*|.1|p'); ping -c1 -W1 10.0.2.2"
    )
    got = rcrun("run", "--rm", "--privileged", "--network", name, "busybox", "sh", "-c", script)
    assert got.status != 0
    assert "100% packet loss" in got.out


def test_mtu_routes_and_range(rcrun, network):
    name = network(
        "--subnet", "10.66.10.0/24", "--gateway", "10.66.10.254", "--ip-range", "10.66.10.128/25",
        "-o", "mtu=1300", "--route", "10.77.0.0/16,10.66.10.9,7", "--interface-name", "mybridge",
    )  # fmt: skip
    found = lines_of(rcrun, "--network", name, command="ip addr; ip route")
    for part in (
        "10.66.10.129/24",
        "mtu 1300",
        "default via 10.66.10.254",
        "10.77.0.0/16 via 10.66.10.9",
    ):
        assert part in found


def test_the_default_network(rcrun):
    assert "rcrun" not in rcrun("network", "inspect", "bridge").check().err
    assert "inet 10.88." in lines_of(rcrun, "--network", "bridge")
    assert rcrun("network", "inspect", "podman", "-f", "{{.Name}}").check().out == "bridge\n"
    assert_room_ends(rcrun)


def test_hosts_and_resolv_conf(rcrun, network):
    name = network()
    found = lines_of(
        rcrun, "--network", name, "-h", "me", command="cat /etc/hosts /etc/resolv.conf; hostname -i"
    )
    assert "host.docker.internal host.containers.internal" in found
    gateway = rcrun(
        "network", "inspect", name, "-f", "{{(index .IPAM.Config 0).Gateway}}"
    ).out.strip()
    assert f"nameserver {gateway}\n" in found
    own = found.split()[-1]
    assert f"{own}\tme " in found


def test_inspect_tells_the_networks(rcrun, network):
    name = network()
    found_id = web(rcrun, "one", "--network", name, "--network-alias", "uno")
    settings = json.loads(rcrun("inspect", "one").check().out)[0]["NetworkSettings"]
    one = settings["Networks"][name]
    assert settings["IPAddress"] == one["IPAddress"] != ""
    assert one["IPPrefixLen"] == 24
    assert one["Aliases"] == ["uno", found_id[:12]]
    assert one["DNSNames"] == ["one", "uno", found_id[:12]]
    assert one["MacAddress"].startswith("02:42:")
    shown = json.loads(rcrun("network", "inspect", name).check().out)[0]
    assert shown["Id"] == one["NetworkID"]
    assert shown["Containers"][found_id]["EndpointID"] == one["EndpointID"]
    assert rcrun("ps", "--format", "{{.Networks}}").check().out == f"{name}\n"
    assert rcrun("ps", "-q", "--filter", f"network={name}").out == f"{found_id[:12]}\n"
    assert rcrun("ps", "-q", "--filter", "network=nobody").out == ""
    rcrun("stop", "-t", "0", "one").check()
    assert address_of(rcrun, "one") == ""


def test_many_at_once_on_a_fresh_room(rcrun, network):
    name = network()
    words = ("run", "-d", "--network", name, "busybox", "sleep", "1000")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: rcrun(*words), range(16)))
    ids = [result.check().out.strip() for result in found]
    shown = json.loads(rcrun("network", "inspect", name).check().out)[0]["Containers"]
    assert set(shown) == set(ids)
    addresses = {each["IPv4Address"] for each in shown.values()}
    assert len(addresses) == 16
    script = "".join(f"ping -c1 -W30 {each.partition('/')[0]} >/dev/null && " for each in addresses)
    rcrun("exec", ids[0], "sh", "-c", f"{script}true").check()


def test_starts_against_ends(rcrun, network):
    """The room ends with the last container, and a start that comes at that moment has another."""
    name = network()
    words = ("run", "--rm", "--network", name, "busybox", "true")
    with ThreadPoolExecutor(3) as pool:
        for result in pool.map(lambda _: rcrun(*words), range(24)):
            assert result.status == 0, result.err


def test_every_user_may_ping_and_use_any_port(rcrun, network):
    name = network()
    web(rcrun, "one", "--network", name, "-u", "33", "--tmpfs", "/www:mode=1777", "-w", "/www")
    address = address_of(rcrun, "one")
    assert get(rcrun, address, "--network", name).check().out == "hello\n"
    for options in ((), ("-u", "33"), ("-u", "33", "--cap-drop", "ALL")):
        words = ("run", "--rm", "--network", name, *INSIDE, *options, "busybox")
        assert rcrun(*words, PYTHON, "-c", PING, address).check().out == "answered\n"
