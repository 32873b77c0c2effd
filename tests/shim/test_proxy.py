"""The port proxy: from the host to a container's network, made by hand."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from network.servers import free_port, host_address
from shim.plans import SANITIZED, SHIM
from shim.rooms import (
    CONTAINER,
    CONTAINER6,
    GATEWAY,
    GATEWAY6,
    Room,
    private_kilobytes,
    start_time,
    wait_for,
)

pytestmark = pytest.mark.requires("unshare")

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
MARKED = f"marked/{GATEWAY}/{GATEWAY6}"
# What the room needs for SOURCE `kept`: docs/network.md.
KEPT_RULES = """
table inet rcrun_ports {
    chain prerouting {
        type filter hook prerouting priority mangle; policy accept;
        socket transparent 1 meta mark set 0x7263 accept
    }
}
"""


@pytest.fixture
def proxy(room: Room) -> Callable[..., subprocess.Popen[bytes]]:
    """With listeners like tcp/127.0.0.1/HOST/10.89.0.5/80, into the container's network."""

    def start(*listeners: str, source: str = MARKED, into: str = "") -> subprocess.Popen[bytes]:
        into = into or f"{room.container}:{start_time(room.container)}"
        process = room.shim("proxy", "@READY@", into, source, *listeners, inside=False)
        assert process.poll() is None
        return process

    return start


def connect(address: str, port: int) -> socket.socket:
    stream = socket.create_connection((address, port), 60)
    stream.settimeout(60)
    return stream


def read_all(stream: socket.socket) -> bytes:
    data = b""
    while piece := stream.recv(1 << 16):
        data += piece
    return data


def open_fds(process: subprocess.Popen[bytes]) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def test_both_ways_and_each_ends_when_it_likes(room, proxy):
    server = room.socket(room.container, TCP, CONTAINER, 80)
    port = free_port()
    process = proxy(f"tcp/127.0.0.1/{port}/{CONTAINER}/80")
    before = open_fds(process)
    sent = os.urandom(3_000_000)
    with connect("127.0.0.1", port) as client:
        inside, _ = server.accept()
        thread = threading.Thread(target=client.sendall, args=(sent,))
        thread.start()
        with inside:
            inside.settimeout(60)
            got = b""
            while len(got) < len(sent):
                got += inside.recv(1 << 20)
            thread.join()
            assert got == sent
            client.shutdown(socket.SHUT_WR)
            assert inside.recv(1) == b""
            inside.sendall(sent)
        assert read_all(client) == sent
    wait_for(lambda: open_fds(process) <= before + 4)  # pipes that are kept


def test_words_there_and_back_and_asleep_after_them(room, proxy):
    server = room.socket(room.container, TCP, CONTAINER, 80)
    port = free_port()
    process = proxy(f"tcp/127.0.0.1/{port}/{CONTAINER}/80")
    with connect("127.0.0.1", port) as client, server.accept()[0] as inside:
        for number in range(400):
            one, other = (client, inside) if number % 2 else (inside, client)
            one.sendall(b"%d" % number)
            assert other.recv(100) == b"%d" % number
        here = Path(f"/proc/{process.pid}")
        wait_for(lambda: (here / "stat").read_text().split()[2] == "S")
        before = (here / "schedstat").read_text()
        time.sleep(0.3)
        assert (here / "schedstat").read_text() == before


@pytest.mark.parametrize(
    ("listen", "target", "address", "source"),
    [
        ("127.0.0.1", CONTAINER, "127.0.0.1", GATEWAY),
        ("0.0.0.0", CONTAINER, "127.0.0.1", GATEWAY),
        ("::1", CONTAINER6, "::1", GATEWAY6),
        ("::1", CONTAINER, "::1", GATEWAY),
        ("0.0.0.0", CONTAINER, "host", "host"),
    ],
)
def test_whom_the_server_sees(room, proxy, listen, target, address, source):
    host = host_address()
    assert host, "this needs a host with a network"
    server = room.socket(room.container, TCP, target, 80)
    port = free_port()
    proxy(f"tcp/{listen}/{port}/{target}/80")
    with connect(address.replace("host", host), port) as client:
        inside, peer = server.accept()
        with inside:
            assert peer[0] == source.replace("host", host)
            if source == "host":
                assert peer[1] == client.getsockname()[1]
            inside.sendall(b"hello")
            assert client.recv(10) == b"hello"


@pytest.mark.parametrize(("family", "target"), [("-4", CONTAINER), ("-6", CONTAINER6)])
def test_what_is_sent_waits_with_the_receiver(room, proxy, family, target):
    """A container's server has 256 KiB to be acknowledged: by the route of the mark that is at once, in both directions."""
    server = room.socket(room.container, TCP, target, 80)
    port = free_port()
    proxy(f"tcp/127.0.0.1/{port}/{target}/80")
    inside_words = ["nsenter", f"--net=/proc/{room.container}/ns/net"]
    route = subprocess.check_output(
        [*inside_words, "ip", family, "route", "show", "table", "29283"], text=True
    )
    assert "local default dev lo" in route
    assert "quickack 1" in route
    with connect("127.0.0.1", port):
        inside, _ = server.accept()
        inside.close()
        sockets = subprocess.check_output([*inside_words, "ss", family, "-Htan"], text=True)
        assert "%lo" in sockets  # the proxy's own takes that route, too


def test_own_addresses(room, proxy):
    server = room.socket(room.container, TCP, CONTAINER, 80)
    port = free_port()
    process = proxy(f"tcp/0.0.0.0/{port}/{CONTAINER}/80", source="own")
    with connect(host_address(), port):
        inside, peer = server.accept()
        inside.close()
    assert peer[0] == CONTAINER
    assert "CapEff:\t0000000000000000\n" in Path(f"/proc/{process.pid}/status").read_text()


def test_from_the_room(room, proxy):
    """SOURCE `kept`: the room's routes and firewall send answers to the client's address to the proxy; UDP, too."""
    net = f"--net=/proc/{room.pid}/ns/net"
    for words in (
        "rule add fwmark 0x7263 lookup 29283",
        "route add local default dev lo table 29283",
    ):
        room.ip(room.pid, words)
    subprocess.run(["nsenter", net, "nft", "-f", "-"], input=KEPT_RULES, text=True, check=True)
    server = room.socket(room.container, TCP, CONTAINER, 80)
    datagrams = room.socket(room.container, UDP, CONTAINER, 53)
    host, port = host_address(), free_port()
    proxy(
        f"tcp/0.0.0.0/{port}/{CONTAINER}/80", f"udp/0.0.0.0/{port}/{CONTAINER}/53",
        source="kept", into=f"{room.pid}:{start_time(room.pid)}",
    )  # fmt: skip
    for address, seen in ((host, host), ("127.0.0.1", GATEWAY)):
        with connect(address, port) as client, server.accept()[0] as inside:
            inside.sendall(b"hello")
            assert client.recv(10) == b"hello"
            assert inside.getpeername()[0] == seen
        with socket.socket(socket.AF_INET, UDP) as client:
            client.settimeout(60)
            client.sendto(b"ping", (address, port))
            text, peer = datagrams.recvfrom(100)
            assert (text, peer[0]) == (b"ping", seen)
            datagrams.sendto(b"pong", peer)
            assert client.recvfrom(100) == (b"pong", (address, port))


def test_nobody_listens_inside(room, proxy):
    port = free_port()
    process = proxy(f"tcp/127.0.0.1/{port}/{CONTAINER}/80")
    before = open_fds(process)
    for _ in range(20):
        with pytest.raises(ConnectionResetError), connect("127.0.0.1", port) as client:
            client.recv(1)
    wait_for(lambda: open_fds(process) <= before)


def test_a_reset_is_passed_on(room, proxy):
    server = room.socket(room.container, TCP, CONTAINER, 80)
    port = free_port()
    proxy(f"tcp/127.0.0.1/{port}/{CONTAINER}/80")
    linger = b"\1\0\0\0\0\0\0\0"
    client = connect("127.0.0.1", port)
    inside, _ = server.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()
    inside.settimeout(60)
    with inside, pytest.raises(ConnectionResetError):
        inside.recv(1)
    with connect("127.0.0.1", port) as client:
        inside, _ = server.accept()
        inside.sendall(b"last words")
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        inside.close()
        with pytest.raises(ConnectionResetError):
            while client.recv(100):
                pass


@pytest.mark.parametrize("reader", ["client", "server"])
def test_who_does_not_read_stops_the_other(room, proxy, reader):
    server = room.socket(room.container, TCP, CONTAINER, 80)
    port = free_port()
    process = proxy(f"tcp/127.0.0.1/{port}/{CONTAINER}/80")
    client = connect("127.0.0.1", port)
    inside, _ = server.accept()
    slow, fast = (client, inside) if reader == "client" else (inside, client)
    fast.setblocking(False)
    sent, piece = 0, b"x" * 65536
    quiet = time.monotonic()
    while time.monotonic() - quiet < 0.3:
        try:
            sent += fast.send(piece)
            quiet = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        assert sent < 64 << 20
    assert SANITIZED or private_kilobytes(process.pid) < 500
    fast.setblocking(True)
    fast.shutdown(socket.SHUT_WR)
    slow.settimeout(60)
    assert len(read_all(slow)) == sent
    client.close()
    inside.close()


def test_a_thousand_connections(room, proxy):
    server = room.socket(room.container, TCP, CONTAINER, 80)
    port = free_port()
    process = proxy(f"tcp/127.0.0.1/{port}/{CONTAINER}/80")
    before = open_fds(process)
    pairs = []
    for _ in range(200):
        client = connect("127.0.0.1", port)
        pairs.append((client, server.accept()[0]))
    for number, (client, _) in enumerate(pairs):
        client.sendall(b"%d" % number)
    for number, (client, inside) in enumerate(pairs):
        assert inside.recv(100) == b"%d" % number
        inside.sendall(b"thanks")
        assert client.recv(100) == b"thanks"
    assert open_fds(process) <= before + 2 * len(pairs)
    for pair in pairs:
        for stream in pair:
            stream.close()
    wait_for(lambda: open_fds(process) <= before)
    for _ in range(1000):
        with connect("127.0.0.1", port), server.accept()[0] as inside:
            inside.sendall(b"x")
    wait_for(lambda: open_fds(process) <= before)


@pytest.mark.parametrize(
    ("listen", "target", "address"),
    [
        ("0.0.0.0", CONTAINER, "127.0.0.1"),
        ("0.0.0.0", CONTAINER, "127.0.0.2"),
        ("0.0.0.0", CONTAINER, "host"),
        ("::", CONTAINER6, "::1"),
        ("::", CONTAINER, "::1"),
    ],
)
def test_datagrams(room, proxy, listen, target, address):
    """Each client has its own way back, under the address that it knows."""
    server = room.socket(room.container, UDP, target, 53)
    port = free_port()
    proxy(f"udp/{listen}/{port}/{target}/53")
    address = address.replace("host", host_address())
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    clients = [socket.socket(family, UDP) for _ in range(20)]
    for number, client in enumerate(clients):
        client.settimeout(60)
        client.sendto(b"%d" % number, (address, port))
        text, peer = server.recvfrom(100)
        server.sendto(b"to " + text, peer)
    for number, client in enumerate(clients):
        text, peer = client.recvfrom(100)
        assert text == b"to %d" % number
        assert peer[:2] == (address, port)
        client.close()


def test_more_clients_than_sessions(room, proxy):
    server = room.socket(room.container, UDP, CONTAINER, 53)
    port = free_port()
    process = proxy(f"udp/127.0.0.1/{port}/{CONTAINER}/53")
    before = open_fds(process)
    for _ in range(1300):
        with socket.socket(socket.AF_INET, UDP) as client:
            client.settimeout(60)
            client.sendto(b"x", ("127.0.0.1", port))
            server.sendto(b"y", server.recvfrom(10)[1])
            assert client.recv(10) == b"y"
    assert open_fds(process) <= before + 1024


def test_a_range_is_there_at_once(room, proxy):
    first = 21000 if room.account.uid else 22000
    servers = [room.socket(room.container, TCP, CONTAINER, 80 + i) for i in (0, 199)]
    begun = time.monotonic()
    process = proxy(f"tcp/127.0.0.1/{first}-{first + 199}/{CONTAINER}/80")
    assert time.monotonic() - begun < 30
    for number, server in zip((0, 199), servers, strict=True):
        with connect("127.0.0.1", first + number) as client:
            inside, _ = server.accept()
            inside.sendall(b"hello")
            assert client.recv(10) == b"hello"
            inside.close()
    assert SANITIZED or private_kilobytes(process.pid) < 300


def test_a_port_that_is_taken(room):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        words = ["proxy", "1", str(room.container), "own", f"tcp/127.0.0.1/{port}/{CONTAINER}/80"]
        done = room.account.run(SHIM, *words)
    assert done.status == 1
    assert done.err == f"cannot listen on 127.0.0.1:{port}/tcp: Address already in use\n"


@pytest.mark.parametrize(
    "word",
    [
        "tcp", "sctp/127.0.0.1/1/10.0.0.1/1", "tcp/localhost/1/10.0.0.1/1", "tcp/127.0.0.1/x/10.0.0.1/1",
        "tcp/127.0.0.1/2-1/10.0.0.1/1", "tcp/127.0.0.1/1/10.0.0.1/65536", "tcp/127.0.0.1/1-3/10.0.0.1/65534",
    ],
)  # fmt: skip
def test_words_that_mean_nothing(user_account, word):
    done = user_account.run(SHIM, "proxy", "1", str(os.getpid()), "own", word)
    assert done.status == 125
    assert done.err.startswith("invalid listener")


def test_another_process_with_the_number_is_not_entered(room):
    into = f"{room.container}:{start_time(room.container) + 1}"
    words = ["proxy", "1", into, "own", f"tcp/127.0.0.1/{free_port()}/{CONTAINER}/80"]
    done = room.account.run(SHIM, *words)
    assert done.status == 1
    assert done.err.endswith("No such process\n")


def test_it_ends_with_its_parent(room, proxy):
    """As the shim starts it: entering the namespaces does not make the kernel forget that."""
    port = free_port()
    reader, writer = os.pipe()
    words = [SHIM, "proxy", str(writer), str(room.container), MARKED,
             f"tcp/127.0.0.1/{port}/{CONTAINER}/80"]  # fmt: skip
    script = 'setpriv --pdeathsig KILL "$@" & echo $!; wait'
    parent = room.start("sh", "-c", script, "sh", *words, pass_fds=[writer], stdout=subprocess.PIPE)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read(1) == b"r"
    assert parent.stdout
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def test_it_has_little_and_may_do_little(room, proxy):
    process = proxy(f"tcp/127.0.0.1/{free_port()}/{CONTAINER}/80")
    status = Path(f"/proc/{process.pid}/status").read_text()
    # CAP_NET_BIND_SERVICE, CAP_NET_ADMIN (for the mark), CAP_NET_RAW, over the room's namespaces alone
    assert "CapEff:\t0000000000003400\n" in status
    assert "CapBnd:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    assert SANITIZED or private_kilobytes(process.pid) < 250
