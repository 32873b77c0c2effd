"""How one leaves a terminal of `run -it`, `exec -it` and `attach`, and in what state it and the container are then."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cli.screens import BYTES, CTRL_A, CTRL_P, CTRL_Q, NO_NETWORK, PROMPT, SHELL, state_of
from waiting import wait_for

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_client_reaches_the_shell(rcrun, screen, number):
    """docker's `run` passes signals on with a terminal, too: a window that is closed ends what runs in it."""
    script = "trap 'echo got; exit 9' TERM HUP; echo ready; while :; do sleep 0.05; done"
    shown = screen("run", "-it", "--rm", *NO_NETWORK, "busybox", "sh", "-c", script)
    shown.expect(b"ready")
    wait_for(lambda: shown.is_raw)
    shown.process.send_signal(number)
    shown.expect(b"got")
    assert shown.end() == 9


@pytest.mark.parametrize("words", [["attach", "web"], ["run", "-it", "--sig-proxy=false", *SHELL]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_client_that_is_ended_leaves_terminal_and_container(rcrun, screen, words, number):
    if words[0] == "attach":
        rcrun("run", "-dit", *SHELL).check()
    shown = screen(*words)
    shown.type(b"\r")
    shown.expect(PROMPT)
    wait_for(lambda: shown.is_raw)
    shown.process.send_signal(number)
    assert shown.end() == -number
    assert shown.is_restored
    assert state_of(rcrun) == "running"


@pytest.mark.parametrize(("words", "left"), [([], "exited 137\n"), (["--rm"], "")])
def test_the_monitor_dies(rcrun, screen, words, left):
    shell = screen("run", "-it", *words, *SHELL)
    shell.expect(PROMPT)
    init = rcrun("inspect", "-f", "{{.State.Pid}}", "web").check().out.strip()
    stat = Path(f"/proc/{init}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert shell.end() == 125
    assert b"rcrun: error: the container's monitor was killed" in shell.seen
    form = "{{.State.Status}} {{.State.ExitCode}}"
    wait_for(lambda: rcrun("inspect", "-f", form, "web").out == left)
    assert bool(rcrun("ps", "-aq").out) == bool(left)


def test_detach_says_so_and_attach_goes_on(rcrun, shell, screen):
    shell.type(CTRL_P + CTRL_Q)
    assert shell.end() == 0
    assert shell.seen.endswith(b"\r\n"), "the user's prompt begins its own line"
    assert state_of(rcrun) == "running"
    again = screen("attach", "web", rows=40, columns=100)
    wait_for(lambda: "40 100\n" in again.ask("stty size"))
    again.type(b"exit 6\r")
    assert again.end() == 6


def test_who_comes_back_sees_something(screen):
    """As docker does it: the size changes and changes back, so that a shell draws its prompt again."""
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    words = ("run", "-it", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script)
    shown = screen(*words, rows=30, columns=100)
    shown.expect(b"ready")
    shown.type(CTRL_P + CTRL_Q)
    shown.end()
    again = screen("attach", "web", rows=30, columns=100)
    again.expect(b"30 100\r\n")


def test_a_part_of_the_detach_keys_passes_after_a_second(screen):
    shown = screen("run", "-it", "--rm", *NO_NETWORK, "busybox", *BYTES)
    shown.expect(b"ready\n")
    shown.type(CTRL_P)
    assert shown.read(0.5) == b""
    shown.expect(b"<10>")
    shown.type(CTRL_P + CTRL_P + b"x" + CTRL_Q)
    shown.expect(b"<10><10><78><11>")


@pytest.mark.parametrize(
    ("keys", "leaves"), [("ctrl-a,d", CTRL_A + b"d"), ("a,b,c", b"abc"), ("ctrl-@", b"\0")]
)
def test_other_detach_keys(screen, keys, leaves):
    shown = screen("run", "-it", "--detach-keys", keys, *NO_NETWORK, "busybox", *BYTES)
    shown.expect(b"ready\n")
    shown.type(CTRL_P + CTRL_Q)
    shown.expect(b"<10><11>")
    shown.type(leaves)
    assert shown.end() == 0


def test_no_detach_keys(screen):
    shown = screen("run", "-it", "--rm", "--detach-keys", "", *NO_NETWORK, "busybox", *BYTES)
    shown.expect(b"ready\n")
    wait_for(lambda: passes_at_once(shown))


def passes_at_once(shown):
    """Before the second in which more might come; a machine that is busy may need another try."""
    begun = time.monotonic()
    shown.type(CTRL_P + CTRL_Q)
    shown.expect(b"<10><11>")
    return time.monotonic() - begun < 0.9


def test_detach_keys_that_are_none(rcrun):
    got = rcrun("run", "--detach-keys", "ctrl-foo", *NO_NETWORK, "busybox", "true")
    assert got.status == 125
    assert "invalid detach keys" in got.err.lower()
