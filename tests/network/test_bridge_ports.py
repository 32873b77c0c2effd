"""Published ports of containers on bridges, by the port proxy of the shim."""

from __future__ import annotations

import socket

import pytest

from network.servers import ask_tcp, ask_udp, free_port, host_address, is_refused
from network.test_bridges import network
from waiting import wait_for

__all__ = ["network"]
pytestmark = pytest.mark.requires("userns", "overlay", "network")


def test_from_the_loopback_and_from_another_address(rcrun, network, serve):
    number, own = free_port(), host_address()
    web = serve("--network", network(), "-p", f"{number}:80")
    assert rcrun("port", web).check().out == f"80/tcp -> 0.0.0.0:{number}\n"
    form = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
    gateway = rcrun("inspect", "-f", form, web).check().out.strip()
    assert ask_tcp("127.0.0.1", number) == f"from {gateway}"
    if own:
        assert ask_tcp(own, number) == f"from {own}"
    rcrun("rm", "-f", web).check()
    assert is_refused("127.0.0.1", number)


def test_udp(rcrun, network, serve):
    number = free_port(socket.SOCK_DGRAM)
    serve("--network", network(), "-p", f"127.0.0.1:{number}:53/udp")
    wait_for(lambda: ask_udp("127.0.0.1", number) == "PING")


def test_a_port_that_is_taken_is_an_error_before_the_start(rcrun, network, serve):
    name, number = network(), free_port()
    serve("--network", name, "-p", f"127.0.0.1:{number}:80")
    got = rcrun("run", "--network", name, "-p", f"127.0.0.1:{number}:80", "busybox", "true")
    assert got.status == 125
    assert "port is already allocated" in got.err


def test_a_killed_proxy_is_noticed(rcrun, network, serve, helper_pid, kill):
    number = free_port()
    web = serve("--network", network(), "-p", f"127.0.0.1:{number}:80")
    kill(helper_pid(web))
    fault = rcrun("inspect", "-f", "{{.State.Error}}", web).check().out
    assert fault.startswith("the process that makes its network has ended: rcrun restart ")
    rcrun("restart", "-t", "0", web).check()
    wait_for(lambda: ask_tcp("127.0.0.1", number).startswith("from "))
