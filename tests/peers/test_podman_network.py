"""podman's networks: none, the host's, slirp4netns, pasta and bridges, on namespaces that the engine or the runtime makes."""

from __future__ import annotations

import subprocess

import pytest

from waiting import wait_for

pytestmark = pytest.mark.requires("podman")
SHOW = 'awk \'NR > 2 { sub(":.*", ""); print $1 }\' /proc/net/dev | xargs'
INTERFACES = ("sh", "-c", SHOW)
LISTEN = ("sh", "-c", "while :; do echo hello | nc -l -p 80; done")


SERVE = """
import socket
listening = socket.create_server(("", 8080))
print(flush=True)
while True:
    with listening.accept()[0] as client:
        client.sendall(b"hello\\n")
"""


@pytest.fixture(scope="module")
def server(inmates):
    """A port of the room's own address that says hello; it ends with the room."""
    process = inmates("root").popen("python3", "-IS", "-c", SERVE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield "8080"
    process.stdout.close()
    process.kill()
    process.wait()


def test_none(podman):
    assert podman.run("--network", "none", "busybox", *INTERFACES).check().out == "lo\n"
    up = podman.run("--network", "none", "busybox", "ip", "address", "show", "lo").check().out
    assert "127.0.0.1/8" in up


def test_the_hosts(podman):
    shown = podman.run("--network", "host", "busybox", *INTERFACES).check().out
    assert {"lo", "uplink"} <= set(shown.split())


@pytest.mark.parametrize("inmate", ["user"], indirect=True)
@pytest.mark.requires("slirp4netns", "pasta")
def test_a_users_network(podman, server):
    """The one that podman knows from 4.4 on, and the one that it has always known."""
    fetch = f"until nc -w 5 host.containers.internal {server} </dev/null; do sleep 0.1; done"
    for program in ["slirp4netns", *(["pasta"] if podman.version >= (4, 4) else [])]:
        given = podman.run(
            "--network", program, "busybox", "timeout", "100", "sh", "-c", f"{SHOW}; {fetch}"
        ).check()
        interfaces, answer = given.out.splitlines()
        assert len(interfaces.split()) == 2
        assert answer == "hello"


@pytest.mark.parametrize("inmate", ["user"], indirect=True)
@pytest.mark.requires("slirp4netns")
def test_a_users_published_port(podman):
    options = ("--network", "slirp4netns", "-p", "127.0.0.1:8081:80")
    podman("run", "-d", "--name", "web", *options, "busybox", *LISTEN).check()
    answer = ("busybox", "nc", "-w", "5", "127.0.0.1", "8081")
    wait_for(lambda: podman.account.run(*answer).out == "hello\n")


@pytest.mark.parametrize("inmate", ["root"], indirect=True)
def test_a_bridge(podman):
    """Two containers that reach each other by address, through namespaces that podman made."""
    podman("network", "create", "--disable-dns", "--subnet", "10.99.0.0/24", "wire").check()
    try:
        options = ("--network", "wire", "--ip", "10.99.0.9")
        podman("run", "-d", "--name", "web", *options, "busybox", *LISTEN).check()
        script = "until nc -w 5 10.99.0.9 80 </dev/null; do sleep 0.1; done"
        assert (
            podman.run("--network", "wire", "busybox", "sh", "-c", script).check().out == "hello\n"
        )
        answer = ("busybox", "nc", "-w", "5", "10.99.0.9", "80")
        wait_for(lambda: podman.account.run(*answer).out == "hello\n")
    finally:
        podman("rm", "-f", "-a", "-t", "0").check()
        podman("network", "rm", "-f", "wire").check()
