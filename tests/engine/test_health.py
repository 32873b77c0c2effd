"""--health-*: checks that the monitor runs, what they do to the status, and what they cannot do to the monitor."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from waiting import wait_for

NO_NETWORK = ("--network", "none")
QUICK = ("--health-interval", "100ms", "--health-retries", "2")


def run(rcrun, check, *options, name="web", command=("sleep", "100")):
    words = ["--health-cmd", check, *QUICK, *options, *NO_NETWORK, "busybox", *command]
    return rcrun("run", "-d", "--name", name, *words).check()


def tell(rcrun, template, name="web"):
    return rcrun("inspect", "-f", template, name).check().out.strip()


def health(rcrun, name="web"):
    return json.loads(tell(rcrun, "{{json .State.Health}}", name))


def is_(rcrun, word, name="web"):
    return lambda: health(rcrun, name)["Status"] == word


def rests(rcrun):
    """Five times the interval without a check."""
    seen = health(rcrun)["Log"]
    time.sleep(0.5)
    return health(rcrun)["Log"] == seen


def last(rcrun):
    return health(rcrun)["Log"][-1]


def has_log(rcrun, count=1):
    return lambda: len(health(rcrun)["Log"]) >= count


def test_healthy(rcrun):
    run(rcrun, "echo fine")
    wait_for(is_(rcrun, "healthy"))
    assert rcrun("ps", "--format", "{{.Status}}").out.endswith(" (healthy)\n")
    assert rcrun("ps", "--format", "{{.HealthStatus}}").out == "healthy\n"
    assert rcrun("ps", "-q", "--filter", "health=healthy").out
    assert not rcrun("ps", "-q", "--filter", "health=unhealthy").out
    entry = last(rcrun)
    assert (entry["ExitCode"], entry["Output"]) == (0, "fine\n")
    assert entry["Start"][:4] == entry["End"][:4] == time.strftime("%Y")
    assert entry["Start"] < entry["End"]


def test_unhealthy_after_so_many_failures(rcrun):
    check = "while ! test -e /go; do sleep 0.05; done; echo broken >&2; exit 3"
    run(rcrun, check, "--health-retries", "20", "--health-timeout", "1m")
    assert health(rcrun)["Status"] == "starting"
    assert "(health: starting)" in rcrun("ps").out
    rcrun("exec", "web", "touch", "/go").check()
    wait_for(has_log(rcrun))
    wait_for(is_(rcrun, "unhealthy"))
    seen = health(rcrun)
    assert seen["FailingStreak"] >= 20
    assert {(entry["ExitCode"], entry["Output"]) for entry in seen["Log"]} == {(3, "broken\n")}
    assert rcrun("ps", "--format", "{{.Status}}").out.endswith(" (unhealthy)\n")


def test_it_recovers_and_five_entries_are_kept(rcrun):
    run(rcrun, "test -e /ok")
    wait_for(is_(rcrun, "unhealthy"))
    rcrun("exec", "web", "touch", "/ok").check()
    wait_for(is_(rcrun, "healthy"))
    assert health(rcrun)["FailingStreak"] == 0
    wait_for(lambda: [entry["ExitCode"] for entry in health(rcrun)["Log"]] == [0] * 5)


def test_failures_do_not_count_in_the_start_period(rcrun):
    run(rcrun, "exit 1", "--health-start-period", "5m", "--health-start-interval", "50ms")
    wait_for(has_log(rcrun, 4))
    assert (health(rcrun)["Status"], health(rcrun)["FailingStreak"]) == ("starting", 0)


def test_after_a_success_the_start_period_is_over(rcrun):
    run(rcrun, "test ! -e /bad", "--health-start-period", "30s")
    wait_for(is_(rcrun, "healthy"))
    rcrun("exec", "web", "touch", "/bad").check()
    wait_for(is_(rcrun, "unhealthy"))


def test_what_is_not_checked_has_no_health(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    assert tell(rcrun, "{{if .State.Health}}yes{{else}}no{{end}}") == "no"
    assert "Health" not in json.loads(tell(rcrun, "{{json .State}}"))
    assert rcrun("ps", "-q", "--filter", "health=none").out


def test_before_the_first_start_there_is_none(rcrun):
    rcrun("create", "--name", "web", "--health-cmd", "true", *NO_NETWORK, "busybox", "true").check()
    assert "Health" not in json.loads(tell(rcrun, "{{json .State}}"))
    check = json.loads(tell(rcrun, "{{json .Config.Healthcheck}}"))
    assert check == {"Test": ["CMD-SHELL", "true"]}


def test_the_end_is_unhealthy_and_the_next_start_starts_anew(rcrun):
    run(rcrun, "test -e /dev/shm/ok", "--health-retries", "1000")
    rcrun("exec", "web", "touch", "/dev/shm/ok").check()
    wait_for(is_(rcrun, "healthy"))
    rcrun("stop", "-t", "0", "web").check()
    assert health(rcrun)["Status"] == "unhealthy"
    assert "health" not in rcrun("ps", "-a", "--format", "{{.Status}}").out
    rcrun("start", "web").check()
    assert health(rcrun)["Status"] == "starting"
    rcrun("exec", "web", "touch", "/dev/shm/ok").check()
    wait_for(is_(rcrun, "healthy"))


def test_a_check_has_the_containers_environment_user_and_directory(rcrun):
    run(rcrun, 'echo "$A $PWD $(id -u) $0"', "-e", "A=b c", "-w", "/tmp", "-u", "1234")
    wait_for(has_log(rcrun))
    assert last(rcrun)["Output"] == "b c /tmp 1234 /bin/sh\n"


def test_a_check_is_in_the_container_as_exec_is(rcrun):
    run(
        rcrun,
        "hostname; cat /proc/1/comm; grep -c . /proc/self/status; grep Seccomp: /proc/self/status",
    )
    wait_for(has_log(rcrun))
    name, comm, _, seccomp = last(rcrun)["Output"].splitlines()
    assert (name, comm, seccomp.split()) == (tell(rcrun, "{{.Config.Hostname}}"), "sleep", ["Seccomp:", "2"])  # fmt: skip


def test_a_list_in_json_needs_no_shell(rcrun):
    run(rcrun, '["CMD", "echo", "$HOME"]')
    wait_for(has_log(rcrun))
    assert last(rcrun)["Output"] == "$HOME\n"


def test_a_command_that_is_not_there(rcrun):
    run(rcrun, '["nosuch"]')
    wait_for(is_(rcrun, "unhealthy"))
    assert last(rcrun)["ExitCode"] == 127
    assert '"nosuch": executable file not found' in last(rcrun)["Output"]


def test_one_that_hangs_is_killed(rcrun):
    run(rcrun, "echo begun; sleep 77", "--health-timeout", "200ms")
    wait_for(is_(rcrun, "unhealthy"))
    assert last(rcrun)["ExitCode"] == -1
    assert last(rcrun)["Output"] == "Health check exceeded timeout (200ms)"
    assert rcrun("stop", "-t", "0", "web").check()


def test_one_that_floods(rcrun):
    run(rcrun, "yes | head -c 3000000")
    wait_for(is_(rcrun, "healthy"))
    assert last(rcrun)["Output"] == "y\n" * 2048 + "..."


def test_one_that_never_stops_writing(rcrun):
    run(rcrun, "yes", "--health-timeout", "300ms")
    wait_for(is_(rcrun, "unhealthy"))
    assert rcrun("exec", "web", "echo", "here").check().out == "here\n"


def test_one_that_writes_anything(rcrun):
    run(rcrun, r"printf '\377\376a\0b\033[1m\342\202\254\355\240\200\042\134\t'")
    wait_for(has_log(rcrun))
    assert last(rcrun)["Output"] == '��a\0b\033[1m€���"\\\t'


def test_one_that_leaves_something_behind(rcrun):
    """It holds the pipe: nobody waits for it."""
    run(rcrun, "sleep 50 & echo left")
    wait_for(is_(rcrun, "healthy"))
    wait_for(has_log(rcrun, 3))
    assert last(rcrun)["Output"] == "left\n"


def test_the_containers_output_goes_on_meanwhile(rcrun):
    script = "while :; do echo line; sleep 0.02; done"
    run(rcrun, "sleep 99", "--health-timeout", "2m", command=("sh", "-c", script))
    wait_for(lambda: "sleep 99" in rcrun("exec", "web", "ps", "-o", "args").out)
    before = rcrun("logs", "web").out.count("line")
    wait_for(lambda: rcrun("logs", "web").out.count("line") > before + 3)


def test_nothing_is_left_when_the_monitor_is_killed_during_a_check(rcrun):
    run(rcrun, "sleep 88", "--health-timeout", "1m")
    wait_for(lambda: "sleep 88" in rcrun("exec", "web", "ps", "-o", "args").out)
    os.kill(int(tell(rcrun, "{{.State.ConmonPid}}")), signal.SIGKILL)
    wait_for(lambda: tell(rcrun, "{{.State.Status}}") == "exited")
    assert health(rcrun)["Status"] == "unhealthy"
    wait_for(lambda: not any("sleep\x0088" in text for text in command_lines()))


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text(errors="replace")
        except OSError:
            continue


def test_stop_during_a_check(rcrun):
    run(rcrun, "sleep 66", "--health-timeout", "2m")
    wait_for(lambda: "sleep 66" in rcrun("exec", "web", "ps", "-o", "args").out)
    begun = time.monotonic()
    rcrun("rm", "-f", "web").check()
    assert time.monotonic() - begun < 60


def test_update(rcrun):
    """At once, by a check now; what is not named stays. One that was started without a check has it from the next start on."""
    run(rcrun, "test -e /good || exit 7", "--health-interval", "1h", "--health-retries", "1")
    assert health(rcrun)["Log"] == []
    rcrun("update", "--health-timeout", "1m", "web").check()
    wait_for(is_(rcrun, "unhealthy"))
    assert (
        tell(rcrun, "{{.Config.Healthcheck.Timeout}} {{.Config.Healthcheck.Retries}}") == "1m0s 1"
    )
    rcrun("update", "--health-cmd", "echo new", "--health-interval", "50ms", "web").check()
    wait_for(lambda: [entry["Output"] for entry in health(rcrun)["Log"]] == ["new\n"] * 5)
    rcrun("update", "--no-healthcheck", "web").check()
    assert tell(rcrun, "{{json .State.Health}}") == "null"
    assert "has no health check" in rcrun("update", "--health-retries", "3", "web").err
    rcrun(
        "update",
        "--health-cmd",
        "exit 1",
        "--health-retries",
        "1",
        "--health-on-failure",
        "kill",
        "web",
    ).check()
    assert rcrun("wait", "web").check().out == "137\n"
    rcrun("run", "-d", "--name", "other", *NO_NETWORK, "busybox", "sleep", "100").check()
    told = rcrun("update", "--health-cmd", "true", "--health-interval", "50ms", "other").check()
    assert "it begins with the next start" in told.err
    rcrun("restart", "-t", "0", "other").check()
    wait_for(is_(rcrun, "healthy", "other"))


def test_no_healthcheck(rcrun):
    rcrun(
        "run", "-d", "--name", "web", "--no-healthcheck", *NO_NETWORK, "busybox", "sleep", "100"
    ).check()
    assert "Health" not in json.loads(tell(rcrun, "{{json .State}}"))
    assert json.loads(tell(rcrun, "{{json .Config.Healthcheck}}")) == {"Test": ["NONE"]}


def test_on_failure_kill(rcrun):
    run(rcrun, "exit 1", "--health-on-failure", "kill")
    wait_for(lambda: tell(rcrun, "{{.State.Status}} {{.State.ExitCode}}") == "exited 137")


def test_on_failure_kill_goes_with_a_restart_policy(rcrun):
    run(rcrun, "exit 1", "--health-on-failure", "kill", "--restart", "on-failure:1")
    wait_for(lambda: tell(rcrun, "{{.RestartCount}} {{.State.Status}}") == "1 exited")


def test_on_failure_stop(rcrun):
    script = "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.05; done"
    run(rcrun, "test ! -e /ready", "--health-on-failure", "stop", command=("sh", "-c", script))
    wait_for(lambda: tell(rcrun, "{{.State.Status}} {{.State.ExitCode}}") == "exited 9")


def test_on_failure_restart(rcrun):
    script = "echo begun; trap 'exit 9' TERM; while :; do sleep 0.05; done"
    run(rcrun, "exit 1", "--health-on-failure", "restart", command=("sh", "-c", script))
    wait_for(lambda: rcrun("logs", "web").out.count("begun") >= 2)
    rcrun("rm", "-f", "web").check()


def test_an_images_check(rcrun):
    """It comes with a commit, in OCI's form, too; --no-healthcheck and options change it."""
    run(rcrun, "echo of the image")
    rcrun("commit", "--format", "oci", "web", "checked").check()
    rcrun("rm", "-f", "web").check()
    try:
        rcrun("run", "-d", "--name", "web", *NO_NETWORK, "checked").check()
        wait_for(is_(rcrun, "healthy"))
        assert last(rcrun)["Output"] == "of the image\n"
        words = ["run", "-d", "--name", "other", "--health-retries", "9", *NO_NETWORK, "checked"]
        rcrun(*words).check()
        check = json.loads(tell(rcrun, "{{json .Config.Healthcheck}}", "other"))
        assert (check["Test"], check["Retries"]) == (["CMD-SHELL", "echo of the image"], 9)
        rcrun("run", "-d", "--name", "third", "--no-healthcheck", *NO_NETWORK, "checked").check()
        assert "Health" not in json.loads(tell(rcrun, "{{json .State}}", "third"))
    finally:
        rcrun("rm", "-f", "web", "other", "third")
        rcrun("rmi", "checked").check()


@pytest.mark.requires("userns", "overlay", "subids")
def test_a_paused_container_is_not_checked(delegated_account, shared_stores):
    rcrun = shared_stores(delegated_account)
    try:
        run(rcrun, "echo $(cat /proc/self/cgroup)")
        wait_for(has_log(rcrun))
        rcrun("pause", "web").check()
        wait_for(lambda: rests(rcrun))  # what had ended before is written, and then nothing
        seen = health(rcrun)["Log"]
        assert "(Paused)" in rcrun("ps", "--format", "{{.Status}}").out
        rcrun("unpause", "web").check()
        wait_for(lambda: health(rcrun)["Log"] != seen)
        assert health(rcrun)["Status"] == "healthy"
    finally:
        rcrun("rm", "-f", "web")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--no-healthcheck", "--health-cmd", "true"], "--no-healthcheck and --health-cmd"),
        (["--health-interval", "1s"], "--health-interval needs a health check"),
        (["--health-cmd", "true", "--health-interval", "1us"], "it cannot be less than 1ms"),
        (["--health-cmd", "true", "--health-timeout", "soon"], '--health-timeout: invalid duration "soon"'),
        (["--health-cmd", "true", "--health-retries", "x"], 'invalid --health-retries "x"'),
        (["--health-cmd", "true", "--health-on-failure", "x"], 'invalid --health-on-failure "x"'),
        (["--health-cmd", "true", "--health-on-failure", "restart", "--restart", "always"], "conflicting"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_what_is_refused(rcrun, words, reason):
    got = rcrun("run", *words, *NO_NETWORK, "busybox", "true")
    assert got.status == 125
    assert reason in got.err
