"""What a container has that names no network: the default bridge, or one of its own where none can be made."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from network.servers import (
    CLIENT,
    INSIDE,
    PYTHON,
    Server,
    ask_tcp,
    free_port,
    host_address,
)
from network.test_bridges import address_of, assert_room_ends, get, network, room_dir, web
from rcrun.engine.outside import Starting
from rcrun.paths import find_program
from waiting import wait_for

__all__ = ["network"]
pytestmark = pytest.mark.requires("userns", "overlay", "network")


def mode(rcrun, name: str) -> str:
    return rcrun("inspect", "-f", "{{.HostConfig.NetworkMode}}", name).check().out.strip()


def test_it_is_a_bridge(rcrun, network):
    """Siblings by address, the host by name, a network that is joined later."""
    web(rcrun, "one")
    assert mode(rcrun, "one") == "bridge"
    assert get(rcrun, address_of(rcrun, "one")).check().out == "hello\n"
    with Server(socket.SOCK_STREAM, "0.0.0.0") as server:
        words = (PYTHON, "-c", CLIENT, f"tcp/host.docker.internal/{server.port}")
        got = rcrun("run", "--rm", *INSIDE, "busybox", *words).check().out.strip()
    assert got in (
        f"from {host_address()}",
        "gaierror",
    )  # a host without a default route has no name
    name = network()
    rcrun("network", "connect", name, "one").check()
    assert get(rcrun, "one", "--network", name).check().out == "hello\n"


def test_what_connects_it_and_how_much_goes_through_at_once(rcrun):
    """pasta also of 2023, which ends when it finds SIGPIPE ignored, as what Python starts does."""
    web(rcrun, "one")
    pid = int((room_dir(rcrun) / "outside").read_text().split()[0])
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert (b"pasta" in command) == bool(find_program("pasta", rcrun.account.environ["PATH"]))
    assert "mtu 65520" in rcrun("exec", "one", "ip", "link", "show", "dev", "eth0").check().out
    look = ("busybox", "cat", "/proc/sys/net/ipv4/tcp_wmem")
    assert rcrun("run", "--rm", *look).check().out.split()[2] == "262144"
    asked = ("--sysctl", "net.ipv4.tcp_wmem=4096 16384 1000000")
    assert rcrun("run", "--rm", *asked, *look).check().out.split()[2] == "1000000"


@pytest.mark.requires("pasta", "slirp4netns")
def test_where_pasta_fails_slirp4netns_connects_it(rcrun, account):
    folder = account.new_dir("bin")
    (folder / "pasta").write_text("#!/bin/sh\n# --no-copy-routes\necho no luck today >&2\nexit 1\n")
    (folder / "pasta").chmod(0o755)
    path = {"PATH": f"{folder}:{account.environ['PATH']}"}
    got = rcrun("run", "-d", "--name", "one", "busybox", "sleep", "1000", env=path).check()
    assert got.err == (
        "rcrun: warning: pasta could not connect the bridges: no luck today; slirp4netns does it instead\n"
    )
    pid = int((room_dir(rcrun) / "outside").read_text().split()[0])
    assert b"slirp4netns" in Path(f"/proc/{pid}/cmdline").read_bytes()
    rcrun("rm", "-f", "one").check()
    assert_room_ends(rcrun)


def test_one_that_is_killed_said_nothing(tmp_path):
    starting = Starting(["/bin/sh", "-c", "kill -9 $$"], 1, str(tmp_path / "pasta.pid"))
    assert starting.finish() == (0, "signal 9 ended it")


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_caller_without_stderr(rcrun):
    """As services and cron jobs are: what we open in its place is what pasta has, too."""
    line = "rcrun run --rm busybox echo hi <&- 2>&-"
    assert rcrun.account.run("bash", "-c", line, env=rcrun.env).check().out == "hi\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_another_one_of_the_environment(rcrun):
    script = "ip -4 -o addr show dev eth0 2>&1"
    for word, shown in (("private", "10.0.2.100/24"), ("none", "can't find device")):
        words = ("run", "--rm", "busybox", "sh", "-c", script)
        assert shown in rcrun(*words, env={"RCRUN_NETWORK": word}).out
    words = ("run", "--rm", "--network", "none", "busybox", "true")
    rcrun(*words, env={"RCRUN_NETWORK": "nobody"}).check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_where_no_bridge_can_be_made(rcrun, serve):
    """A name that the kernel refuses stands for a kernel that has no bridges. Nobody is told, and nobody tries again."""
    rcrun("network", "inspect", "bridge").check()
    path = rcrun.store_dir / "networks" / "bridge.json"
    whole = path.read_text()
    path.write_text(json.dumps({**json.loads(whole), "network_interface": "x/y"}))
    mark = room_dir(rcrun).parent / "no-bridges"
    try:
        assert not mark.exists()
        number = free_port()
        found = serve("-p", f"127.0.0.1:{number}:80")
        assert mode(rcrun, found) in ("pasta", "slirp4netns")
        assert wait_for(lambda: ask_tcp("127.0.0.1", number).startswith("from "))
        assert "10.0.2.100\t" in rcrun("exec", found, "cat", "/etc/hosts").check().out
        rcrun("restart", "-t", "0", found).check()
        assert mark.exists()
        got = rcrun("run", "--rm", "busybox", "true").check()
        assert got.err == ""
        assert rcrun("run", "--rm", "--network", "bridge", "busybox", "true").status == 125
    finally:
        path.write_text(whole)
        mark.unlink(missing_ok=True)
        rcrun("rm", "-f", *rcrun("ps", "-aq").out.split())
    assert_room_ends(rcrun)
