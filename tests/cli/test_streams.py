"""Pipes, files and signals around a foreground `run` and `exec`."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

RUN = ("run", "--rm", "--network", "none")
TRAP = "trap 'echo got; exit 9' TERM HUP INT; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def service(rcrun):
    rcrun("run", "-d", "--name", "web", "--network", "none", "busybox", "sleep", "100").check()
    return rcrun


def shell(rcrun, script, **options):
    """A line of a script, with `rcrun` on the PATH."""
    return rcrun.account.run("bash", "-c", script, env=rcrun.env, **options)


@pytest.mark.parametrize("words", [(*RUN, "-i", "busybox"), ("exec", "-i", "web")])
def test_binary_data_both_ways(service, words):
    data = os.urandom(2_000_000) + bytes(range(256))
    got = service(*words, "cat", input=data)
    assert (got.status, got.stdout == data, got.err) == (0, True, "")


@pytest.mark.parametrize("words", [RUN, ("exec",)])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(service, words, closed):
    target = "web" if words[0] == "exec" else "busybox"
    line = f"{' '.join(words)} -i {target} sh -c 'cat; echo out; echo err >&2; exit 3'"
    got = shell(service, f"rcrun {line} {closed}", timeout=60)
    assert got.status == 3
    assert got.out == ("" if ">&- " in closed or closed == ">&-" else "out\n")
    assert got.err == ("" if "2>&-" in closed else "err\n")


def test_a_file_has_the_containers_bytes_and_no_other(rcrun):
    path = rcrun.account.new_dir("out") / "file"
    line = (
        f"rcrun {' '.join(RUN)} busybox sh -c 'printf \"a\\0b\\r\\n\"' > {path} && od -An -c {path}"
    )
    assert shell(rcrun, line).check().out.split() == ["a", "\\0", "b", "\\r", "\\n"]


def test_a_file_is_appended_to(rcrun):
    path = rcrun.account.new_dir("out") / "file"
    line = f"echo one > {path}; for n in two three; do rcrun {' '.join(RUN)} busybox echo $n >> {path}; done; cat {path}"
    assert shell(rcrun, line).check().out == "one\ntwo\nthree\n"


def test_input_that_is_not_asked_for_stays_the_shells(service):
    """A loop over lines goes on: without -i nobody reads its input."""
    line = f"printf '1\\n2\\n' | while read n; do rcrun {' '.join(RUN)} busybox echo run $n; rcrun exec web echo exec $n; done"
    assert shell(service, line).check().out == "run 1\nexec 1\nrun 2\nexec 2\n"


def test_the_rest_of_the_input_after_an_early_end(rcrun):
    line = f"printf 'first\\nsecond\\n' | rcrun {' '.join(RUN)} -i busybox head -n 1"
    assert shell(rcrun, line).check().out == "first\n"


def test_a_pipeline_of_two(rcrun):
    words = " ".join(RUN)
    line = f"rcrun {words} busybox seq 1 1000 | rcrun {words} -i busybox wc -l"
    assert shell(rcrun, line).check().out == "1000\n"


def test_stdin_alone(rcrun):
    got = rcrun(*RUN, "-i", "-a", "stdin", "busybox", "sh", "-c", "cat; exit 5", input="data")
    assert (got.status, len(got.out), got.err) == (5, 65, "")  # the id, as nobody joins the output


def test_a_full_disk_behind_the_output(rcrun):
    got = shell(rcrun, f"rcrun {' '.join(RUN)} busybox echo x > /dev/full")
    assert got.status == 125
    assert "cannot write standard output: no space left on device" in got.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_are_passed_on_and_the_status_is_the_containers(rcrun, number):
    process = rcrun.popen(*RUN, "busybox", "sh", "-c", TRAP, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == b"got\n"
        assert process.wait(60) == 9


def test_a_signal_that_ends_the_command(rcrun):
    process = rcrun.popen(
        *RUN, "--init", "busybox", "sh", "-c", "echo ready; exec sleep 100", stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


def test_without_sig_proxy_the_client_alone_ends(rcrun):
    words = (*RUN, "--name", "web", "--sig-proxy=false", "busybox", "sh", "-c", TRAP)
    process = rcrun.popen(*words, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    assert rcrun("ps", "--format", "{{.Names}}").out == "web\n"


def test_an_ignored_signal_stays_ignored(rcrun):
    """nohup, and what a shell starts in the background."""
    line = f"trap '' HUP; exec rcrun {' '.join(RUN)} --name web busybox sh -c \"{TRAP}\""
    process = rcrun.account.popen("bash", "-c", line, env=rcrun.env, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 9


def test_exec_ends_with_its_client_alone(service):
    """As docker's: a signal to the client of exec does not reach the command."""
    process = service.popen("exec", "web", "sh", "-c", TRAP, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    assert "sleep 0.05" in service("top", "web").out


def test_a_launcher_on_a_path_with_spaces(rcrun):
    folder = rcrun.account.new_dir("a b")
    (folder / "my rcrun").symlink_to(bin_dir() / "rcrun")
    got = rcrun.account.run(folder / "my rcrun", *RUN, "busybox", "echo", "a  b", env=rcrun.env)
    assert got.check().out == "a  b\n"
