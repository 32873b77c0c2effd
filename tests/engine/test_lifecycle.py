"""create, start, stop, kill, rm, wait, rename, restart, attach: statuses, words, several names at once."""

from __future__ import annotations

import time

import pytest

from waiting import holds, wait_for

NO_NETWORK = ("--network", "none")
PATIENT = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def web(rcrun):
    """A container `web` that takes TERM and ends with 7."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", PATIENT).check()
    wait_for(lambda: rcrun("logs", "web").out == "ready\n")
    return rcrun


def status(rcrun, name="web"):
    return rcrun("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).check().out.strip()


def test_create_start_wait(rcrun):
    rcrun(
        "create", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo once; exit 5"
    ).check()
    assert status(rcrun) == "created 0"
    got = rcrun("start", "-a", "web")
    assert (got.status, got.out) == (5, "once\n")
    assert rcrun("start", "web").check().out == "web\n"
    assert rcrun("wait", "web").check().out == "5\n"
    assert status(rcrun) == "exited 5"
    assert rcrun("logs", "web").out == "once\nonce\n"


def test_start_of_one_that_runs_is_no_error(web):
    pid = web("inspect", "-f", "{{.State.Pid}}", "web").out
    assert web("start", "web").check().out == "web\n"
    assert web("inspect", "-f", "{{.State.Pid}}", "web").out == pid


def test_start_with_input(rcrun):
    rcrun("create", "-i", "--name", "web", *NO_NETWORK, "busybox", "cat").check()
    assert rcrun("start", "-ai", "web", input="data").check().stdout == b"data"


def test_stop_sends_the_signal_first(web):
    assert web("stop", "web").check().out == "web\n"
    assert status(web) == "exited 7"
    assert web("logs", "web").out == "ready\ntold\n"
    assert web("stop", "web").check().out == "web\n"


def test_stop_kills_after_its_time(rcrun):
    rcrun("run", "-d", "--name", "deaf", *NO_NETWORK, "busybox", "sleep", "100").check()
    begun = time.monotonic()
    rcrun("stop", "-t", "1", "deaf").check()
    assert 0.9 < time.monotonic() - begun < 60
    assert status(rcrun, "deaf") == "exited 137"


def test_stop_signal_of_the_container(rcrun):
    script = "trap 'exit 4' USR1; echo ready; while :; do sleep 0.05; done"
    rcrun(
        "run", "-d", "--name", "web", "--stop-signal", "USR1", *NO_NETWORK, "busybox", "sh", "-c", script
    ).check()  # fmt: skip
    wait_for(lambda: rcrun("logs", "web").out == "ready\n")
    rcrun("stop", "web").check()
    assert status(rcrun) == "exited 4"


def test_kill(web):
    assert web("kill", "-s", "TERM", "web").check().out == "web\n"
    assert web("wait", "web").out == "7\n"
    got = web("kill", "web")
    assert got.status == 1
    assert 'cannot kill container "web": container ' in got.err
    assert "is not running" in got.err
    assert web("kill", "-s", "NOSUCH", "web").status == 1


def test_kill_has_ended_it_when_it_returns(web):
    web("kill", "web").check()
    assert status(web) == "exited 137"


def test_restart(web):
    pid = web("inspect", "-f", "{{.State.Pid}}", "web").out
    assert web("restart", "web").check().out == "web\n"
    assert status(web) == "running 0"
    assert web("inspect", "-f", "{{.State.Pid}}", "web").out != pid


def test_rm_refuses_one_that_runs(web):
    got = web("rm", "web")
    assert got.status == 1
    assert "container is running" in got.err
    assert web("rm", "-f", "web").check().out == "web\n"


def test_several_names_go_on_after_an_error(rcrun):
    for name in ("one", "two"):
        rcrun("create", "--name", name, *NO_NETWORK, "busybox", "true").check()
    got = rcrun("rm", "one", "none", "two")
    assert (got.status, got.out) == (1, "one\ntwo\n")
    assert got.err.splitlines()[0] == "rcrun: error: no such container: none"


def test_rm_f_of_what_is_not_there_is_silent(rcrun):
    got = rcrun("rm", "-f", "none").check()
    assert (got.out, got.err) == ("", "")


@pytest.mark.parametrize(
    "verb", ["start", "stop", "kill", "rm", "wait", "logs", "attach", "port", "top"]
)
def test_what_is_not_there(rcrun, verb):
    got = rcrun(verb, "none")
    assert (got.status, got.out) == (1, "")
    assert "no such container: none" in got.err


def test_wait_prints_each_code(rcrun):
    for code in (0, 3):
        name = f"c{code}"
        rcrun(
            "run", "-d", "--name", name, *NO_NETWORK, "busybox", "sh", "-c", f"exit {code}"
        ).check()
    assert rcrun("wait", "c0", "c3").check().out == "0\n3\n"


def test_wait_of_one_that_is_removed_when_it_ends(rcrun):
    script = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done"
    rcrun("run", "-d", "--rm", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    wait_for(lambda: rcrun("logs", "web").out == "ready\n")
    with rcrun.popen("wait", "web", stdout=-1) as process:
        wait_for(lambda: holds(process.pid, "socket:"))
        rcrun("kill", "-s", "TERM", "web").check()
        assert process.stdout.read() == b"6\n"
    assert rcrun("ps", "-aq").out == ""


def test_rename(web):
    web("rename", "web", "shop").check()
    assert web("ps", "--format", "{{.Names}}").out == "shop\n"
    assert web("inspect", "web").status == 1
    web("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    got = web("rename", "shop", "web")
    assert got.status == 1
    assert "already in use" in got.err


def test_a_renamed_container_does_not_take_anothers_name_with_it(rcrun):
    rcrun("run", "-d", "--rm", "--name", "old", *NO_NETWORK, "busybox", "sleep", "100").check()
    rcrun("rename", "old", "new").check()
    rcrun("run", "-d", "--name", "old", *NO_NETWORK, "busybox", "sleep", "100").check()
    rcrun("stop", "-t", "0", "new").check()
    assert rcrun("ps", "--format", "{{.Names}}").out == "old\n"
    rcrun("run", "-d", "--name", "new", *NO_NETWORK, "busybox", "sleep", "100").check()


def test_attach_joins_the_output_and_gives_the_status(web):
    with web.popen("attach", "web", stdout=-1) as process:
        # what somebody in there says until it is heard
        web(
            "exec", "-d", "web", "sh", "-c", "while echo tick >/proc/1/fd/1; do sleep 0.05; done"
        ).check()
        assert process.stdout.readline() == b"tick\n"
        web("kill", "-s", "TERM", "web").check()
        assert process.stdout.read().replace(b"tick\n", b"") == b"told\n"
        assert process.wait(60) == 7


def test_attach_needs_one_that_runs(rcrun):
    rcrun("create", "--name", "web", *NO_NETWORK, "busybox", "true").check()
    got = rcrun("attach", "web")
    assert got.status == 1
    assert "start the container first" in got.err


def test_ids_may_be_shortened(web):
    container_id = web("ps", "-q", "--no-trunc").out.strip()
    assert web("stop", "-t", "0", container_id[:6]).check().out == f"{container_id[:6]}\n"


def test_prune(web):
    web("create", "--name", "idle", *NO_NETWORK, "busybox", "true").check()
    got = web("container", "prune", "-f").check()
    assert got.out.startswith("Deleted Containers:\n")
    assert web("ps", "-a", "--format", "{{.Names}}").out == "web\n"


def test_rm_f_names_those_that_remove_themselves(rcrun):
    names = ["one", "two", "three"]
    for name in names:
        rcrun("run", "-d", "--rm", "--name", name, *NO_NETWORK, "busybox", "sleep", "100").check()
    assert rcrun("rm", "-f", *names).check().out.split() == names
    assert rcrun("ps", "-aq").out == ""
