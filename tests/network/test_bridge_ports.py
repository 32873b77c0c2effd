"""Published ports of containers on bridges, by the port proxy of the shim."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from accounts import bin_dir
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


def test_udp_beside_tcp_has_a_proxy_of_its_own(rcrun, network, serve, helper_pid, kill):
    number, datagrams = free_port(), free_port(socket.SOCK_DGRAM)
    publish = ("-p", f"127.0.0.1:{number}:80", "-p", f"127.0.0.1:{datagrams}:53/udp")
    web = serve("--network", network(), *publish)

    def answers() -> bool:
        return ask_udp("127.0.0.1", datagrams) == "PING"

    wait_for(answers)
    assert ask_tcp("127.0.0.1", number).startswith("from ")
    words = Path(f"/proc/{helper_pid(web)}/cmdline").read_bytes()
    assert b"marked" in words  # which acknowledges at once, as without UDP
    kill(helper_pid(web, "datagrams.pid"))
    assert ask_tcp("127.0.0.1", number).startswith("from ")
    fault = rcrun("inspect", "-f", "{{.State.Error}}", web).check().out
    assert fault.startswith("the process that makes its network has ended: rcrun restart ")
    rcrun("restart", "-t", "0", web).check()
    wait_for(answers)
    wait_for(lambda: ask_tcp("127.0.0.1", number).startswith("from "))


def own_memory(pid: int) -> int:
    """kB that no other process has."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def test_who_waits_has_given_back_what_the_start_took(rcrun, network, serve, helper_pid):
    proxy = helper_pid(serve("--network", network(), "-p", f"127.0.0.1:{free_port()}:80"))
    monitor = int(Path(f"/proc/{proxy}/stat").read_text().rpartition(")")[2].split()[1])
    wait_for(lambda: own_memory(monitor) <= 80 and own_memory(proxy) <= 60)


def test_a_port_that_is_taken_is_an_error_before_the_start(rcrun, network, serve):
    name, number = network(), free_port()
    serve("--network", name, "-p", f"127.0.0.1:{number}:80")
    got = rcrun("run", "--network", name, "-p", f"127.0.0.1:{number}:80", "busybox", "true")
    assert got.status == 125
    assert "port is already allocated" in got.err


# The first ports that are chosen are somebody's by the time that the proxy listens. argv: how many, rcrun's
LOSING = """
import socket, sys
from rcrun.network import ports
from rcrun_cli.program import entry
settle, other = ports.settle, socket.socket()
other.bind(("127.0.0.1", 0))
other.listen()
left = int(sys.argv[1])
def losing(asked):
    global left
    found, left = settle(asked), left - 1
    if left >= 0:
        found[0]["host_port"] = other.getsockname()[1]
    return found
ports.settle = losing
entry(sys.argv[2:])
"""


@pytest.mark.requires("pasta")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_chosen_port_that_is_lost_before_the_start_is_another_one(rcrun, account):
    program = (sys.executable, "-B", "-c", LOSING)

    def lose(times: int, *words: str):
        own = (str(times), bin_dir() / "rcrun", "run", "-d", *words, "busybox", "sleep", "1000")
        return account.run(*program, *own, env=rcrun.env)

    lose(1, "--name", "one", "-p", "127.0.0.1::80", "-p", "127.0.0.1::81").check()
    assert rcrun("port", "one").check().out.count("tcp -> 127.0.0.1:") == 2
    rcrun("exec", "one", "true").check()
    got = lose(100, "--name", "two", "-p", "127.0.0.1::80")
    assert got.status == 125
    assert "port is already allocated" in got.err
    named = lose(1, "--name", "three", "-p", f"127.0.0.1:{free_port()}:80")  # not ours to choose
    assert named.status == 125
    for mode in ("bridge", "pasta"):  # in the foreground another rcrun chooses
        own = (
            "1",
            bin_dir() / "rcrun",
            "run",
            "-i",
            "--rm",
            "--network",
            mode,
            "-p",
            "127.0.0.1::80",
        )
        got = account.run(*program, *own, "busybox", "cat", env=rcrun.env, input="heard\n")
        assert (got.status, got.out, got.err) == (0, "heard\n", ""), mode


def test_a_killed_proxy_is_noticed(rcrun, network, serve, helper_pid, kill):
    number = free_port()
    web = serve("--network", network(), "-p", f"127.0.0.1:{number}:80")
    kill(helper_pid(web))
    fault = rcrun("inspect", "-f", "{{.State.Error}}", web).check().out
    assert fault.startswith("the process that makes its network has ended: rcrun restart ")
    rcrun("restart", "-t", "0", web).check()
    wait_for(lambda: ask_tcp("127.0.0.1", number).startswith("from "))
