"""The name server of a room: what containers are told about each other, over UDP and TCP, while names change."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shim.dnsmessages import (
    AAAA,
    ANY,
    FORMERR,
    MX,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    PTR,
    SERVFAIL,
    A,
    Answer,
    framed,
    question,
    receive_framed,
)
from shim.plans import SANITIZED
from shim.rooms import CONTAINER, GATEWAY, GATEWAY6, Room, private_kilobytes

pytestmark = pytest.mark.requires("unshare")

NAMES = """\
10.89.0.5\tweb Web.Example 0123456789ab   # the first is what PTR says
10.89.0.6 pool
10.89.0.7 pool
fd89::7 pool six
10.89.0.8 "odd ..bad x..y -fine
not.an.address nobody
10.0.2.2 host.docker.internal host.containers.internal
"""


class Names:
    """The server in its room, its files, and a client in the container."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.dir = room.account.new_dir("dns")
        self.write("networks", f"one br0 {GATEWAY} {GATEWAY6}\n")
        self.write("one/names", NAMES)
        self.process = room.shim("dns", str(self.dir), "@READY@", inside=True)
        self.client = room.socket(room.container, socket.SOCK_DGRAM)

    def write(self, name: str, text: str) -> None:
        path = self.dir / name
        if not path.parent.exists():
            path.parent.mkdir()
            os.chown(path.parent, self.room.account.uid, self.room.account.gid)
        aside = path.with_name("aside")
        aside.write_text(text, encoding="utf-8")
        aside.chmod(0o644)
        aside.rename(path)

    def ask(self, name: str, kind: int = A, *, size: int = 0, server: str = GATEWAY) -> Answer:
        query = question(name, kind, size=size)
        self.client.sendto(query, (server, 53))
        message, source = self.client.recvfrom(65535)
        assert source[0] == server
        return Answer(message, query)

    def connect(self, server: str = GATEWAY) -> socket.socket:
        address = "::" if ":" in server else ""
        stream = self.room.socket(self.room.container, socket.SOCK_STREAM, address)
        stream.connect((server, 53))
        return stream

    def ask_tcp(self, name: str, kind: int = A, server: str = GATEWAY) -> Answer:
        query = question(name, kind)
        with self.connect(server) as stream:
            stream.sendall(framed(query))
            return Answer(receive_framed(stream), query)

    def is_silent(self, query: bytes, server: str = GATEWAY) -> bool:
        """The answer to a question after it is the first that comes."""
        other = question("web")
        self.client.sendto(query, (server, 53))
        self.client.sendto(other, (GATEWAY, 53))
        message = self.client.recv(65535)
        return message[:2] == other[:2] and message[:2] != query[:2]


@pytest.fixture
def names(room: Room) -> Iterator[Names]:
    made = Names(room)
    yield made
    assert made.process.poll() is None, "it ended by itself"


def test_addresses(names: Names) -> None:
    assert names.ask("web").values == [CONTAINER]
    assert names.ask("WEB.eXample").values == [CONTAINER]
    assert names.ask("0123456789ab").values == [CONTAINER]
    assert names.ask("six", AAAA).values == ["fd89::7"]
    assert sorted(names.ask("pool", ANY).values) == ["10.89.0.6", "10.89.0.7", "fd89::7"]
    assert names.ask("host.docker.internal").values == ["10.0.2.2"]
    assert names.ask("-fine").values == ["10.89.0.8"]
    assert names.ask("web").ttl == 0


def test_a_known_name_without_such_an_address_is_no_unknown_name(names: Names) -> None:
    for kind in (AAAA, MX):
        answer = names.ask("web", kind)
        assert (answer.rcode, answer.values) == (NOERROR, [])


def test_several_addresses_take_turns(names: Names) -> None:
    firsts = [names.ask("pool").values[0] for _ in range(4)]
    assert firsts in (["10.89.0.6", "10.89.0.7"] * 2, ["10.89.0.7", "10.89.0.6"] * 2)


def test_reverse(names: Names) -> None:
    assert names.ask("5.0.89.10.in-addr.arpa", PTR).values == ["web"]
    nibbles = ".".join(reversed("fd89" + "0" * 27 + "7"))
    assert names.ask(f"{nibbles}.ip6.arpa", PTR).values == ["pool"]
    assert names.ask(f"{nibbles}.IP6.ARPA", PTR).values == ["pool"]
    assert names.ask("9.0.89.10.in-addr.arpa", PTR).rcode == SERVFAIL  # nobody upstream to ask


def test_the_same_over_tcp_and_ipv6(names: Names) -> None:
    assert names.ask_tcp("web").values == [CONTAINER]
    assert names.ask_tcp("six", AAAA, GATEWAY6).values == ["fd89::7"]
    with names.room.socket(names.room.container, socket.SOCK_DGRAM, "::") as client:
        query = question("web")
        client.sendto(query, (GATEWAY6, 53))
        message, source = client.recvfrom(2000)
        assert Answer(message, query).values == [CONTAINER]
        assert source[0] == GATEWAY6


def test_several_questions_on_one_connection(names: Names) -> None:
    queries = [question("web"), question("pool", AAAA), question("web", AAAA)]
    with names.connect() as stream:
        for byte in b"".join(map(framed, queries)):
            stream.send(bytes([byte]))
        answers = [Answer(receive_framed(stream), query).values for query in queries]
    assert answers == [[CONTAINER], ["fd89::7"], []]


def test_unknown_names_without_upstream(names: Names) -> None:
    assert names.ask("nobody").rcode == NXDOMAIN
    assert names.ask("nobody.example").rcode == SERVFAIL
    assert names.ask_tcp("nobody").rcode == NXDOMAIN


def test_many_addresses(names: Names) -> None:
    many = {f"10.90.{i // 200}.{i % 200}" for i in range(1000)}
    names.write("one/names", "".join(f"{address} many\n" for address in many))
    plain, larger = names.ask("many"), names.ask("many", size=1232)
    assert plain.truncated
    assert len(plain.message) <= 512
    assert len(plain.values) > 25
    assert larger.truncated
    assert larger.edns
    assert 1200 < len(larger.message) <= 1232
    whole = names.ask_tcp("many")
    assert set(whole.values) == many
    assert not whole.truncated


def test_networks_know_their_own_names_only(names: Names) -> None:
    names.room.add_bridge("br1", "10.89.1.1/24")
    names.write("two/names", "10.89.1.5 db\n")
    names.write("networks", f"one br0 {GATEWAY} {GATEWAY6}\ntwo br1 10.89.1.1\n")
    assert names.ask("web").values == [CONTAINER]
    assert names.ask("db").rcode == NXDOMAIN
    # the other network's address can be reached, but not by its bridge
    assert names.is_silent(question("db"), "10.89.1.1")
    with names.connect("10.89.1.1") as stream:
        stream.sendall(framed(question("db")))
        assert stream.recv(1) == b""


def test_a_container_in_two_networks_sees_both(names: Names) -> None:
    names.write("two/names", "10.89.1.5 db\n")
    names.write("networks", f"one br0 {GATEWAY} {GATEWAY6}\ntwo br1 10.89.1.1\n")
    names.write("one/names", NAMES + f"also {CONTAINER} two\nalso 10.89.0.77 three\n")
    assert names.ask("db").values == ["10.89.1.5"]
    assert names.ask("web").values == [CONTAINER]
    names.write("two/names", "10.89.1.6 db\n")
    assert names.ask("db").values == ["10.89.1.6"]


def test_networks_come_and_go(names: Names) -> None:
    names.write("networks", "")
    assert names.room.socket(names.room.container, socket.SOCK_DGRAM).sendto(
        question("web"), (GATEWAY, 53)
    )
    names.write("networks", f"new br0 {GATEWAY}\n")
    assert names.ask("web").rcode == NXDOMAIN
    names.write("new/names", "10.89.0.9 web\n")
    assert names.ask("web").values == ["10.89.0.9"]
    (names.dir / "new" / "names").unlink()
    assert names.ask("web").rcode == NXDOMAIN
    (names.dir / "new").rmdir()
    names.write("new/names", "10.89.0.10 web\n")
    assert names.ask("web").values == ["10.89.0.10"]


def test_no_query_is_lost_while_names_change(names: Names) -> None:
    """Twenty changes a second of a file with a thousand names, a hundred questions a second, each answer the newest."""
    others = "".join(f"10.91.{i // 250}.{i % 250} name{i}\n" for i in range(1000))
    end, count, changed = time.monotonic() + 3, 0, 0.0
    names.client.settimeout(20)
    while time.monotonic() < end or count <= 20:
        if time.monotonic() - changed > 0.05:
            changed, count = time.monotonic(), count + 1
            names.write("one/names", f"{others}10.92.0.{count % 250} moving\n")
        assert names.ask("moving").values == [f"10.92.0.{count % 250}"]
        assert names.ask("name999").values == ["10.91.3.249"]
        time.sleep(0.005)


def test_what_is_no_query_is_answered_or_dropped(names: Names) -> None:
    web = question("web")
    for broken in (b"", b"\0", web[:11], b"\0\0\x80\0" + web[4:], bytes(1300)):
        assert names.is_silent(broken)
    for broken, rcode in (
        (web[:4] + b"\0\2" + web[6:], FORMERR),
        (web[:-1], FORMERR),
        (web[:12] + b"\xc0\x0c" + web[-4:], FORMERR),
        (web[:2] + b"\x28\0" + web[4:], NOTIMP),
    ):
        names.client.sendto(broken, (GATEWAY, 53))
        answer = names.client.recv(2000)
        assert answer[:2] == broken[:2]
        assert answer[3] & 15 == rcode


def test_noise(names: Names) -> None:
    generator = random.Random(5)
    for _ in range(3000):
        noise = bytearray(question("web", size=1232))
        for _ in range(generator.randrange(8)):
            noise[generator.randrange(len(noise))] = generator.randrange(256)
        names.client.sendto(noise[: generator.randrange(len(noise) + 1)], (GATEWAY, 53))
    names.client.close()
    for _ in range(200):
        with names.connect() as stream:
            stream.sendall(generator.randbytes(generator.randrange(1, 100)))
    names.client = names.room.socket(names.room.container, socket.SOCK_DGRAM)
    assert names.ask("web").values == [CONTAINER]
    assert names.ask_tcp("web").values == [CONTAINER]


def test_connections_without_end_do_not_keep_others_out(names: Names) -> None:
    held = [names.connect() for _ in range(200)]
    assert names.ask_tcp("web").values == [CONTAINER]
    assert len(os.listdir(f"/proc/{names.process.pid}/fd")) < 90
    for stream in held:
        stream.close()


def test_the_c_library_finds_names(names: Names, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(f"search lan.example\nnameserver {GATEWAY}\n")
    script = 'mount --bind "$0" /etc/resolv.conf && getent -s dns ahosts pool && getent -s dns hosts 10.89.0.5'
    enter = ["nsenter", f"--net=/proc/{names.room.container}/ns/net", "unshare", "--mount"]
    done = subprocess.run(
        [*enter, "sh", "-c", script, tmp_path / "resolv.conf"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for address in ("10.89.0.6", "10.89.0.7", "fd89::7"):
        assert address in done.stdout
    assert done.stdout.splitlines()[-1].split() == [CONTAINER, "web"]


def test_memory(names: Names) -> None:
    names.write("one/names", "".join(f"10.91.0.{i} name{i} alias{i} id{i}\n" for i in range(100)))
    for i in range(100):
        assert names.ask(f"alias{i}").values == [f"10.91.0.{i}"]
    assert SANITIZED or private_kilobytes(names.process.pid) < 300


def test_sigterm_ends_it(room: Room) -> None:
    names = Names(room)
    names.process.send_signal(signal.SIGHUP)
    assert names.ask("web").values == [CONTAINER]
    names.process.send_signal(signal.SIGTERM)
    assert names.process.wait(60) == 0
