"""exec: another process in a running container."""

from __future__ import annotations

import pytest

from accounts import bin_dir


@pytest.fixture
def web(rcrun):
    rcrun(
        "run", "-d", "--name", "web", "--network", "none", "-e", "OWN=1", "-w", "/tmp", "busybox", "sleep", "100"
    ).check()  # fmt: skip
    return rcrun


def test_streams_and_status(web):
    got = web("exec", "web", "sh", "-c", "echo out; echo err >&2; exit 4")
    assert (got.status, got.out, got.err) == (4, "out\n", "err\n")


def test_input(web):
    assert web("exec", "-i", "web", "cat", input="data").check().stdout == b"data"
    assert web("exec", "web", "cat", input="data").check().stdout == b""


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["nosuchthing"], 127, "executable file not found"),
        (["/etc"], 126, "Is a directory"),
        (["/etc/passwd"], 126, "Permission denied"),
    ],
)
def test_commands_that_cannot_run(web, words, status, text):
    got = web("exec", "web", *words)
    assert (got.status, got.out) == (status, "")
    assert text in got.err


def test_environment_and_directory(web):
    got = web("exec", "-e", "A=b", "web", "sh", "-c", "echo $OWN $A $(pwd)").check()
    assert got.out == "1 b /tmp\n"
    assert web("exec", "-w", "/etc", "web", "pwd").out == "/etc\n"


def test_env_file(web):
    path = web.account.new_dir("env") / "file"
    web.account.run("sh", "-c", f"echo 'FROM_FILE=x y' > {path}").check()
    got = web("exec", "--env-file", path, "web", "sh", "-c", "echo $FROM_FILE")
    assert got.check().out == "x y\n"
    assert web("exec", "--env-file", "/none", "web", "true").status == 1


def test_user_by_number_and_name(web):
    script = "echo $(id -u):$(id -g) $HOME; grep CapEff /proc/self/status"
    got = web("exec", "-u", "7:8", "web", "sh", "-c", script).check()
    assert got.out == "7:8 /\nCapEff:\t0000000000000000\n"
    assert web("exec", "-u", "root", "web", "id", "-u").check().out == "0\n"
    got = web("exec", "-u", "nosuch", "web", "true")
    assert got.status == 1
    assert 'unable to find user "nosuch"' in got.err


def test_a_user_that_was_added_in_the_container(web):
    web("exec", "web", "sh", "-c", "echo 'new:x:55:66::/home/new:/bin/sh' >> /etc/passwd").check()
    got = web("exec", "-u", "new", "web", "sh", "-c", "echo $(id -u):$(id -g) $HOME").check()
    assert got.out == "55:66 /home/new\n"


def test_a_passwd_that_is_a_link_out_of_the_container_is_not_read(web):
    web(
        "exec", "web", "sh", "-c", "rm /etc/passwd; ln -s /proc/1/root/etc/passwd /etc/passwd"
    ).check()
    got = web(
        "exec", "-u", web.account.name if web.account.name != "root" else "daemon", "web", "id"
    )
    assert got.status == 1
    assert "unable to find user" in got.err


def test_detached(web):
    got = web("exec", "-d", "web", "sh", "-c", "echo made > /made; sleep 100").check()
    assert got.out == ""
    assert (
        web("exec", "web", "sh", "-c", "until grep made /made 2>/dev/null; do sleep 0.05; done").out
        == "made\n"
    )


def test_detached_with_a_command_that_is_not_there(web):
    got = web("exec", "-d", "web", "nosuchthing")
    assert got.status == 127


def test_privileged(web):
    mask = web("exec", "web", "grep", "CapEff", "/proc/self/status").out
    more = web("exec", "--privileged", "web", "grep", "CapEff", "/proc/self/status").out
    assert int(more.split()[1], 16) > int(mask.split()[1], 16)


def test_terminal_needs_a_terminal(web):
    got = web("exec", "-it", "web", "true")
    assert got.status == 1
    assert "the input device is not a TTY" in got.err


def test_not_running(web):
    web("stop", "-t", "0", "web").check()
    got = web("exec", "web", "true")
    assert got.status == 1
    assert "is not running" in got.err


def test_words_after_the_container_are_the_commands(web):
    assert web("exec", "web", "echo", "-n", "-e", "x").check().out == "x"


def test_no_descriptor_of_ours_is_in_the_command(web):
    got = web("exec", "web", "sh", "-c", "ls /proc/self/fd | wc -l").check()
    assert int(got.out) <= 4  # the three streams, and the one that ls reads with


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_from_where_less_is_allowed(web):
    """As of a container that a service started, from a login: the kernel lets no user raise a hard limit again."""
    line = 'ulimit -n 90; exec "$0" exec web sh -c "ulimit -Hn; ulimit -n; ulimit -Hu"'
    before = web("exec", "web", "sh", "-c", "ulimit -Hu").check().out
    got = web.account.run("sh", "-c", line, bin_dir() / "rcrun", env=web.env)
    assert got.check().out == f"90\n90\n{before}"
