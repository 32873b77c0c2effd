"""`rcrun run -it` under the fingers of somebody who knows docker."""

from __future__ import annotations

import hashlib
import os
import shlex
import time

import pytest

from cli.screens import (
    CTRL_C,
    CTRL_D,
    CTRL_P,
    CTRL_Q,
    CTRL_Z,
    NO_NETWORK,
    PROMPT,
    SHELL,
    runs,
    state_of,
)
from waiting import wait_for

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


# ---- a shell


def test_lines_are_edited(shell):
    shell.type(b"echo wrogn\x7f\x7fng\x01\x1b[C\x1b[C\x1b[C\x1b[C -n\x05 word\r")
    assert shell.expect(PROMPT).endswith(b"wrong word")


def test_a_new_size_is_seen_by_whoever_asks(shell):
    assert shell.ask("stty size") == "31 97\n"
    shell.resize(50, 132)
    wait_for(lambda: shell.ask("stty size") == "50 132\n")


def test_control_c_ends_what_runs_inside_and_nothing_else(rcrun, shell):
    shell.type(b"sleep 100\r")
    shell.expect(b"sleep 100\r\n")
    wait_for(lambda: runs(rcrun, "sleep 100"))
    shell.type(CTRL_C)
    shell.expect(PROMPT)
    assert shell.ask("echo $?") == "130\n"
    assert state_of(rcrun) == "running"


def test_jobs_inside(rcrun, shell):
    shell.type(b"sleep 100\r")
    wait_for(lambda: runs(rcrun, "sleep 100"))
    shell.expect(b"sleep 100\r\n")
    shell.type(CTRL_Z)
    shell.expect(b"Stopped")
    shell.expect(PROMPT)
    assert "Stopped" in shell.ask("jobs")
    shell.type(b"fg\r")
    wait_for(lambda: runs(rcrun, "sleep 100"))
    shell.type(CTRL_C)
    shell.expect(PROMPT)


def test_control_d_ends_the_shell_with_its_last_status(shell):
    shell.ask("false")
    shell.type(CTRL_D)
    assert shell.end() == 1


def test_what_programs_look_for(shell):
    assert shell.ask("tty") == "/dev/pts/0\n"
    assert shell.ask("echo $TERM") == "xterm\n"
    assert shell.ask("echo one > /dev/tty") == "one\n"
    assert shell.ask("echo two > /dev/console") == "two\n"
    assert shell.ask("echo three > /proc/self/fd/2") == "three\n"
    assert shell.ask("test -t 0 && test -t 1 && test -t 2 && echo yes") == "yes\n"
    assert shell.ask("stat -c '%a %u' /dev/pts/0 /dev/console") == "620 0\n620 0\n"


def test_a_full_screen_program(shell):
    shell.type(b"vi /tmp/text\r")
    shell.expect(b"/tmp/text")
    shell.type(b"ifirst line")
    shell.expect(b"first line")
    shell.type(b"\x1b")
    shell.expect(b"- /tmp/text")
    shell.type(b":wq\r")
    shell.expect(PROMPT)
    assert shell.ask("cat /tmp/text") == "first line\n"
    shell.type(b"reset\r")
    shell.expect(b"\x1bc")
    shell.expect(PROMPT)


def test_the_terminal_is_the_containers_users(screen):
    shown = screen("run", "-it", "--rm", "-u", "guest", *SHELL)
    shown.expect(PROMPT)
    assert shown.ask("stat -c %u $(tty)") == "1000\n"
    assert shown.ask("echo mine > /dev/tty; echo mine > /dev/console") == "mine\nmine\n"
    assert shown.ask("echo again > /dev/stderr") == "again\n"
    shown.type(b"exit\r")
    assert shown.end() == 0


def test_a_terminal_that_belongs_to_somebody_else(screen):
    """As after `su`: it cannot be opened again, only used."""
    shown = screen("run", "-it", "--rm", *SHELL, own=False)
    shown.expect(PROMPT)
    assert shown.ask("stty size") == "24 80\n"
    shown.type(b"exit 4\r")
    assert shown.end() == 4


def test_a_long_paste_arrives_whole(screen):
    """In lines, as a terminal that edits lines holds 4095 bytes of one."""
    text = b"".join(b"%06d %s\n" % (at, b"x" * 92) for at in range(1000))
    shown = screen("run", "-i", "-t", "--rm", *NO_NETWORK, "busybox", "sh", "-c",
                   "stty -echo; echo ready; head -c 100000 | sha256sum")  # fmt: skip
    shown.expect(b"ready\r\n")
    os.set_blocking(shown.master, False)
    rest = memoryview(text)
    deadline = time.monotonic() + 60
    while rest and time.monotonic() < deadline:
        try:
            rest = rest[os.write(shown.master, rest) :]
        except BlockingIOError:
            shown.seen += shown.read(0.05)
    shown.expect(hashlib.sha256(text).hexdigest().encode())
    assert shown.end() == 0


# ---- exec, attach, start


def test_exec(rcrun, screen):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    shown = screen(
        "exec", "-it", "-u", "guest", "-e", "PS1=ready> ", "web", "sh", rows=30, columns=90
    )
    shown.expect(PROMPT)
    assert shown.ask("stty size; tty; echo $TERM; id -un") == "30 90\n/dev/pts/0\nxterm\nguest\n"
    assert shown.ask("stat -c %u $(tty); echo mine > /dev/tty") == "1000\nmine\n"
    shown.resize(12, 34)
    wait_for(lambda: shown.ask("stty size") == "12 34\n")
    second = screen("exec", "-it", "-e", "PS1=ready> ", "web", "sh")
    second.expect(PROMPT)
    assert second.ask("tty") == "/dev/pts/1\n"
    shown.type(CTRL_P + CTRL_Q)
    assert shown.end() == 0
    second.type(b"exit 4\r")
    assert second.end() == 4


def test_exec_is_left_by_its_keys_and_goes_on(rcrun, screen):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    shown = screen("exec", "-it", "web", "sh", "-c", "echo ready; sleep 1; echo late > /tmp/late")
    shown.expect(b"ready")
    shown.type(CTRL_P + CTRL_Q)
    assert shown.end() == 0
    wait_for(lambda: rcrun("exec", "web", "cat", "/tmp/late").out == "late\n")


def test_two_at_one_container(rcrun, shell, screen):
    other = screen("attach", "web")
    other.type(b"echo from the ot''her\r")
    shell.expect(b"from the other\r\n")
    other.expect(b"from the other\r\n")
    shell.type(b"exit 3\r")
    assert (shell.end(), other.end()) == (3, 3)


# ---- one of -i and -t


def test_a_terminal_without_input(rcrun, screen):
    shown = screen("run", "-t", "--rm", *NO_NETWORK, "busybox", "sh", "-c",
                   "tty; stty size; sleep 0.3; echo end", rows=33, columns=99)  # fmt: skip
    shown.expect(b"33 99\r")
    shown.type(b"typed")
    shown.expect(b"end\r")
    assert shown.end() == 0


def test_a_terminal_into_a_pipe(rcrun):
    got = rcrun(
        "run",
        "-t",
        "--rm",
        *NO_NETWORK,
        "busybox",
        "sh",
        "-c",
        "test -t 1 && echo yes; echo no >&2",
    )
    assert (got.status, got.stdout, got.err) == (0, b"yes\r\nno\r\n", "")


def test_input_without_a_terminal(screen):
    """Ctrl-C is then the client's, which passes SIGINT on."""
    shown = screen("run", "-i", "--rm", *NO_NETWORK, "busybox", "sh", "-c",
                   "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.05; done")  # fmt: skip
    shown.expect(b"ready")
    assert shown.is_restored
    shown.type(CTRL_C)
    shown.expect(b"interrupted")
    assert shown.end() == 7


def test_a_terminal_where_the_output_is_a_file(rcrun, screen):
    """`run -it … > file`: stdin is the terminal, and the size comes from it."""
    path = rcrun.account.new_dir("out") / "file"
    with path.open("wb") as file:
        shown = screen("run", "-it", "--rm", *NO_NETWORK, "busybox", "sh", "-c", "read x; echo $x; stty size",
                       rows=21, columns=43, stdout=file)  # fmt: skip
        wait_for(lambda: shown.is_raw)
        shown.type(b"text\r")
        assert shown.end() == 0
    assert path.read_bytes() == b"text\r\ntext\r\n21 43\r\n"


@pytest.mark.parametrize(
    "words", [["run", "-it", "busybox"], ["run", "-it", "--rm", "busybox", "sh"]]
)
def test_a_terminal_for_input_that_is_none(rcrun, words):
    got = rcrun(*words, input="data")
    assert got.status == 1
    assert "the input device is not a TTY" in got.err
    assert got.out == ""
    assert rcrun("ps", "-aq").out == "", "nothing was made"


def test_detached_with_a_terminal(rcrun, screen):
    """`run -dit`: the shell waits; its size is the client's once somebody attaches."""
    rcrun("run", "-dit", *SHELL).check()
    shown = screen("attach", "web", rows=45, columns=111)
    shown.type(b"\r")
    shown.expect(PROMPT)
    wait_for(lambda: "45 111\n" in shown.ask("stty size"))


# ---- other people's terminals


@pytest.fixture
def tmux(rcrun):
    """Types into a shell in tmux, and tells what the screen shows."""
    account, folder = rcrun.account, rcrun.account.new_dir("tmux")
    env = {**rcrun.env, "TMUX_TMPDIR": str(folder)}

    def command(*words):
        return account.run("tmux", "-f", "/dev/null", *words, env=env).check().out

    command("new-session", "-d", "-x", "90", "-y", "20", "PS1='user> ' bash --norc --noprofile")

    def shows(text, *keys):
        if keys:
            command("send-keys", *keys)
        try:
            wait_for(lambda: text in "\n" + command("capture-pane", "-p"))
        except AssertionError:
            raise AssertionError(f"{text!r} is not in\n{command('capture-pane', '-p')}") from None

    shows.command = command
    yield shows
    account.run("tmux", "kill-server", env=env)


@pytest.mark.requires("tmux")
def test_inside_tmux(rcrun, tmux):
    tmux("\nuser>")
    tmux("\nready>", f"rcrun run --rm -it {shlex.join(SHELL)}", "Enter")
    tmux("\n20 90\n", "stty size", "Enter")
    tmux("\n~\n", "vi /etc/passwd", "Enter")
    tmux("\nready>", ":q", "Enter")
    tmux.command("split-window", "-v")
    tmux.command("select-pane", "-t", "0")
    tmux("\n10 90\n", "clear; until stty size | grep 10; do sleep 0.05; done", "Enter")
    tmux("sleep 100\n", "sleep 100", "Enter")
    wait_for(lambda: runs(rcrun, "sleep 100"))
    tmux("^C\nready>", "C-c")
    tmux("\nuser>", "exit 4", "Enter")
    tmux("\nstatus 4\n", "echo status $?", "Enter")
    tmux("\nechoes\n", "stty -a | grep -q ' echo ' && echo ech''oes", "Enter")


@pytest.mark.requires("script")
def test_inside_script(rcrun):
    """A terminal whose other end is a program: a CI job's trick to get colours."""
    line = f"rcrun run -it --rm {shlex.join(SHELL)}"
    words = ("script", "-qec", line, "/dev/null")
    got = rcrun.account.run(*words, input="echo $((6 * 7))\ntty\nexit 3\n", env=rcrun.env)
    assert got.status == 3
    assert "\r\n42\r\n" in got.out
    assert "\r\n/dev/pts/0\r\n" in got.out
