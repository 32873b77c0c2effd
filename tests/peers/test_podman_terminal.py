"""podman -it before a person: size and its changes, control keys, detach and attach."""

from __future__ import annotations

import time

import pytest

from cli.screens import CTRL_C, CTRL_P, CTRL_Q
from peers.podman import NO_NETWORK
from waiting import wait_for

pytestmark = pytest.mark.requires("podman")
SHELL = (*NO_NETWORK, "-e", "PS1=ready> ", "--name", "web", "busybox", "sh")


def test_it_is_a_terminal_of_our_size(podman, screen):
    shown = screen(podman, "run", "-it", *SHELL, rows=31, columns=97)
    shown.expect(b"ready> ")
    answers(shown, "tty; test -t 0 -a -t 1 -a -t 2 && echo all", "/dev/pts/0\nall\n")
    answers(shown, "stty size", "31 97\n")
    shown.resize(40, 100)
    answers(shown, "stty size", "40 100\n")
    shown.type(b"exit 5\r")
    assert shown.end() == 5


def answers(shown, line, text):
    """podman tells the size a moment after the start, and the shell shows its prompt again then."""
    said = [shown.ask(line)]
    while said[-1] != text:
        assert len(said) < 50, f"{line!r} was answered with {said}"
        said.append(shown.ask(line))


def test_control_c_reaches_the_command(podman, screen):
    shown = screen(podman, "run", "-it", *SHELL)
    shown.expect(b"ready> ")
    shown.type(b"sleep 1000\r")
    wait_for(lambda: "sleep 1000" in podman("exec", "web", "ps", "-o", "args").out)
    shown.type(CTRL_C)
    shown.expect(b"ready> ")
    shown.type(b"exit 3\r")
    assert shown.end() == 3


def test_detach_and_attach_again(podman, screen):
    shown = screen(podman, "run", "-it", *SHELL)
    shown.expect(b"ready> ")
    for key in (CTRL_P, CTRL_Q):  # podman knows them one at a time
        shown.type(key)
        time.sleep(0.1)
    shown.end()
    assert podman.status("web") == "running"
    again = screen(podman, "attach", "web")
    again.type(b"\r")
    again.expect(b"ready> ")
    again.type(b"exit 6\r")
    again.end()
    assert podman("inspect", "-f", "{{.State.ExitCode}}", "web").check().out == "6\n"


def test_exec(podman, screen):
    podman("run", "-d", *NO_NETWORK, "--name", "web", "busybox", "sleep", "1000").check()
    shown = screen(podman, "exec", "-it", "-e", "PS1=ready> ", "web", "sh", rows=20, columns=70)
    shown.expect(b"ready> ")
    answers(shown, "stty size", "20 70\n")
    shown.type(b"exit 7\r")
    assert shown.end() == 7


def test_a_terminal_without_input(podman):
    given = podman("run", "-t", *SHELL, "-c", "test -t 1 && echo tty").check()
    assert given.out == "tty\r\n"


def test_console_in_dev(podman, screen):
    shown = screen(podman, "run", "-it", *SHELL)
    shown.expect(b"ready> ")
    answers(shown, "echo there >/dev/console", "there\n")
    shown.type(b"exit\r")
    assert shown.end() == 0
