"""A client on a terminal: raw mode comes and goes, sizes follow, the detach keys detach."""

from __future__ import annotations

import os
import signal
import time

import pytest

from waiting import wait_for

DETACHED = 123
KEYS = "1011"  # ctrl-p ctrl-q


@pytest.fixture
def words(relay):
    return ("run", "--terminal", "--streams", "io", "--keys", KEYS, "--listen", relay.socket)


# Shows every byte that it reads, as soon as it comes.
ECHO = ["--", "sh", "-c", "stty raw -echo; echo ready; exec od -An -tx1 -v -w1"]


def test_the_container_has_a_terminal_of_the_same_size(keyboard, words):
    script = "test -t 0 && until stty size | grep '^33'; do sleep 0.05; done"
    client = keyboard(*words, "--", "sh", "-c", script, rows=33, columns=101)
    client.wait_for(b"33 101\r\n")
    assert client.wait() == 0
    assert client.is_restored


def test_a_new_size_follows(keyboard, words):
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    client = keyboard(*words, "--", "sh", "-c", script)
    client.wait_for(b"ready")
    client.resize(40, 120)
    client.wait_for(b"40 120\r\n")


def test_raw_mode_lasts_as_long_as_the_client(keyboard, words):
    client = keyboard(*words, "--", "sh", "-c", "echo ready; read line; echo got $line; exit 3")
    client.wait_for(b"ready")
    assert client.is_raw
    client.type(b"text\r")
    client.wait_for(b"got text\r\n")
    assert client.wait() == 3
    assert client.is_restored


def test_ctrl_c_is_the_containers(keyboard, words):
    client = keyboard(
        *words, "--", "sh", "-c", "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done"
    )
    client.wait_for(b"ready")
    client.type(b"\x03")
    assert client.wait() == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_that_ends_the_client_leaves_a_usable_terminal(keyboard, words, number):
    client = keyboard(*words, "--", "sh", "-c", "echo ready; exec sleep 1000")
    client.wait_for(b"ready")
    assert client.is_raw
    client.process.send_signal(number)
    assert client.wait() == -number
    assert client.is_restored


def test_a_stopped_client_gives_the_terminal_back_and_takes_it_again(keyboard, words):
    client = keyboard(*words, "--", "sh", "-c", "echo ready; exec sleep 1000")
    client.wait_for(b"ready")
    # A session leader is never stopped by SIGTSTP (its group is an orphan): it goes on at once.
    client.process.send_signal(signal.SIGTSTP)
    time.sleep(0.2)
    assert client.is_raw
    client.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state(client.process.pid) == "T")
    os.system(f"stty sane < {os.ttyname(client.slave)}")
    client.resize(30, 90, None)
    client.process.send_signal(signal.SIGCONT)
    wait_for(lambda: client.is_raw)


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def test_job_control(keyboard, words, relay):
    """Under a shell: SIGTSTP stops the client with the terminal restored, fg makes it raw again."""
    line = " ".join(
        map(str, [relay.program, *words, "--", "sh", "-c", "'echo ready; exec sleep 1000'"])
    )
    relay.program, program = "/bin/bash", relay.program
    shell = keyboard("--norc", "-i")
    relay.program = program
    shell.type(line.encode() + b" & echo p''id $!; fg\n")
    shell.wait_for(b"pid ")
    wait_for(lambda: b"\r\n" in shell.seen or (shell.read(0.1) and False))
    pid = int(shell.seen.split()[0])
    shell.wait_for(b"ready")
    wait_for(lambda: shell.is_raw)
    os.kill(pid, signal.SIGTSTP)
    wait_for(lambda: state(pid) == "T")
    wait_for(lambda: not shell.is_raw)
    shell.type(b"echo sh''ell\n")
    shell.wait_for(b"shell")
    shell.type(b"fg\n")
    wait_for(lambda: shell.is_raw and state(pid) != "T")
    os.kill(pid, signal.SIGTERM)
    shell.type(b"\n")
    shell.type(b"exit\nexit\n")
    shell.wait()


def test_detach(keyboard, words, relay):
    client = keyboard(*words, *ECHO)
    client.wait_for(b"ready")
    client.type(b"a\x10\x11")
    assert client.wait() == DETACHED
    assert client.is_restored
    again = keyboard("attach", relay.socket, "--terminal", "--streams", "io", "--keys", KEYS)
    wait_for(lambda: again.is_raw)
    again.type(b"b")
    again.wait_for(b" 62\r\n" if b" 62\r\n" in again.seen else b" 62")
    wait_for(lambda: leaves(again))
    assert again.wait() == DETACHED


def leaves(client):
    """By keys that come apart, but within a second; a machine that is busy may need another try."""
    client.type(b"\x10")
    time.sleep(0.05)
    client.type(b"\x11")
    until = time.monotonic() + 2
    while client.process.poll() is None and time.monotonic() < until:
        client.read(0.05)
    return client.process.poll() is not None


@pytest.mark.parametrize(
    ("typed", "bytes_seen"),
    [
        (b"\x10x", ["10", "78"]),
        (b"\x11\x10y", ["11", "10", "79"]),
        (b"\x10\x10\x10z", ["10", "10", "10", "7a"]),
    ],
)
def test_keys_that_only_begin_like_it_arrive(keyboard, words, typed, bytes_seen):
    client = keyboard(*words, *ECHO)
    client.wait_for(b"ready")
    client.type(typed)
    for byte in bytes_seen:
        client.wait_for(b" " + byte.encode())


def test_a_first_key_alone_arrives_after_a_second(keyboard, words):
    client = keyboard(*words, *ECHO)
    client.wait_for(b"ready")
    began = time.monotonic()
    client.type(b"\x10")
    client.wait_for(b" 10")
    assert 0.8 < time.monotonic() - began < 60
    client.type(b"\x11q")
    client.wait_for(b" 11")


def test_without_keys_nothing_is_held(keyboard, relay):
    client = keyboard("run", "--terminal", "--streams", "io", "--listen", relay.socket, *ECHO)
    client.wait_for(b"ready")
    wait_for(lambda: passes_at_once(client))


def passes_at_once(client):
    began = time.monotonic()
    client.type(b"\x10\x11")
    client.wait_for(b" 10")
    client.wait_for(b" 11")
    return time.monotonic() - began < 0.9


def test_a_pipes_bytes_are_never_keys(relay):
    data = b"\x10\x11" * 100
    done = relay.run("--stdin", "--streams", "io", "--keys", KEYS, "--", "cat", data=data)
    assert (done.stdout, done.returncode) == (data, 0)


def test_a_terminal_that_everybody_closed_comes_back(keyboard, words):
    script = "exec 3</dev/tty; tty=$(readlink /proc/self/fd/0); exec 0<&- 1>&- 2>&- 3<&-; sleep 0.3; echo back > $tty; sleep 0.2; exit 2"
    client = keyboard(*words, "--", "sh", "-c", script)
    client.wait_for(b"back")
    assert client.wait() == 2


def test_a_session_that_ended_does_not_end_the_terminal(keyboard, words):
    """The end of a session hangs its terminal up; the next one opens it again."""
    script = "tty=$(readlink /proc/self/fd/0); trap '' HUP; (sleep 0.3; echo back > $tty; sleep 0.2) & exec 0<&- 1>&- 2>&-; wait; exit 2"
    client = keyboard(*words, "--", "setsid", "-w", "sh", "-c", script)
    client.wait_for(b"back")
    assert client.wait() == 2


def test_much_is_pasted_and_arrives(keyboard, words):
    client = keyboard(
        *words, "--", "sh", "-c", "stty raw -echo; echo ready; head -c 100000 | wc -c"
    )
    client.wait_for(b"ready")
    for _ in range(100):
        client.type(b"x" * 1000)
        client.read(0)
    client.wait_for(b"100000")
    assert client.wait() == 0


def test_output_is_whole_and_logged_as_stdout(keyboard, words, relay):
    client = keyboard(
        *words, "--log", relay.log, 0, 1, "--", "sh", "-c", "seq 1 20000; echo err >&2"
    )
    client.wait_for(b"19999\r\n20000\r\nerr\r\n")
    assert client.wait() == 0
    assert b" stderr " not in relay.log.read_bytes()
    assert relay.log.read_bytes().endswith(b" stdout F err\r\n")
