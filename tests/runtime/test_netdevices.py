"""`linux.netDevices`: devices of the host in a container's network (config-linux.md, "Network Devices")."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.conftest import Bundle

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.usefixtures("ours"),
    pytest.mark.parametrize("account", ["root"], indirect=True),
]


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, stdout=-1, text=True).stdout


@pytest.fixture
def device() -> Iterator[str]:
    """One end of a pair; the other stays with the host."""
    name = f"rc{os.urandom(3).hex()}"
    ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    ip("address", "add", "10.231.7.1/24", "dev", name)
    ip("address", "add", "fd72:7::1/64", "dev", name, "nodad")
    ip("link", "set", name, "up")
    ip("link", "set", f"{name}p", "up")
    yield name
    subprocess.run(["ip", "link", "delete", f"{name}p"], check=False, stderr=-3)


def devices_inside(bundle: Bundle) -> list[str]:
    lines = bundle.output("cat", "/proc/net/dev").splitlines()[2:]
    return [line.partition(":")[0].strip() for line in lines]


def exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


@pytest.mark.parametrize(
    ("new", "seen"), [("", ""), ("inside", "inside"), ("net%d", "net0"), ("lo%d", "lo0")]
)
def test_a_device_is_moved(bundle: Bundle, device: str, new: str, seen: str) -> None:
    bundle.linux(netDevices={device: {"name": new} if new else {}})
    assert devices_inside(bundle) == ["lo", seen or device]


def test_its_addresses_go_with_it_and_it_is_up(bundle: Bundle, device: str) -> None:
    bundle.linux(netDevices={device: {"name": "inside"}})
    bundle.args("sleep", "1000").started()
    pid = str(bundle.state()["pid"])
    assert not exists(device)
    said = subprocess.run(
        ["nsenter", "-t", pid, "-n", "ip", "-oneline", "address", "show", "dev", "inside"],
        check=True,
        stdout=-1,
        text=True,
    ).stdout
    assert "inet 10.231.7.1/24" in said
    assert "inet6 fd72:7::1/64" in said
    assert "inet6 fe80::" in said  # of a device that is up
    assert "scope global" in said


def test_into_a_network_that_is_joined(bundle: Bundle, device: str) -> None:
    with subprocess.Popen(["unshare", "-n", "sleep", "1000"]) as holder:
        try:
            wait_for_other_network(holder.pid)
            bundle.without_namespace("network")
            path = f"/proc/{holder.pid}/ns/net"
            bundle.config["linux"]["namespaces"].append({"type": "network", "path": path})
            bundle.linux(netDevices={device: {}})
            assert device in devices_inside(bundle)
            # the name is taken now: an error, and the second one stays with the host
            other = f"{device}p"
            bundle.linux(netDevices={other: {"name": device}})
            result = bundle.run()
            assert result.status == 1
            assert f'there is a network device "{device}" already' in result.err
            assert exists(other)
        finally:
            holder.kill()


def wait_for_other_network(pid: int) -> None:
    ours = os.stat("/proc/self/ns/net").st_ino
    while os.stat(f"/proc/{pid}/ns/net").st_ino == ours:
        pass


def test_a_device_that_is_not_there(bundle: Bundle, device: str) -> None:
    """All of them or none."""
    bundle.linux(netDevices={device: {}, "none-such": {}})
    result = bundle.run()
    assert result.status == 1
    assert 'error: there is no network device "none-such"\n' in result.err
    assert exists(device)


def test_what_was_moved_before_a_failure_comes_back(bundle: Bundle, device: str) -> None:
    bundle.linux(netDevices={device: {"name": "inside"}, "lo": {"name": "second"}})
    result = bundle.run()
    assert result.status == 1
    assert "invalid argument" in result.err
    assert exists(device)
    said = ip("-oneline", "address", "show", "dev", device)
    assert "10.231.7.1/24" in said
    assert "fd72:7::1/64" in said
    assert "UP" in ip("link", "show", "dev", device)


def test_in_a_user_namespace(bundle: Bundle, device: str) -> None:
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    rows = [{"containerID": 0, "hostID": 0, "size": 4294967295}]
    bundle.linux(uidMappings=rows, gidMappings=rows, netDevices={device: {"name": "inside"}})
    assert devices_inside(bundle) == ["lo", "inside"]
