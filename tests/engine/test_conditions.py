"""wait --condition, and healthcheck run."""

from __future__ import annotations

import time

import pytest

from waiting import wait_for, waits

NO_NETWORK = ("--network", "none")
CHECK = ("--health-interval", "100ms", "--health-retries", "1", "--health-cmd", "test -e /ok")


def run(rcrun, *options, command=("sleep", "100")):
    rcrun("run", "-d", "--name", "web", *options, *NO_NETWORK, "busybox", *command).check()


def waiting(rcrun, *words):
    process = rcrun.popen("wait", *words, "web", stdout=-1)
    wait_for(lambda: waits(process.pid, "anon_inode:inotify"))
    return process


def test_healthy_and_unhealthy(rcrun):
    run(rcrun, *CHECK)
    assert rcrun("wait", "--condition", "unhealthy", "web").check().out == "-1\n"
    with waiting(rcrun, "--condition", "healthy") as process:
        rcrun("exec", "web", "touch", "/ok").check()
        assert process.stdout.read() == b"-1\n"


def test_running(rcrun):
    rcrun("create", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    with waiting(rcrun, "--condition", "running") as process:
        rcrun("start", "web").check()
        assert process.stdout.read() == b"-1\n"


@pytest.mark.parametrize("word", ["stopped", "exited", "not-running", "next-exit"])
def test_the_end(rcrun, word):
    run(rcrun)
    with waiting(rcrun, "--condition", word) as process:
        rcrun("kill", "web").check()
        assert process.stdout.read() == b"137\n"


def test_next_exit_is_not_the_last_one(rcrun):
    run(rcrun, command=("sh", "-c", "exit 3"))
    assert rcrun("wait", "web").check().out == "3\n"
    assert rcrun("wait", "--condition", "exited", "web").check().out == "3\n"
    with waiting(rcrun, "--condition", "next-exit") as process:
        rcrun("start", "web").check()
        assert process.stdout.read() == b"3\n"


def test_removed(rcrun):
    run(rcrun)
    with waiting(rcrun, "--condition", "removed") as process:
        rcrun("rm", "-f", "web").check()
        assert process.stdout.read() in (b"137\n", b"0\n")


def test_several_conditions(rcrun):
    run(rcrun)
    got = rcrun("wait", "--condition", "healthy", "--condition", "paused,running", "web")
    assert got.check().out == "-1\n"


def test_what_is_no_condition(rcrun):
    run(rcrun)
    got = rcrun("wait", "--condition", "happy", "web")
    assert got.status == 1
    assert 'unknown condition "happy"' in got.err
    assert rcrun("wait", "--ignore", "nobody").check().out == "-1\n"


def test_healthcheck_run(rcrun):
    run(rcrun, "--health-interval", "1h", "--health-cmd", "test -e /ok")
    got = rcrun("healthcheck", "run", "web")
    assert (got.status, got.out) == (1, "unhealthy\n")
    assert rcrun("healthcheck", "run", "--ignore-result", "web").status == 0
    rcrun("exec", "web", "touch", "/ok").check()
    assert rcrun("healthcheck", "run", "web").check().out == ""
    assert rcrun("inspect", "-f", "{{.State.Health.Status}} {{len .State.Health.Log}}", "web").out == "healthy 3\n"  # fmt: skip


def test_healthcheck_run_needs_a_check_and_a_container_that_runs(rcrun):
    run(rcrun)
    got = rcrun("healthcheck", "run", "web")
    assert got.status == 125
    assert "has no health check" in got.err
    rcrun("create", "--name", "other", "--health-cmd", "true", *NO_NETWORK, "busybox", "true").check()  # fmt: skip
    got = rcrun("healthcheck", "run", "other")
    assert got.status == 125
    assert "is not running" in got.err
    assert rcrun("healthcheck", "run", "nobody").status == 125


def test_a_check_on_demand_alone(rcrun):
    run(rcrun, "--health-interval", "disable", "--health-cmd", "echo asked")
    time.sleep(0.3)
    assert rcrun("inspect", "-f", "{{len .State.Health.Log}}", "web").out == "0\n"
    rcrun("healthcheck", "run", "web").check()
    assert rcrun("inspect", "-f", "{{(index .State.Health.Log 0).Output}}", "web").out == "asked\n\n"  # fmt: skip
