"""Networks that change while containers run: connect, disconnect, update, reload; and what is killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from network.test_bridges import address_of, get, lines_of, network, room_dir, web
from waiting import wait_for

__all__ = ["network"]
pytestmark = pytest.mark.requires("userns", "overlay", "network")


def live(rcrun) -> Path:
    return room_dir(rcrun)


def room(rcrun) -> dict:
    return json.loads((live(rcrun) / "room.json").read_text())


def fault(rcrun, name: str) -> str:
    return rcrun("inspect", "-f", "{{.State.Error}}", name).check().out.strip()


def names(rcrun) -> str:
    return "".join(path.read_text() for path in (live(rcrun) / "names").glob("*/names"))


def test_connect_and_disconnect_a_running_container(rcrun, network):
    first, second = network(), network()
    web(rcrun, "one", "--network", first)
    web(rcrun, "two", "--network", second)
    rcrun("network", "connect", "--alias", "zwei", first, "two").check()
    assert "eth1" in rcrun("exec", "two", "ip", "-o", "addr").check().out
    form = '{{(index .NetworkSettings.Networks "' + first + '").IPAddress}}'
    address = rcrun("inspect", "-f", form, "two").check().out.strip()
    got = rcrun("exec", "one", "timeout", "60", "wget", "-qO-", f"http://{address}/")
    assert got.check().out == "hello\n"
    assert f"{address} two zwei" in names(rcrun)
    assert "also " in names(rcrun)
    resolv = rcrun("exec", "two", "cat", "/etc/resolv.conf").check().out
    assert resolv.count("nameserver") == 2
    got = rcrun("network", "connect", first, "two")
    assert (got.status, "is already connected" in got.err) == (1, True)
    rcrun("network", "disconnect", first, "two").check()
    assert "eth1" not in rcrun("exec", "two", "ip", "-o", "addr").check().out
    assert address not in rcrun("exec", "two", "cat", "/etc/hosts").check().out
    assert "zwei" not in names(rcrun)
    assert "also " not in names(rcrun)
    got = rcrun("network", "disconnect", first, "two")
    assert (got.status, "is not connected" in got.err) == (1, True)


def test_a_new_name(rcrun, network):
    name = network()
    web(rcrun, "one", "--network", name)
    rcrun("rename", "one", "uno").check()
    assert " uno " in names(rcrun)
    assert " one " not in names(rcrun)


def test_connect_a_container_that_does_not_run(rcrun, network):
    first, second = network(), network("--subnet", "10.66.20.0/24")
    rcrun("create", "--name", "one", "--network", first, "busybox", "sleep", "1000").check()
    rcrun("network", "connect", "--ip", "10.66.20.7", second, "one").check()
    rcrun("start", "one").check()
    assert "10.66.20.7/24" in rcrun("exec", "one", "ip", "-o", "addr").check().out


def test_a_container_without_a_shared_network_is_refused(rcrun, network):
    name = network()
    rcrun("create", "--name", "one", "--network", "host", "busybox", "true").check()
    got = rcrun("network", "connect", name, "one")
    assert got.status == 1
    assert 'container "one" has the network "host", which is not shared' in got.err


def test_a_container_without_a_network_is_connected_when_it_does_not_run(rcrun, network):
    """docker wants to hear `disconnect none` before, podman refuses it; what runs has a namespace that stays as it is."""
    name = network("--subnet", "10.66.23.0/24")
    rcrun("run", "-d", "--name", "one", "--network", "none", "busybox", "sleep", "1000").check()
    for words in (("connect", name, "one"), ("disconnect", "none", "one")):
        got = rcrun("network", *words)
        assert got.status == 1
        assert 'container "one" runs with the network "none"' in got.err
        assert "hint: rcrun stop one, then connect it and start it again" in got.err
    rcrun("stop", "-t", "0", "one").check()
    rcrun("network", "disconnect", "none", "one").check()
    assert rcrun("network", "disconnect", "none", "one").status == 1
    rcrun("start", "one").check()
    assert "eth0" not in rcrun("exec", "one", "ip", "-o", "addr").check().out
    rcrun("network", "connect", "--ip", "10.66.23.7", name, "one").check()
    assert "10.66.23.7/24" in rcrun("exec", "one", "ip", "-o", "addr").check().out
    own = rcrun("exec", "one", "hostname").check().out.strip()
    lines = rcrun("exec", "one", "cat", "/etc/hosts").check().out
    assert (f"10.66.23.7\t{own} one\n" in lines, f"127.0.0.1\t{own}" in lines) == (True, False)
    assert "\thost.docker.internal" in lines
    rcrun("network", "disconnect", name, "one").check()
    lines = rcrun("exec", "one", "cat", "/etc/hosts").check().out
    assert (f"127.0.0.1\t{own} one\n" in lines, "10.66.23.7" in lines) == (True, False)
    assert "host.docker.internal" not in lines
    rcrun("rm", "-f", "one").check()
    rcrun("create", "--name", "two", "--network", "none", "busybox", "sleep", "1000").check()
    rcrun("network", "connect", "--ip", "10.66.23.8", name, "two").check()
    rcrun("start", "two").check()
    assert "10.66.23.8/24" in rcrun("exec", "two", "ip", "-o", "addr").check().out


def test_a_failed_start_leaves_nothing(rcrun, network):
    name = network("--subnet", "10.66.21.0/24")
    web(rcrun, "one", "--network", name)
    got = rcrun("run", "--network", name, "--ip", "10.66.21.9", "busybox", "no-such-command")
    assert got.status == 127
    got = rcrun("run", "-d", "--network", name, "--ip", "10.66.21.9", "busybox", "no-such-command")
    assert got.status == 127
    claims = live(rcrun) / "names"
    wait_for(lambda: not [p for p in claims.glob("*/addresses/*") if p.name == "10.66.21.9"])
    lines_of(rcrun, "--network", name, "--ip", "10.66.21.9")


def test_names_go_with_a_container_that_was_killed(rcrun, network):
    name = network()
    web(rcrun, "one", "--network", name)
    web(rcrun, "two", "--network", name)
    assert " two " in names(rcrun)
    monitor = int(rcrun("inspect", "-f", "{{.State.ConmonPid}}", "two").check().out)
    os.kill(monitor, signal.SIGKILL)
    wait_for(lambda: " two " not in names(rcrun))
    assert " one " in names(rcrun)


def test_servers_of_a_network(rcrun, network):
    name = network("--dns", "10.1.1.1")
    web(rcrun, "one", "--network", name)
    (upstream,) = (live(rcrun) / "names").glob("*/upstream")
    assert upstream.read_text() == "nameserver 10.1.1.1\n"
    rcrun("network", "update", "--dns-add", "10.1.1.2", "--dns-drop", "10.1.1.1", name).check()
    assert upstream.read_text() == "nameserver 10.1.1.2\n"
    got = rcrun("network", "update", "--dns-drop", "10.1.1.1", name)
    assert (got.status, "has no name server 10.1.1.1" in got.err) == (1, True)
    assert get(rcrun, address_of(rcrun, "one"), "--network", name).check().out == "hello\n"


def test_pasta_was_killed(rcrun, network):
    name = network()
    web(rcrun, "one", "--network", name)
    pid = int((live(rcrun) / "outside").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: (
            fault(rcrun, "one") == "the process that makes its network has ended: rcrun restart one"
        )
    )
    assert get(rcrun, address_of(rcrun, "one"), "--network", name).check().out == "hello\n"
    assert fault(rcrun, "one") == ""


@pytest.mark.parametrize("way", ["reload", "restart"])
def test_the_holder_was_killed(rcrun, network, way):
    name = network()
    web(rcrun, "one", "--network", name)
    web(rcrun, "two", "--network", name)
    before = {each: address_of(rcrun, each) for each in ("one", "two")}
    os.kill(room(rcrun)["pid"], signal.SIGKILL)
    wait_for(lambda: fault(rcrun, "one") != "")
    if way == "reload":
        assert len(rcrun("network", "reload", "-a").check().out.split()) == 2
    else:
        rcrun("restart", "-t", "0", "one", "two").check()
    assert {each: address_of(rcrun, each) for each in ("one", "two")} == before
    assert fault(rcrun, "one") == fault(rcrun, "two") == ""
    words = ("timeout", "4", "wget", "-qO-", f"http://{before['two']}/")
    wait_for(lambda: rcrun("exec", "one", *words).out == "hello\n")
    assert get(rcrun, before["one"], "--network", name).check().out == "hello\n"
