"""The attach client in pipes: statuses, data, signals, and streams that others share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from waiting import wait_for, waits

BROKEN, LOST = 124, 122


def sh(script: str) -> list[str]:
    return ["--", "sh", "-c", script]


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill $$", 143)]
)
def test_status(relay, script, status):
    assert relay.run("--streams", "oe", *sh(script)).returncode == status


def test_streams_stay_apart(relay):
    done = relay.run("--streams", "oe", *sh("echo out; echo err >&2"))
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_only_the_streams_that_were_asked_for(relay):
    assert relay.run("--streams", "e", *sh("echo out; echo err >&2")).stdout == b""
    assert relay.run("--streams", "", *sh("echo out; exit 4")).returncode == 4


def test_a_client_that_begins_late_misses_nothing(relay):
    done = relay.run("--streams", "oe", "--slow-start", *sh("echo early; exit 5"))
    assert (done.stdout, done.returncode) == (b"early\n", 5)


def test_much_binary_output_arrives_whole(relay):
    """The status comes after the last byte, also of a command that has long ended."""
    block = hashlib.sha256(b"seed").digest() * 32768
    source = relay.place / "data"
    source.write_bytes(block * 50)
    expected = hashlib.sha256(block * 50).hexdigest()
    process = relay.start(
        "run",
        "--streams",
        "oe",
        "--",
        "cat",
        source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(0.2)
    assert hashlib.sha256(process.stdout.read()).hexdigest() == expected
    assert process.wait(60) == 0


def test_a_slow_reader_gets_the_end_after_the_container_has_gone(relay):
    process = relay.start(
        *("run", "--stdin", "--streams", "io", "--listen", relay.socket),
        *sh("read line; head -c 150000 /dev/zero"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    waiter = relay.peer(0)
    waiter.expect(b"P")
    process.stdin.write(b"go\n")
    process.stdin.close()
    assert waiter.expect(b"X") == bytes(4), "the end is told though the reader did not read"
    time.sleep(0.3)
    assert len(process.stdout.read()) == 150000
    assert process.wait(60) == 0


def test_input_reaches_the_container_and_ends(relay):
    data = os.urandom(5_000_000)
    done = relay.run("--stdin", "--streams", "ioe", "--", "cat", data=data)
    assert done.returncode == 0
    assert done.stdout == data


def test_input_from_a_file_and_from_nowhere(relay):
    source = relay.place / "data"
    source.write_bytes(b"text")
    words = ("--stdin", "--streams", "io", "--", "cat")
    with source.open("rb") as stream:
        done = subprocess.run([relay.program, "run", *words], stdin=stream, stdout=-1, check=False)
    assert done.stdout == b"text"
    assert relay.run(*words, data=b"").stdout == b""


def test_a_container_that_does_not_read_its_input_still_gets_signals(relay):
    process = relay.start(
        *("run", "--stdin", "--sig-proxy", "--streams", "io"),
        *sh("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    os.set_blocking(process.stdin.fileno(), False)
    assert process.stdout.readline() == b"ready\n"
    for _ in range(20):
        try:
            process.stdin.write(bytes(65536))
        except BlockingIOError:
            time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 9
    with pytest.raises(OSError, match=r"Broken pipe|write could not"):
        process.stdin.close()


def test_input_ends_when_its_client_is_killed(relay):
    process = relay.start(
        *("run", "--stdin", "--streams", "io", "--listen", relay.socket, "--", "cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    waiter = relay.peer(0)
    waiter.expect(b"P")
    process.kill()
    assert waiter.expect(b"X") == bytes(4)


def test_signals_go_to_the_container(relay):
    process = relay.start(
        *("run", "--sig-proxy", "--streams", "o"),
        *sh("trap 'echo usr1' USR1; trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == b"usr1\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 7


def test_without_proxy_a_signal_ends_the_client_alone(relay):
    process = relay.start(
        *("run", "--streams", "o", "--listen", relay.socket, *sh("echo ready; exec sleep 1000")),
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    peer = relay.peer(0)
    peer.expect(b"P")
    peer.send(b"S\x09")
    assert peer.expect(b"X")[0] == 137


def test_an_ignored_signal_stays_ignored(relay):
    process = relay.start(
        *("run", "--streams", "o", "--sig-proxy", *sh("echo ready; sleep 0.5; echo done")),
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.stdout.read() == b"done\n"
    assert process.wait(60) == 0


def test_what_a_shell_ignores_in_the_background_is_passed_on(relay):
    """`rcrun run … & kill -INT $!`: SIGINT is ignored there, and still means the container."""
    process = relay.start(
        *("run", "--streams", "o", "--sig-proxy"),
        *("--", "env", "--default-signal=INT"),  # as containers begin
        *sh("trap 'echo got; exit 3' INT; echo ready; while :; do sleep 0.05; done")[1:],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == b"got\n"
    assert process.wait(60) == 3


def test_a_client_whose_reader_left_ends_and_the_container_goes_on(relay):
    process = relay.start(
        *("run", "--streams", "o", "--listen", relay.socket, *sh("yes | head -c 100000000")),
        stdout=subprocess.PIPE,
    )
    waiter = relay.peer(0)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) == -signal.SIGPIPE
    waiter.expect(b"P")
    assert waiter.expect(b"X") == bytes(4)


def test_output_that_cannot_be_written_is_no_success(relay):
    with open("/dev/full", "wb") as full:
        process = relay.start(
            *("run", "--streams", "o", "--", "echo", "text"), stdout=full, stderr=subprocess.PIPE
        )
        assert process.stderr.read() == b"write: standard output: No space left on device\n"
        assert process.wait(60) == BROKEN


def test_a_killed_monitor_is_noticed(relay):
    process = relay.start(
        *("run", "--streams", "o", *sh("echo $PPID; exec sleep 2")), stdout=subprocess.PIPE
    )
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert process.wait(60) == LOST


@pytest.mark.parametrize("nonblocking", [False, True])
def test_a_shared_pipe_keeps_its_flags(relay, nonblocking):
    """And whether it blocks or not, every byte arrives."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, not nonblocking)
    before = fcntl.fcntl(write_end, fcntl.F_GETFL)
    process = relay.start(
        "run", "--streams", "o", *sh("head -c 1000000 /dev/zero"), stdout=write_end
    )
    time.sleep(0.2)
    assert fcntl.fcntl(write_end, fcntl.F_GETFL) == before
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        assert len(stream.read()) == 1000000
    assert process.wait(60) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_elses_pipes(relay):
    """As under su or sudo -u: they cannot be opened once more, and still nothing blocks or is lost."""
    program = relay.place / "driver"
    program.write_bytes(Path(relay.program).read_bytes())
    program.chmod(0o755)
    relay.place.chmod(0o777)
    data = os.urandom(1_000_000)
    (relay.place / "data").write_bytes(data)
    command = "trap 'exit 6' TERM; cat; cat data; while :; do sleep 0.05; done"
    relay.program = str(program)
    process = relay.start(
        *("run", "--stdin", "--sig-proxy", "--streams", "io", *sh(command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=relay.place,
        user=65534,
    )
    process.stdin.write(b"input\n")
    process.stdin.close()
    time.sleep(0.3)
    assert process.stdout.read(6 + 500_000) == b"input\n" + data[:500_000]
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    assert rest == data[500_000:]
    assert process.wait(60) == 6


def test_a_failed_launch_is_reported_to_who_waits(relay):
    relay.socket = relay.place / "failing"
    launcher = relay.start("fail", relay.socket, stdin=subprocess.PIPE)
    wait_for(relay.socket.exists)
    client = relay.start("attach", relay.socket, "--streams", "oe", stderr=subprocess.PIPE)
    wait_for(lambda: waits(client.pid, "socket:"))
    launcher.stdin.close()
    assert client.wait(60) == 121
    assert client.stderr.read() == b"execve: : No such file or directory\n"
    assert launcher.wait(60) == 0


def test_a_waiting_client_uses_no_processor(relay):
    """Also with its input at an end and its reader not reading."""
    go = relay.place / "go"
    script = f"yes | head -c 300000; until test -e {go}; do sleep 0.1; done"
    process = relay.start(
        *("run", "--stdin", "--streams", "io", *sh(script)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    wait_for(lambda: is_idle(process.pid))
    go.touch()
    assert len(process.stdout.read()) == 300000


def is_idle(pid: int) -> bool:
    ticks = cpu_ticks(pid)
    time.sleep(0.8)
    return cpu_ticks(pid) - ticks <= 2


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
