"""Who reaches whom: the container the host and the world's names, the host the container's published ports."""

from __future__ import annotations

import socket

import pytest

from network.servers import (
    CLIENT,
    INSIDE,
    PYTHON,
    Server,
    ask_tcp,
    ask_udp,
    free_port,
    host_address,
    is_refused,
)
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "network")
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def ask_from_inside(rcrun, kind: str, *words: str, options: tuple[str, ...] = ()) -> list[str]:
    got = rcrun(
        "run", "--rm", "--network", kind, *INSIDE, *options, "busybox", PYTHON, "-c", CLIENT, *words
    )
    return got.check().out.splitlines()


def test_addresses_are_the_same_over_both(rcrun, kind):
    script = "ip -4 -o addr show dev eth0; ip route"
    lines = rcrun("run", "--rm", "--network", kind, "busybox", "sh", "-c", script).check().out
    assert "inet 10.0.2.100/24" in lines
    assert "default via 10.0.2.2 dev eth0" in lines


def test_the_container_reaches_the_host_but_not_its_loopback(rcrun, kind):
    own = host_address()
    if not own:
        pytest.skip("the host has no default route")
    with (
        Server(TCP, "0.0.0.0") as tcp,
        Server(UDP, "0.0.0.0") as udp,
        Server(TCP, "127.0.0.1") as lo,
    ):
        got = ask_from_inside(
            rcrun,
            kind,
            f"tcp/{own}/{tcp.port}",
            f"udp/{own}/{udp.port}",
            f"tcp/127.0.0.1/{lo.port}",
            f"tcp/10.0.2.2/{lo.port}",
        )
    assert got[:2] == [f"from {own}", f"from {own}"]
    assert not any(line.startswith("from") for line in got[2:])


def test_the_hosts_name(rcrun, kind):
    own = host_address()
    if not own:
        pytest.skip("the host has no default route")
    with Server(TCP, own) as server:
        got = ask_from_inside(
            rcrun,
            kind,
            f"tcp/host.docker.internal/{server.port}",
            f"tcp/host.containers.internal/{server.port}",
            f"tcp/gateway.example/{server.port}",
            options=("--add-host", "gateway.example:host-gateway"),
        )
    assert got == [f"from {own}"] * 3


@pytest.mark.requires("pasta")
def test_ipv6_of_the_host(rcrun):
    own = host_address(socket.AF_INET6)
    if not own:
        pytest.skip("the host has no IPv6")
    with Server(TCP, "::", socket.AF_INET6) as server:
        # A pasta of 2023 that starts on a busy machine once said nothing for ten seconds.
        got = ask_from_inside(rcrun, "pasta", *[f"tcp/{own}/{server.port}"] * 3)
    assert f"from {own}" in got
    assert set(got) <= {f"from {own}", "TimeoutError"}


@pytest.mark.requires("pasta", "slirp4netns")
def test_the_loopback_of_the_host_when_asked_for(rcrun):
    with Server(TCP, "127.0.0.1") as server:
        word = f"tcp/10.0.2.2/{server.port}"
        assert ask_from_inside(rcrun, "pasta:--map-gw", word) == ["from 127.0.0.1"]
        allowed = "slirp4netns:allow_host_loopback=true"
        assert ask_from_inside(rcrun, allowed, word) == ["from 127.0.0.1"]


def test_published_ports_are_there_when_run_returns(rcrun, kind):
    number = free_port()
    options = ("--network", kind, "-p", f"{number}:80")
    rcrun("run", "-d", *options, "busybox", "sleep", "1000").check()  # nobody listens inside
    assert not is_refused("127.0.0.1", number)


def test_published_tcp_and_udp(rcrun, publishing, old_pasta, serve):
    number, datagrams = free_port(), free_port(UDP)
    ports = ("-p", f"{number}:80", "-p", f"{datagrams}:53/udp")
    web = serve("--network", publishing, *ports)
    own = host_address()
    for address in filter(None, ("127.0.0.1", own)):
        assert ask_tcp(address, number).startswith("from ")
    # slirp4netns answers no datagram of the host's loopback
    answers = own if old_pasta or publishing == "slirp4netns" else "127.0.0.1"
    assert not answers or wait_for(lambda: ask_udp(answers, datagrams) == "PING")
    assert sorted(rcrun("port", web).out.splitlines()) == [
        f"53/udp -> 0.0.0.0:{datagrams}",
        f"80/tcp -> 0.0.0.0:{number}",
    ]
    rcrun("rm", "-f", web).check()
    assert is_refused("127.0.0.1", number)  # at once


@pytest.mark.requires("pasta")
def test_udp_of_the_same_port_on_both_sides(rcrun, serve):
    """What Debian 12's pasta does right, too."""
    number = free_port(UDP)
    script = f"import socket; s = socket.socket(2, 2); s.bind(('', {number}))\n" + (
        "while True: s.sendto(*s.recvfrom(99))"
    )
    rcrun(
        *("run", "-d", "-p", f"{number}:{number}/udp", *INSIDE, "busybox", PYTHON, "-c", script)
    ).check()
    wait_for(lambda: ask_udp("127.0.0.1", number) == "ping")


def test_localhost_finds_a_server_of_ipv4_alone(serve):
    """`curl localhost` tries ::1 first, and goes on only if nobody takes the connection there."""
    number = free_port()
    serve("-p", f"{number}:80")
    assert is_refused("::1", number)
    assert ask_tcp("localhost", number).startswith("from ")


@pytest.mark.requires("pasta")
def test_published_on_ipv6(serve):
    if not host_address(socket.AF_INET6):
        pytest.skip("the host has no IPv6")
    number, both = free_port(), free_port()
    serve(
        *("-p", f"[::1]:{number}:80"),
        *("-p", f"[::]:{both}:80", "-p", f"0.0.0.0:{both}:80"),
        addresses=("::",),
    )
    assert ask_tcp("::1", number).startswith("from ")
    assert is_refused("127.0.0.1", number)
    assert ask_tcp("::1", both).startswith("from ")
    assert ask_tcp("127.0.0.1", both).startswith("from ")


def test_published_on_one_address(serve, kind):
    number = free_port()
    serve("--network", kind, "-p", f"127.0.0.1:{number}:80")
    assert ask_tcp("127.0.0.1", number).startswith("from ")
    own = host_address()
    assert not own or is_refused(own, number)


def test_ranges_and_random_ports(rcrun, serve):
    first = free_port()
    web = serve("-p", f"127.0.0.1:{first}-{first + 2}:79-81", "-p", "127.0.0.1::80")
    assert ask_tcp("127.0.0.1", first + 1).startswith("from ")
    form = '{{range index .NetworkSettings.Ports "80/tcp"}}{{.HostPort}} {{end}}'
    bound = rcrun("inspect", "-f", form, web).check().out.split()
    assert str(first + 1) in bound
    chosen = next(int(text) for text in bound if text != str(first + 1))
    assert ask_tcp("127.0.0.1", chosen).startswith("from ")


def test_clients_keep_their_address(serve, publishing):
    own = host_address()
    if not own:
        pytest.skip("the host has no default route")
    number = free_port()
    serve("--network", publishing, "-p", f"{number}:80")
    assert ask_tcp(own, number) == f"from {own}"
