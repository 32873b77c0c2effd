"""The name server of a room asks upstream: what is passed on, to whom, and what comes back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from shim.dnsmessages import (
    AAAA,
    NOERROR,
    NXDOMAIN,
    SERVFAIL,
    TXT,
    A,
    Answer,
    framed,
    question,
    receive_framed,
    reply_to,
)
from shim.rooms import CONTAINER, GATEWAY, SECOND, Room
from shim.test_dns import Names
from waiting import wait_for

pytestmark = pytest.mark.requires("unshare")

FIRST = CONTAINER  # the container's network has two addresses for servers, too


@pytest.fixture
def names(room: Room) -> Iterator[Names]:
    made = Names(room)
    made.write("upstream", f"# of the host\nnameserver {FIRST}\n")
    yield made
    assert made.process.poll() is None, "it ended by itself"


@pytest.fixture
def first(names: Names) -> socket.socket:
    return names.room.socket(names.room.container, socket.SOCK_DGRAM, FIRST, 53)


@pytest.fixture
def second(names: Names) -> socket.socket:
    names.write("upstream", f"nameserver {FIRST}\nnameserver {SECOND}\n")
    return names.room.socket(names.room.container, socket.SOCK_DGRAM, SECOND, 53)


def send(names: Names, query: bytes) -> bytes:
    names.client.sendto(query, (GATEWAY, 53))
    return query


def answer(names: Names, query: bytes) -> Answer:
    return Answer(names.client.recv(65535), query)


def test_a_query_and_its_reply_are_passed_on_untouched(names, first):
    query = send(names, question("Example.ORG", TXT, size=1400))
    asked, source = first.recvfrom(2000)
    assert asked[2:] == query[2:]
    assert source[0] == GATEWAY
    reply = reply_to(asked, [b"\x05hello"] * 100, TXT)
    first.sendto(reply, source)
    assert names.client.recv(65535) == query[:2] + reply[2:]


def test_ids_and_ports_are_not_the_clients(names, first):
    seen = set()
    for _ in range(20):
        send(names, question("example.org", number=7))
        asked, source = first.recvfrom(2000)
        seen.add((asked[:2], source[1]))
        first.sendto(reply_to(asked, [bytes(4)]), source)
        names.client.recv(2000)
    assert len({number for number, _ in seen}) > 15
    assert len({port for _, port in seen}) > 15


def test_what_does_not_answer_the_question_is_not_passed_on(names, first):
    query = send(names, question("example.org"))
    asked, source = first.recvfrom(2000)
    other = reply_to(question("example.com", number=int.from_bytes(asked[:2], "big")), [bytes(4)])
    first.sendto(bytes([asked[0] ^ 1]) + reply_to(asked, [b"\1\1\1\1"])[1:], source)
    first.sendto(other, source)
    first.sendto(asked, source)
    first.sendto(b"", source)
    stranger = names.room.socket(names.room.container, socket.SOCK_DGRAM, SECOND, 53)
    stranger.sendto(reply_to(asked, [b"\2\2\2\2"]), source)
    first.sendto(reply_to(asked, [b"\3\3\3\3"]), source)
    assert answer(names, query).values == ["3.3.3.3"]


def test_the_second_where_nobody_listens_at_the_first(names, second):
    def is_asked_at_once() -> bool:
        begun = time.monotonic()
        query = send(names, question("example.org"))
        asked, source = second.recvfrom(2000)
        taken = time.monotonic() - begun
        second.sendto(reply_to(asked, [bytes(4)]), source)
        assert answer(names, query).values == ["0.0.0.0"]
        return taken < 0.5

    wait_for(is_asked_at_once)


def test_the_second_where_the_first_is_silent_and_a_late_answer_counts(names, first, second):
    query = send(names, question("example.org"))
    late, source = first.recvfrom(2000)
    asked, _ = second.recvfrom(2000)
    assert asked == late
    first.sendto(reply_to(late, [b"\4\4\4\4"]), source)
    assert answer(names, query).values == ["4.4.4.4"]


def test_who_was_silent_is_asked_last_for_a_while(names, first, second):
    send(names, question("example.org"))
    first.recv(2000)
    asked, source = second.recvfrom(2000)
    second.sendto(reply_to(asked, [bytes(4)]), source)
    names.client.recv(2000)
    query = send(names, question("example.net"))
    asked, source = second.recvfrom(2000)
    first.setblocking(False)
    with pytest.raises(BlockingIOError):  # it was not asked before
        while b"\7example\3net" not in first.recv(2000):
            pass
    second.sendto(reply_to(asked, [b"\5\5\5\5"]), source)
    assert answer(names, query).values == ["5.5.5.5"]


def test_the_second_where_the_first_cannot(names, first, second):
    query = send(names, question("example.org"))
    asked, source = first.recvfrom(2000)
    first.sendto(reply_to(asked, [], rcode=SERVFAIL), source)
    asked, source = second.recvfrom(2000)
    second.sendto(reply_to(asked, [], rcode=NXDOMAIN), source)
    assert answer(names, query).rcode == NXDOMAIN


def test_the_last_ones_failure_is_the_answer(names, first):
    query = send(names, question("example.org"))
    asked, source = first.recvfrom(2000)
    first.sendto(reply_to(asked, [], rcode=SERVFAIL), source)
    assert answer(names, query).rcode == SERVFAIL


def test_nobody_listens(names):
    assert names.ask("example.org").rcode == SERVFAIL
    assert names.ask_tcp("example.org").rcode == SERVFAIL


def test_a_query_that_comes_again_is_asked_once(names, first):
    query = send(names, question("example.org"))
    asked, source = first.recvfrom(2000)
    send(names, query)
    first.sendto(reply_to(asked, [bytes(4)]), source)
    assert answer(names, query).rcode == NOERROR
    first.settimeout(0.2)
    with pytest.raises(TimeoutError):
        first.recv(2000)


def test_a_network_with_servers_of_its_own(names, first):
    names.write("one/upstream", "")
    assert names.ask("unknown").rcode == NXDOMAIN
    names.write("one/upstream", f"nameserver {SECOND}\n")
    own = names.room.socket(names.room.container, socket.SOCK_DGRAM, SECOND, 53)
    send(names, question("example.org"))
    assert own.recv(2000)
    (names.dir / "one" / "upstream").unlink()
    send(names, question("example.net"))
    assert first.recv(2000)


def test_a_flood_without_answers(names, first):
    """More than the table holds. The oldest go, what is known is answered, and the newest is still waited for."""
    for number in range(600):
        send(names, question(f"n{number}.example"))
        if number % 50 == 0:
            assert names.ask("web").values == [CONTAINER]
    query = send(names, question("last.example"))
    while True:
        asked, source = first.recvfrom(2000)
        if b"\4last" in asked:
            break
    first.sendto(reply_to(asked, [b"\6\6\6\6"]), source)
    while (message := names.client.recv(2000))[:2] != query[:2]:
        pass
    assert Answer(message, query).values == ["6.6.6.6"]
    assert len(os.listdir(f"/proc/{names.process.pid}/fd")) < 300


def test_queries_over_tcp(names):
    """Longer than any buffer; the next question waits its turn; the first server does not answer."""
    names.write("upstream", f"nameserver {SECOND}\nnameserver {FIRST}\n")
    server = names.room.socket(names.room.container, socket.SOCK_STREAM, FIRST, 53)
    text = bytes([250]) + b"x" * 250

    def serve() -> None:
        for _ in range(2):
            stream, _ = server.accept()
            with stream:
                asked = receive_framed(stream)
                kind = int.from_bytes(asked[-4:-2], "big")
                data = framed(reply_to(asked, [text] * 230, TXT) if kind == TXT else
                              reply_to(asked, [bytes(16)], AAAA))  # fmt: skip
                stream.sendall(data[:1])
                time.sleep(0.05)
                stream.sendall(data[1:])

    thread = threading.Thread(target=serve)
    thread.start()
    queries = [question("long.example", TXT), question("web"), question("short.example", AAAA)]
    with names.connect() as stream:
        stream.sendall(b"".join(map(framed, queries)))
        long = receive_framed(stream)
        assert long[:2] == queries[0][:2]
        assert long.count(text) == 230
        assert Answer(receive_framed(stream), queries[1]).values == [CONTAINER]
        assert Answer(receive_framed(stream), queries[2]).values == ["::"]
    thread.join()


def test_upstream_hangs_up(names):
    server = names.room.socket(names.room.container, socket.SOCK_STREAM, FIRST, 53)

    def serve() -> None:
        for piece in (b"", b"\2\0half"):
            stream, _ = server.accept()
            with stream:
                receive_framed(stream)
                stream.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    assert names.ask_tcp("example.org", A).rcode == SERVFAIL
    with names.connect() as stream:
        stream.sendall(framed(question("example.org")))
        data = b""
        while piece := stream.recv(100):
            data += piece
        assert data == b"\2\0half"
    thread.join()
