"""--restart: who is started again, how long after, and what ends that."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from rcrun.kernel.process import start_time
from waiting import wait_for, waits

NO_NETWORK = ("--network", "none")


def tell(rcrun, template, name="web"):
    return rcrun("inspect", "-f", template, name).check().out.strip()


def word(rcrun, name="web"):
    return tell(rcrun, "{{.State.Status}}", name)


def run(rcrun, policy, script, name="web"):
    return rcrun(
        "run", "-d", "--name", name, "--restart", policy, *NO_NETWORK, "busybox", "sh", "-c", script
    ).check()


def slow_down(rcrun, name="web", policy="always"):
    """The next wait is a minute."""
    live = live_dir(rcrun, name)
    (live / "restart").write_text(f"{policy} 0 0 60000\n")


def live_dir(rcrun, name="web"):
    container_id = tell(rcrun, "{{.Id}}", name)
    runroot = rcrun("info", "--format", "{{.Store.RunRoot}}").check().out.strip()
    return Path(runroot, "containers", container_id)


@pytest.fixture
def waiting(rcrun):
    """A container `web` that has ended with 5 and waits a minute for its next start."""
    run(rcrun, "always", "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done")
    wait_for(lambda: rcrun("logs", "web").out == "ready\n")
    slow_down(rcrun)
    rcrun("kill", "-s", "USR1", "web").check()
    wait_for(lambda: word(rcrun) == "restarting")
    return rcrun


def monitor_of(rcrun, name="web"):
    return int(tell(rcrun, "{{.State.ConmonPid}}", name))


def is_there(pid):
    return start_time(pid) is not None


def test_on_failure_stops_after_its_count(rcrun):
    run(rcrun, "on-failure:2", "echo run; exit 4")
    wait_for(lambda: tell(rcrun, "{{.RestartCount}} {{.State.Status}}") == "2 exited")
    assert rcrun("logs", "web").out == "run\n" * 3
    assert tell(rcrun, "{{.State.ExitCode}}") == "4"
    policy = json.loads(tell(rcrun, "{{json .HostConfig.RestartPolicy}}"))
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 2}


def test_on_failure_is_content_with_success(rcrun):
    run(rcrun, "on-failure", "test -e /done && exit 0; touch /done; exit 1")
    wait_for(lambda: tell(rcrun, "{{.RestartCount}} {{.State.Status}}") == "1 exited")
    assert tell(rcrun, "{{.State.ExitCode}}") == "0"


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_success_is_started_again_too(rcrun, policy):
    run(rcrun, policy, "echo run")
    wait_for(lambda: rcrun("logs", "web").out.startswith("run\n" * 3))
    rcrun("stop", "web").check()
    assert word(rcrun) == "exited"
    told = rcrun("logs", "web").out
    time.sleep(1)
    assert rcrun("logs", "web").out == told


def test_the_waits_double(rcrun):
    run(rcrun, "always", "date +%s%N >&2; date +%s.%N")
    wait_for(lambda: int(tell(rcrun, "{{.RestartCount}}")) >= 3)
    *_, count, delay = (live_dir(rcrun) / "restart").read_text().split()
    assert int(delay) == min(100 << (int(count) - 1), 60_000)
    rcrun("rm", "-f", "web").check()


def test_what_is_shown_between_two_runs(waiting):
    state = json.loads(tell(waiting, "{{json .State}}"))
    shown = {key: state[key] for key in ("Status", "Running", "Restarting", "Pid", "ExitCode")}
    assert shown == {
        "Status": "restarting", "Running": True, "Restarting": True, "Pid": 0, "ExitCode": 5,
    }  # fmt: skip
    assert waiting("ps", "--format", "{{.Status}}").out.startswith("Restarting (5) ")
    assert waiting("ps", "-q", "--filter", "status=restarting").out
    assert "is restarting" in waiting("exec", "web", "true").err
    assert "is restarting" in waiting("attach", "web").err
    assert "container is restarting: stop the container" in waiting("rm", "web").err
    assert "it is restarting" in waiting("pause", "web").err
    assert waiting("container", "prune", "-f").check().out.count("\n") <= 2
    assert word(waiting) == "restarting"


@pytest.mark.parametrize("words", [["stop"], ["kill"], ["kill", "-s", "TERM"]])
def test_a_wait_is_broken(waiting, words):
    monitor = monitor_of(waiting)
    assert waiting(*words, "web").check().out == "web\n"
    assert tell(waiting, "{{.State.Status}} {{.State.ExitCode}}") == "exited 5"
    assert not is_there(monitor)


def test_another_signal_does_not_break_a_wait(waiting):
    assert waiting("kill", "-s", "HUP", "web").status == 1
    assert word(waiting) == "restarting"


def test_rm_f_of_one_that_waits(waiting):
    monitor = monitor_of(waiting)
    waiting("rm", "-f", "web").check()
    assert not is_there(monitor)
    assert waiting("ps", "-aq").out == ""


def test_start_of_one_that_waits(waiting):
    monitor = monitor_of(waiting)
    waiting("start", "web").check()
    assert tell(waiting, "{{.State.Status}} {{.RestartCount}}") == "running 0"
    assert not is_there(monitor)


def test_restart_of_one_that_waits(waiting):
    waiting("restart", "-t", "0", "web").check()
    assert word(waiting) == "running"


def test_wait_waits_for_the_run_that_follows(waiting):
    with waiting.popen("wait", "web", stdout=-1) as process:
        wait_for(lambda: waits(process.pid, "anon_inode:[pidfd]"))
        waiting("start", "web").check()
        wait_for(lambda: waits(process.pid, "socket:"))
        assert process.poll() is None
        waiting("stop", "-t", "0", "web").check()
        assert process.stdout.read() == b"137\n"


def test_wait_returns_when_the_policy_ends(waiting):
    with waiting.popen("wait", "web", stdout=-1) as process:
        wait_for(lambda: waits(process.pid, "anon_inode:[pidfd]"))
        waiting("stop", "web").check()
        assert process.stdout.read() == b"5\n"


def test_a_monitor_that_is_killed_in_its_wait(waiting):
    os.kill(monitor_of(waiting), 9)
    wait_for(lambda: tell(waiting, "{{.State.Status}} {{.State.ExitCode}}") == "exited 5")
    waiting("start", "web").check()
    assert word(waiting) == "running"


def test_a_stop_ends_the_policy_until_the_next_start(rcrun):
    run(rcrun, "always", "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done")
    wait_for(lambda: rcrun("logs", "web").out == "ready\n")
    rcrun("stop", "-t", "0", "web").check()
    assert tell(rcrun, "{{.State.Status}} {{.RestartCount}}") == "exited 0"
    rcrun("start", "web").check()
    wait_for(lambda: rcrun("logs", "web").out == "ready\nready\n")
    pid = tell(rcrun, "{{.State.Pid}}")
    rcrun("kill", "-s", "USR1", "web").check()  # which ends it, and nobody meant that as an end
    wait_for(lambda: tell(rcrun, "{{.State.Status}} {{.RestartCount}}") == "running 1")
    assert tell(rcrun, "{{.State.Pid}}") != pid


def test_the_foreground_ends_with_the_first_run(rcrun):
    got = rcrun(
        "run", "--name", "web", "--restart", "on-failure:1", *NO_NETWORK, "busybox", "sh", "-c", "echo run; exit 3"
    )  # fmt: skip
    assert (got.status, got.out) == (3, "run\n")
    wait_for(lambda: tell(rcrun, "{{.RestartCount}} {{.State.Status}}") == "1 exited")


def test_a_signal_that_an_attached_client_passes_on_ends_the_policy(rcrun):
    words = ["run", "--name", "web", "--restart", "always", *NO_NETWORK, "busybox", "sh", "-c"]
    with rcrun.popen(*words, "trap 'exit 6' INT; echo up; while :; do sleep 0.05; done", stdout=-1) as process:  # fmt: skip
        assert process.stdout.readline() == b"up\n"
        process.send_signal(2)
        assert process.wait(60) == 6
    time.sleep(0.5)
    assert tell(rcrun, "{{.State.Status}} {{.RestartCount}}") == "exited 0"


def test_after_so_many_seconds_it_is_killed(rcrun):
    words = ["--timeout", "1", *NO_NETWORK, "busybox", "sleep", "100"]
    begun = time.monotonic()
    assert rcrun("run", "--rm", *words).status == 137
    assert 0.9 < time.monotonic() - begun < 60
    rcrun("run", "-d", "--name", "web", "--restart", "on-failure:1", *words).check()
    wait_for(lambda: tell(rcrun, "{{.RestartCount}} {{.State.Status}}") == "1 exited")
    assert tell(rcrun, "{{.State.ExitCode}} {{.Config.Timeout}}") == "137 1"
    got = rcrun("run", "--timeout", "-1", "busybox", "true")
    assert (got.status, "invalid --timeout" in got.err) == (125, True)


def test_a_first_start_that_fails_is_not_tried_again(rcrun):
    got = rcrun(
        "run", "-d", "--name", "web", "--restart", "always", *NO_NETWORK, "busybox", "nosuch"
    )
    assert got.status == 127
    assert tell(rcrun, "{{.State.Status}} {{.RestartCount}}") == "created 0"


def test_a_later_start_that_fails_ends_the_policy(rcrun):
    run(rcrun, "always", "rm /bin/sh; exit 1")
    wait_for(lambda: word(rcrun) == "exited")
    assert '"sh": ' in tell(rcrun, "{{.State.Error}}")
    assert tell(rcrun, "{{.State.ExitCode}}") == "1"


def test_with_rm_it_is_refused(rcrun):
    got = rcrun("run", "--rm", "--restart", "always", "busybox", "true")
    assert got.status == 125
    assert "conflicting options: --restart and --rm" in got.err


def test_twenty_at_once(rcrun):
    names = [f"c{number}" for number in range(20)]
    for name in names:
        run(rcrun, "always", "exit 1", name)
    wait_for(lambda: all(int(tell(rcrun, "{{.RestartCount}}", name)) >= 1 for name in names))
    assert rcrun("ps", "-q").out.count("\n") == 20
    rcrun("rm", "-f", *names).check()
    assert rcrun("ps", "-aq").out == ""


def test_rm_f_at_any_moment(rcrun):
    """Between the wait, the program that starts it, and the run."""
    for pause in (0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24):
        run(rcrun, "always", "sleep 0.05")
        time.sleep(pause)
        rcrun("rm", "-f", "web").check()
        assert rcrun("ps", "-aq").out == ""


def test_stop_at_any_moment(rcrun):
    run(rcrun, "always", "sleep 0.05")
    for pause in (0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24):
        time.sleep(pause)
        rcrun("stop", "-t", "0", "web").check()
        assert word(rcrun) == "exited"
        rcrun("start", "web").check()
