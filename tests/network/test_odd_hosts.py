"""Hosts with another network than this one: no default route, a resolver on the loopback; in namespaces of their own."""

from __future__ import annotations

import subprocess

import pytest

from network.servers import CLIENT, INSIDE, PYTHON, SERVER

pytestmark = pytest.mark.requires("root", "userns", "overlay", "network")

# argv: uid, gid, the text of resolv.conf, what else to prepare, the command
SANDBOX = """
uid=$0 gid=$1
ip link set lo up
printf '%s\\n' "$2" >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
eval "$3"
shift 3
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
"""
WITH_ROUTE = """
ip link add eth7 type veth peer name eth8
ip addr add 203.0.113.9/24 dev eth7
ip link set eth7 up
ip link set eth8 up
ip route add default via 203.0.113.1
"""
# Says 192.0.2.77 to everything.
NAME_SERVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("ADDRESS", 53))
open("/run/names", "w")
while True:
    question, source = s.recvfrom(2000)
    end = question.index(b"\\0", 12) + 5
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4\\xc0\\0\\2\\x4d"
    kind = question[end - 4 : end - 2]
    found = kind == b"\\0\\1"
    head = question[:2] + b"\\x81\\x80\\0\\1\\0" + bytes([found]) + b"\\0\\0\\0\\0"
    s.sendto(head + question[12:end] + (answer if found else b""), source)
"""
LOOK_UP = "import socket; print(socket.gethostbyname('some.example'))"


@pytest.fixture
def odd_host(rcrun, tmp_path):
    """Runs a script as the account, where `prepare` was run as root in namespaces of its own."""

    def run(script: str, *words: str, prepare: str = "", resolv: str = "nameserver 127.0.0.53"):
        account = rcrun.account
        unshare = ("unshare", "-n", "-m", "-p", "--fork", "--mount-proc", "--kill-child")
        command = [*unshare, "sh", "-euc", "mount -t tmpfs none /run; " + SANDBOX]
        command += [str(account.uid), str(account.gid), resolv, prepare]
        return subprocess.run(
            [*command, "sh", "-c", script, *words],
            env={**account.environ, **rcrun.env},
            cwd=account.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def serving_names(prepare: str, address: str) -> str:
    server = NAME_SERVER.replace("ADDRESS", address)
    return f"{prepare}\n{PYTHON} -c '{server}' & until test -e /run/names; do sleep 0.05; done"


@pytest.mark.requires("pasta", "slirp4netns")
@pytest.mark.parametrize(
    ("prepare", "address"),
    [("", "127.0.0.53"), (WITH_ROUTE, "127.0.0.53"), (WITH_ROUTE, "203.0.113.9")],
    ids=["no route", "a route", "elsewhere"],
)
@pytest.mark.parametrize("kind", ["pasta", "slirp4netns"])
def test_names(odd_host, prepare, address, kind):
    """Of a server on the loopback, such as systemd-resolved, and of one on the network."""
    got = odd_host(
        'exec rcrun run --rm --network "$0" "$@"',
        *(kind, *INSIDE, "busybox", PYTHON, "-c", LOOK_UP),
        prepare=serving_names(prepare, address),
        resolv=f"nameserver {address}",
    )
    assert (got.stdout, got.stderr) == ("192.0.2.77\n", "")


def test_without_a_default_route(odd_host):
    look = "ip -4 -o addr show dev eth0; cat /etc/hosts"
    script = 'rcrun run --rm --network "$1" --add-host gw:host-gateway busybox sh -c "$0"'
    got = odd_host(script, look, "private")
    assert got.stderr == ""
    assert "inet 10.0.2.100/24" in got.stdout
    assert "host.docker.internal" not in got.stdout
    assert "10.0.2.2\tgw\n" in got.stdout
    got = odd_host(script, look, "bridge")
    assert got.stderr == ""
    assert " eth0 " in got.stdout
    assert "10.0.2.2\tgw\n" in got.stdout


def test_ports_are_published_without_a_default_route(odd_host):
    """On the host's loopback, which is what is left of its network."""
    script = f"""
        rcrun run -d --name offline -p 18080:80 "$@" busybox {PYTHON} -c "$0" 0.0.0.0 >&2
        until rcrun logs offline | grep -q ready; do sleep 0.05; done
        {PYTHON} -c '{CLIENT}' tcp/127.0.0.1/18080
        rcrun rm -f offline >&2
    """
    got = odd_host(script, SERVER, *INSIDE)
    assert got.stdout.startswith("from "), got
