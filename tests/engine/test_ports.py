"""Published ports: taken ones refused by name, free ones chosen, shown while the container runs."""

from __future__ import annotations

import socket

import pytest

from network.servers import ask_tcp
from rcrun.errors import HostLacks, InUse, InvalidInput
from rcrun.network import ports
from waiting import wait_for


def port(host_port, host_ip="127.0.0.1", protocol="tcp", **more):
    return {
        "host_ip": host_ip,
        "host_port": host_port,
        "container_port": 80,
        "protocol": protocol,
        **more,
    }


@pytest.fixture
def taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_refused(taken):
    with pytest.raises(InUse, match=f"127.0.0.1:{taken}/tcp: port is already allocated"):
        ports.settle([port(taken)])
    with pytest.raises(InUse):
        ports.settle([port(taken, host_ip="")])
    assert ports.settle([port(taken, protocol="udp")])[0]["host_port"] == taken


def test_a_range_gives_the_next_free_one(taken):
    chosen = ports.settle([port(taken, host_last=taken + 30)])
    assert taken < chosen[0]["host_port"] <= taken + 30
    assert "host_last" not in chosen[0]


def test_free_ports_are_chosen_once_each():
    chosen = ports.settle([port(0, host_ip="") for _ in range(5)])
    numbers = {each["host_port"] for each in chosen}
    assert len(numbers) == 5
    assert min(numbers) > 0


def test_an_address_that_is_not_ours():
    with pytest.raises(InvalidInput, match=r"203\.0\.113\.9:80"):
        ports.settle([port(8000, host_ip="203.0.113.9")])


def test_low_ports_say_what_helps(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ports, "_try", refuse)
    with pytest.raises(HostLacks, match="need privilege") as caught:
        ports.settle([port(80)])
    assert "ip_unprivileged_port_start=80" in caught.value.hint


@pytest.mark.requires("pasta")
def test_a_published_port_serves(rcrun):
    script = "while :; do echo hello | nc -l -p 80; done"
    rcrun(
        "run", "-d", "--name", "web", "-p", "127.0.0.1::80", "busybox", "sh", "-c", script
    ).check()
    line = rcrun("port", "web").check().out
    assert line.startswith("80/tcp -> 127.0.0.1:")
    number = int(line.rpartition(":")[2])
    assert rcrun("port", "web", "80").out == f"127.0.0.1:{number}\n"
    form = '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'
    assert rcrun("inspect", "-f", form, "web").out == f"{number}\n"
    assert wait_for(lambda: ask_tcp("127.0.0.1", number)) == "hello\n"
    got = rcrun("run", "--rm", "-p", f"127.0.0.1:{number}:81", "busybox", "true")
    assert got.status == 125
    assert "port is already allocated" in got.err
    rcrun("stop", "-t", "0", "web").check()
    assert rcrun("port", "web").out == ""
    assert ports.settle([port(number)])


def test_port_in_all_forms(rcrun):
    for name, words in (
        ("one", ("-p", "127.0.0.1::80", "-p", "127.0.0.1::53/udp")),
        ("two", ("-p", "80")),
    ):
        rcrun("run", "-d", "--name", name, *words, "busybox", "sleep", "100").check()
    lines = rcrun("port", "one").check().out.splitlines()
    assert [line.split(" -> 127.0.0.1:")[0] for line in lines] == ["53/udp", "80/tcp"]
    number = lines[1].rpartition(":")[2]
    for word in ("80", "80/tcp"):
        assert rcrun("port", "one", word).check().out == f"127.0.0.1:{number}\n"
    families = rcrun("port", "two").check().out.splitlines()
    assert families[0].startswith("80/tcp -> 0.0.0.0:")
    assert rcrun("port", "--latest", "80").check().out.startswith("0.0.0.0:")
    everything = rcrun("port", "--all").check().out.splitlines()
    identity = rcrun("ps", "-q", "-f", "name=one").out.strip()
    assert f"{identity}\t{lines[1]}" in everything
    assert len(everything) == 2 + len(families)
    missing = rcrun("port", "one", "81")
    assert (missing.status, missing.err) == (
        1, "rcrun: error: no public port '81/tcp' published for one\n"
    )  # fmt: skip
    assert 'invalid port "x"' in rcrun("port", "one", "x").err
    assert rcrun("port").status == 1
    rcrun("kill", "one").check()
    assert rcrun("port", "one").check().out == ""
