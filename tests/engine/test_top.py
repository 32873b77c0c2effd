"""top: options of ps, and podman's columns."""

from __future__ import annotations

import pytest

from waiting import wait_for

NO_NETWORK = ("--network", "none")


@pytest.fixture
def web(rcrun):
    rcrun("run", "-d", "--name", "web", "--user", "7", *NO_NETWORK, "busybox", "sh", "-c", "sleep 100 & exec sleep 200").check()  # fmt: skip
    wait_for(lambda: arguments(rcrun) == [["sleep", "100"], ["sleep", "200"]])
    return rcrun


def arguments(rcrun):
    """Those of the container's processes, sorted: its shell is one of them until it became the last of them."""
    return sorted(table(rcrun, "web", "args")[1])


def table(rcrun, *words):
    lines = rcrun("top", *words).check().out.splitlines()
    return lines[0].split(), [line.split() for line in lines[1:]]


@pytest.mark.parametrize("words", [(), ("-ef",), ("-fe",)])
def test_the_usual_columns(web, words):
    titles, rows = table(web, "web", *words)
    assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(" ".join(row[7:]) for row in rows) == ["sleep 100", "sleep 200"]


def test_options_of_ps(web):
    titles, rows = table(web, "web", "aux")
    assert titles[:3] == ["USER", "PID", "%CPU"]
    assert len(rows) == 2
    titles, rows = table(web, "web", "-eo", "pid,comm")
    assert titles == ["PID", "COMMAND"]
    assert [row[1] for row in rows] == ["sleep", "sleep"]
    assert len(table(web, "web", "aux", "f")[1]) == 2
    assert table(web, "web", "--", "-eo", "pid,comm")[0] == ["PID", "COMMAND"]


def test_options_without_a_pid_and_wrong_ones(web):
    got = web("top", "web", "-o", "comm")
    assert (got.status, got.err) == (
        1, 'rcrun: error: "ps -o comm" prints no column PID\nhint: add it: -eo pid,comm\n'
    )  # fmt: skip
    assert 'rcrun: error: "ps --nosuch": ' in web("top", "web", "--nosuch").err


def test_columns(web):
    pid = web("inspect", "-f", "{{.State.Pid}}", "web").out.strip()
    titles, rows = table(web, "web", "pid", "hpid", "user", "state", "seccomp", "args")
    assert titles == ["PID", "HPID", "USER", "STATE", "SECCOMP", "COMMAND"]
    assert rows[0] == ["1", pid, "7", "S", "filter", "sleep", "200"]
    assert table(web, "web", "pid,%U,ppid")[1][1][1:] == ["7", "1"]
    capabilities = web("top", "web", "capeff").check().out.split()
    assert capabilities == ["EFFECTIVE", "CAPS", "none", "none"]
    got = web("top", "web", "pid", "nosuch")
    assert 'there is no column "nosuch"' in got.err
    assert "hint: columns are: args" in got.err


def test_names_come_from_the_container(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c",
          "echo inner:x:0:0::/:/bin/sh > /etc/passwd; exec sleep 100").check()  # fmt: skip
    wait_for(lambda: arguments(rcrun) == [["sleep", "100"]])
    assert table(rcrun, "web", "user")[1] == [["inner"]]
    rcrun("exec", "web", "sh", "-c", "rm /etc/passwd; ln -s /etc/hostname /etc/passwd").check()
    assert table(rcrun, "web", "user")[1] == [["0"]]
    rcrun("exec", "web", "sh", "-c", "rm /etc/passwd; mkfifo /etc/passwd").check()
    assert table(rcrun, "web", "user")[1] == [["0"]]


def test_the_latest(web):
    assert "sleep 200" in web("top", "--latest").check().out
    assert table(web, "-l", "pid")[0] == ["PID"]
    assert web("top").status == 1
