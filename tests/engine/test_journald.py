"""The log driver journald against a real journal: every byte arrives, with docker's fields, and `logs` reads it back."""

from __future__ import annotations

import json
import subprocess

import pytest

from waiting import wait_for

pytestmark = pytest.mark.requires("systemd")
NO_NETWORK = ("--network", "none")
DRIVER = (*NO_NETWORK, "--log-driver", "journald")


@pytest.fixture(scope="module", autouse=True)
def kept():
    """In files of each user's own, which he may read."""
    subprocess.run(["mkdir", "-p", "/var/log/journal"], check=True)
    subprocess.run(["journalctl", "--flush"], check=True)


def entries(rcrun, name):
    identity = rcrun("inspect", "-f", "{{.Id}}", name).check().out.strip()
    subprocess.run(["journalctl", "--sync"], check=True)
    command = ["journalctl", "-q", "-a", "-o", "json", f"CONTAINER_ID_FULL={identity}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return identity, [json.loads(line) for line in text.splitlines()]


# What is said at two moments may be read at one: a step is made when so many entries have arrived.
STEPS = "step() { while ! test -e /$1; do sleep 0.05; done; }; "


def in_steps(rcrun, *counts):
    for count in counts:
        wait_for(lambda count=count: len(entries(rcrun, "web")[1]) == count)
        rcrun("exec", "web", "touch", f"/{count}")
    rcrun("wait", "web").check()
    entries(rcrun, "web")


def test_fields(rcrun):
    rcrun("run", "-d", "--name", "web", *DRIVER, "--log-opt", "tag={{.Name}}.t", "--log-opt", "labels=my.role",
          "--log-opt", "env=X", "--label", "my.role=db", "-e", "X=1", "busybox", "sh", "-c",
          STEPS + "echo out; step 1; echo err >&2; step 2; printf part; step 3; echo ial").check()  # fmt: skip
    in_steps(rcrun, 1, 2, 3)
    identity, found = entries(rcrun, "web")
    assert [entry["MESSAGE"] for entry in found] == ["out", "err", "part", "ial"]
    assert [entry["PRIORITY"] for entry in found] == ["6", "3", "6", "6"]
    assert [entry.get("CONTAINER_PARTIAL_MESSAGE") for entry in found] == [None, None, "true", None]
    wanted = {
        "CONTAINER_ID": identity[:12], "CONTAINER_NAME": "web", "CONTAINER_TAG": "web.t", "MY_ROLE": "db",
        "SYSLOG_IDENTIFIER": "web.t", "X": "1", "IMAGE_NAME": "docker.io/library/busybox:latest",
    }  # fmt: skip
    for entry in found:
        assert {key: entry[key] for key in wanted} == wanted


def test_logs_read_it_back(rcrun):
    rcrun("run", "-d", "--name", "web", *DRIVER, "busybox", "sh", "-c",
          STEPS + r"echo one; printf 'a\001\377b'; step 2; echo; echo; step 4; echo err >&2; step 5; printf end").check()  # fmt: skip
    in_steps(rcrun, 2, 4, 5)
    got = rcrun("logs", "web").check()
    assert (got.stdout, got.stderr) == (b"one\na\x01\xffb\n\nend", b"err\n")
    stamped = rcrun("logs", "-t", "-n", "1", "web").check().out
    assert stamped.endswith("Z end")
    assert rcrun("logs", "-n", "3", "web").check().stdout == b"\nend"
    assert rcrun("logs", "--until", "1h", "web").check().out == ""
    assert rcrun("logs", "--since", "1h", "web").check().stdout == got.stdout
    assert rcrun("inspect", "-f", "{{.LogPath}}", "web").out == "\n"


def test_many_lines_in_order(rcrun):
    rcrun("run", "--name", "web", *DRIVER, "busybox", "sh", "-c",
          "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done").check()  # fmt: skip
    entries(rcrun, "web")
    assert rcrun("logs", "web").check().out.splitlines() == [f"line {i}" for i in range(500)]


def test_follow(rcrun):
    rcrun("run", "-d", "--name", "web", *DRIVER, "busybox", "sh", "-c",
          STEPS + "echo one; step 1; echo two; echo three").check()  # fmt: skip
    with rcrun.popen("logs", "-f", "web", stdout=-1) as process:
        assert process.stdout.readline() == b"one\n"
        rcrun("exec", "web", "touch", "/1")
        assert process.stdout.read() == b"two\nthree\n"
        assert process.wait(60) == 0


def test_a_journal_that_is_started_anew(rcrun):
    """Its socket is systemd's, which holds what comes meanwhile."""
    rcrun("run", "-di", "--name", "web", *DRIVER, "busybox", "sh", "-c", "echo one; sleep 3; echo two").check()  # fmt: skip
    subprocess.run(["systemctl", "restart", "systemd-journald"], check=True)
    rcrun("wait", "web").check()
    assert [entry["MESSAGE"] for entry in entries(rcrun, "web")[1]] == ["one", "two"]


def test_an_output_without_a_wait_for_the_journal(rcrun):
    rcrun("run", "--name", "web", *DRIVER, "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=1m",
          "busybox", "echo", "text").check()  # fmt: skip
    assert [entry["MESSAGE"] for entry in entries(rcrun, "web")[1]] == ["text"]
