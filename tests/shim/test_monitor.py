"""The monitor's side of the attach socket, told by clients that say what they please."""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import subprocess
import time

import pytest

from waiting import wait_for

IN, OUT, ERR = 1, 2, 4


def sh(script: str) -> list[str]:
    return ["--", "sh", "-c", script]


def anonymous_kb(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))


def code(packet: bytes) -> int:
    assert packet[:1] == b"X", packet
    return struct.unpack("<I", packet[1:])[0]


def output(packets: list[bytes], kind: bytes = b"O") -> bytes:
    return b"".join(packet[1:] for packet in packets if packet[:1] == kind)


def test_a_word_is_heard_though_its_client_left(relay):
    process = relay.monitor(*sh("echo ready; exec sleep 1000"))
    for _ in range(50):
        passer = relay.peer(0)
        passer.send(b"S\x12")  # SIGCONT
        passer.close()
    passer = relay.peer(OUT | ERR)
    passer.send(b"S\x09")
    passer.close()
    assert process.wait(60) == 137


def test_few_open_files_are_enough(relay):
    """poll(2) refuses more descriptors than may be open, though most of them be none."""
    process = relay.monitor(*sh("echo ready; exec sleep 1000"))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (20, 20))
    passer = relay.peer(OUT | ERR)
    passer.send(b"S\x09")
    assert process.wait(60) == 137


def test_a_word_is_heard_though_its_client_read_nothing(relay):
    """With something unread in its socket a client that leaves resets the connection."""
    process = relay.monitor(*sh("echo ready; exec sleep 1000"))
    relay.peer(OUT).expect(b"P")
    passer = relay.peer(OUT | ERR)
    time.sleep(0.1)  # so that it has been told something
    process.send_signal(signal.SIGSTOP)
    passer.send(b"S\x09")
    passer.close()
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 137


def test_clients_are_served_before_the_launch_is_complete(relay):
    go = relay.place / "go"
    script = f"until test -e {go}; do sleep 0.05; done; echo text; exit 2"
    process = relay.start(
        *("monitor", "--created", "--listen", relay.socket, *sh(script)),
        stdin=subprocess.PIPE,
    )
    peer = relay.peer(OUT)
    peer.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        peer.packet()
    peer.socket.settimeout(60)
    process.stdin.close()
    peer.expect(b"P")
    go.touch()
    assert [packet[:1] for packet in peer.rest()] == [b"O", b"X"]


def test_a_container_that_ends_before_its_launch(relay):
    process = relay.start(
        *("monitor", "--created", "--listen", relay.socket, "--", "sleep", "1000"),
        stdin=subprocess.PIPE,
    )
    peer = relay.peer(OUT)
    peer.send(b"S\x09")
    assert code(peer.packet()) == 137
    assert process.wait(60) == 137


def test_many_clients_get_everything(relay):
    process = relay.monitor("--stdin", *sh("read line; seq 1 50000; echo err >&2; exit 6"))
    peers = [relay.peer() for _ in range(20)]
    waiters = [relay.peer(0) for _ in range(4)]
    for peer in (*peers, *waiters):
        assert struct.unpack("<I", peer.expect(b"P"))[0] > 0
    typist = relay.peer(IN)
    typist.expect(b"P")
    typist.send(b"Igo\n")
    typist.expect(b"A")
    expected = "".join(f"{n}\n" for n in range(1, 50001)).encode()
    packets = [bytearray() for _ in peers]
    ends = [0] * len(peers)
    while not all(ends):
        for i, peer in enumerate(peers):
            packet = peer.packet()
            if packet[:1] == b"O":
                packets[i] += packet[1:]
            elif packet[:1] == b"X":
                ends[i] = code(packet)
    assert all(text == expected for text in packets)
    assert ends == [6] * 20
    assert [code(waiter.packet()) for waiter in waiters] == [6] * 4
    assert process.wait(60) == 6


def test_more_clients_than_places_all_hear_the_end(relay):
    relay.monitor("--stdin", *sh("read line; exit 8"))
    waiters = [relay.peer(0) for _ in range(31)]
    typist = relay.peer(IN)
    typist.expect(b"P")
    queued = [relay.peer(0) for _ in range(9)]
    typist.send(b"Igo\n")
    for waiter in (*waiters, *queued):
        assert code(waiter.rest()[-1]) == 8


def test_a_place_that_falls_free_is_given_on(relay):
    relay.monitor(*sh("exec sleep 1000"))
    waiters = [relay.peer(0) for _ in range(32)]
    for waiter in waiters:
        waiter.expect(b"P")
    late = relay.peer(0)
    late.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        late.packet()
    waiters[3].close()
    late.socket.settimeout(60)
    late.expect(b"P")


def size_at_rest(path):
    """Once it stays as it is."""
    size = path.stat().st_size
    time.sleep(0.3)
    return size if path.stat().st_size == size else 0


def test_a_reader_that_stops_stops_the_container_and_costs_nothing(fast_relay):
    relay = fast_relay
    process = relay.monitor("--", "cat", "/dev/zero")
    reader = relay.peer(OUT)
    reader.expect(b"P")
    size = wait_for(lambda: size_at_rest(relay.log))
    before = anonymous_kb(process.pid)
    time.sleep(0.3)
    assert anonymous_kb(process.pid) - before <= 16
    assert anonymous_kb(process.pid) < 250
    reader.close()
    wait_for(lambda: relay.log.stat().st_size != size)
    relay.end_container()
    assert process.wait(60) == 137


def test_a_stopped_stream_does_not_stop_the_other(relay):
    script = "read line; cat /dev/zero & sleep 0.3; for i in 1 2 3; do echo line $i >&2; done; wait"
    relay.monitor("--stdin", *sh(script))
    stuck, reader, typist = relay.peer(OUT), relay.peer(ERR), relay.peer(IN)
    for peer in (stuck, reader, typist):
        peer.expect(b"P")
    typist.send(b"Igo\n")
    seen = b""
    while b"line 3\n" not in seen:
        seen += reader.expect(b"E")
    wait_for(lambda: size_at_rest(relay.log))  # the other stream is stopped


def test_a_reader_that_never_reads_is_left_behind_at_the_end(relay):
    """It gets no exit status, for it did not get the output."""
    process = relay.monitor("--stdin", *sh("read line; cat /dev/zero & sleep 0.2; kill -9 $$"))
    stuck = relay.peer(OUT)
    waiter = relay.peer(0)
    typist = relay.peer(IN)
    typist.send(b"Igo\n")
    began = time.monotonic()
    assert code(waiter.rest()[-1]) == 137
    assert time.monotonic() - began < 60
    assert stuck.rest()[-1][:1] in b"OX"
    assert process.wait(60) == 137


@pytest.mark.parametrize(
    "packet",
    [
        b"I" + b"x",
        b"H\x08",
        b"H\x02\x02",
        b"W\x01\x00\x01\x00",
        b"S\x09",
        b"?",
        b"H" + bytes(60000),
    ],
    ids=lambda packet: packet[:4].hex(),  # pytest puts the id into the environment
)
def test_without_a_hello_nothing_is_heard(relay, packet):
    relay.monitor(*sh("exec sleep 1000"))
    witness = relay.peer(0)
    witness.expect(b"P")
    rude = relay.peer(None)
    rude.send(packet)
    assert rude.is_closed()
    witness.send(b"S\x0f")
    assert code(witness.packet()) == 143


@pytest.mark.parametrize(
    "packet",
    [
        b"H\x02",
        b"S",
        b"S\x00",
        b"S\x7f",
        b"S\xff",
        b"S\x01\x01",
        b"W\x00",
        b"Itext",
        b"X\0\0\0\0",
        b"I" * 20000,
    ],
)
def test_a_bad_packet_closes_its_client_only(relay, packet):
    relay.monitor("--stdin", *sh("exec sleep 1000"))
    witness = relay.peer(0)
    witness.expect(b"P")
    rude = relay.peer(OUT)
    rude.expect(b"P")
    rude.send(packet)
    assert rude.is_closed()
    witness.send(b"S\x0f")
    assert code(witness.packet()) == 143


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_served(relay):
    relay.monitor(*sh("exec sleep 1000"))
    relay.peer(0).expect(b"P")
    relay.socket.chmod(0o777)
    relay.place.chmod(0o755)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            stranger = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stranger.settimeout(60)
            stranger.connect(str(relay.socket))
            os.write(write_end, b"[" + stranger.recv(100) + b"]")
        finally:
            os._exit(0)
    os.close(write_end)
    os.waitpid(pid, 0)
    with os.fdopen(read_end, "rb") as said:
        assert said.read() == b"[]"


def test_input_that_is_not_read_waits_with_its_sender(relay):
    go = relay.place / "go"
    relay.monitor("--stdin", *sh(f"until test -e {go}; do sleep 0.05; done; wc -c"))
    first, second = relay.peer(IN | OUT), relay.peer(IN)
    for peer in (first, second):
        peer.expect(b"P")
    sent = 0
    first.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:
            first.send(b"I" + bytes(16000))
            first.expect(b"A")
            sent += 16000
    second.send(b"Imore")
    second.send(b"S\x11")  # SIGCHLD, which changes nothing
    go.touch()
    first.socket.settimeout(60)
    first.expect(b"A")
    second.expect(b"A")
    relay.end_container(signal.SIGKILL)
    assert sent >= 64000


def test_attached_input_does_not_end_a_detached_containers(relay):
    relay.monitor("--stdin", "--", "cat")
    for word in (b"one\n", b"two\n"):
        peer = relay.peer(IN | OUT)
        peer.expect(b"P")
        peer.send(b"I" + word)
        assert sorted([peer.packet(), peer.packet()]) == [b"A", b"O" + word]
        peer.send(b"I")
        peer.close()
    peer = relay.peer(0)
    peer.expect(b"P")
    peer.send(b"S\x09")
    assert code(peer.packet()) == 137


def test_input_that_nobody_reads_any_more_is_not_asked_for(relay):
    process = relay.monitor("--stdin", *sh("exec <&-; echo closed; exec sleep 1000"))
    peer = relay.peer(IN | OUT)
    packets = sorted([peer.packet(), peer.packet()]) if not relay.log.exists() else [peer.packet()]
    assert any(packet[:1] == b"P" for packet in packets)
    deadline = time.monotonic() + 60
    while b"closed" not in relay.log.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    peer.send(b"Itext")
    peer.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while peer.packet()[:1] != b"A":
            pass
    assert process.poll() is None


def test_what_a_session_left_behind_is_not_waited_for(relay):
    process = relay.monitor(*sh("sleep 1000 & echo $!; exit 4"))
    assert process.wait(60) == 4
    os.kill(int(relay.log.read_text().split()[-1]), signal.SIGKILL)


def test_a_noisy_one_is_not_either(relay):
    process = relay.monitor(*sh("yes & echo pid $!; exit 4"))
    assert process.wait(60) == 4


def test_signals_to_the_monitor(relay):
    script = "trap 'echo term; exit 3' TERM; trap 'echo usr' USR1; echo ready; while :; do sleep 0.05; done"
    process = relay.monitor(*sh(script))
    peer = relay.peer(OUT)
    deadline = time.monotonic() + 60
    while not relay.log.exists() or b"ready" not in relay.log.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE):
        process.send_signal(number)
    process.send_signal(signal.SIGTERM)
    packets = peer.rest()
    assert output(packets).endswith(b"term\n")
    assert b"usr" not in output(packets)
    assert code(packets[-1]) == 3


def test_a_monitor_without_a_foreground_can_forward_all(relay):
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    process = relay.monitor("--forward", *sh(script))
    deadline = time.monotonic() + 60
    while not relay.log.exists() or b"ready" not in relay.log.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 5


def test_ignored_child_signals_of_the_caller_lose_no_status(relay):
    process = relay.start(
        *("monitor", *sh("exit 3")),
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert process.wait(60) == 3


def test_an_idle_monitor_is_small(fast_relay):
    processes = []
    for i in range(8):
        words = ("--listen", fast_relay.place / str(i), "--log", fast_relay.place / f"l{i}", 0, 1)
        processes.append(
            fast_relay.start(*("monitor", *words, "--", "sleep", "1000"), stdin=subprocess.DEVNULL)
        )
    peers = []
    for i in range(8):
        fast_relay.socket = fast_relay.place / str(i)
        peers.append(fast_relay.peer(0))
        peers[-1].expect(b"P")
    assert max(anonymous_kb(process.pid) for process in processes) < 250
    for peer in peers:
        peer.send(b"S\x09")
