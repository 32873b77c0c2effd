"""A terminal: size and its changes, detach keys, attach again, exit status, the caller's settings put back."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time

import pytest

from waiting import wait_for

NO_NETWORK = ("--network", "none")


class Screen:
    """rcrun with a pseudo-terminal of its own."""

    def __init__(self, rcrun, *words, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b""
        self.process = rcrun.popen(
            *words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data):
        os.write(self.master, data)

    def expect(self, text, seconds=60.0):
        until = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
            assert ready, f"{text!r} did not come, but {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self):
        status = self.process.wait(60)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal was not put back"
        return status

    def close(self):
        os.close(self.master)
        os.close(self.slave)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def screen(rcrun):
    made = []

    def make(*words, **size):
        made.append(Screen(rcrun, *words, **size))
        return made[-1]

    yield make
    for each in made:
        each.close()


SHELL = ("run", "-it", "--name", "web", *NO_NETWORK, "-e", "PS1=ready> ", "busybox", "sh")


def test_it_is_a_terminal_of_our_size(rcrun, screen):
    shown = screen(*SHELL, rows=31, columns=97)
    shown.expect(b"ready> ")
    shown.send(b"stty size; tty; echo $TERM\r")
    shown.expect(b"31 97\r\n/dev/pts/0\r\nxterm\r\n")
    shown.send(b"exit 5\r")
    assert shown.end() == 5


def test_a_new_size_arrives(rcrun, screen):
    script = "trap 'stty size; exit 8' WINCH; echo ready; while :; do sleep 0.05; done"
    shown = screen("run", "-it", "--rm", *NO_NETWORK, "busybox", "sh", "-c", script)
    shown.expect(b"ready\r\n")
    shown.resize(40, 100)
    shown.expect(b"40 100\r\n")
    assert shown.end() == 8


def test_control_c_reaches_the_command(rcrun, screen):
    shown = screen(*SHELL)
    shown.expect(b"ready> ")
    shown.send(b"sleep 100\r")
    wait_for(lambda: "sleep 100" in rcrun("exec", "web", "ps", "-o", "args").out)
    shown.send(b"\x03")
    shown.expect(b"ready> ")
    shown.send(b"exit 3\r")
    assert shown.end() == 3


def test_detach_and_attach_again(rcrun, screen):
    shown = screen(*SHELL)
    shown.expect(b"ready> ")
    shown.send(b"\x10\x11")
    assert shown.end() == 0
    assert rcrun("inspect", "-f", "{{.State.Status}}", "web").out == "running\n"
    again = screen("attach", "web")
    again.send(b"\r")
    again.expect(b"ready> ")
    again.send(b"exit 6\r")
    assert again.end() == 6


def test_detach_keys_of_ones_own(rcrun, screen):
    shown = screen("run", "-it", "--detach-keys", "ctrl-a,d", "--name", "web", *NO_NETWORK, "-e", "PS1=ready> ", "busybox", "sh")  # fmt: skip
    shown.expect(b"ready> ")
    shown.send(b"\x10\x11echo st''ill\r")
    shown.expect(b"still\r\n")
    shown.send(b"\x01d")
    assert shown.end() == 0


def test_exec_with_a_terminal(rcrun, screen):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    shown = screen("exec", "-it", "-e", "PS1=ready> ", "web", "sh", rows=30, columns=90)
    shown.expect(b"ready> ")
    shown.send(b"stty size\r")
    shown.expect(b"30 90\r\n")
    shown.send(b"exit 4\r")
    assert shown.end() == 4


def test_start_attached_to_a_container_with_a_terminal(rcrun, screen):
    rcrun(
        "create", "-it", "--name", "web", *NO_NETWORK, "-e", "PS1=ready> ", "busybox", "sh"
    ).check()
    shown = screen("start", "-ai", "web")
    shown.expect(b"ready> ")
    shown.send(b"exit 2\r")
    assert shown.end() == 2


def test_a_failed_launch_leaves_the_terminal_as_it_was(rcrun, screen):
    shown = screen("run", "-it", "--rm", *NO_NETWORK, "busybox", "nosuchthing")
    shown.expect(b"executable file not found")
    assert shown.end() == 127
