"""run: statuses, streams, what is left behind (CONVENTIONS of docker)."""

from __future__ import annotations

import os
import signal

import pytest

from waiting import wait_for

NO_NETWORK = ("--network", "none")


def nothing_is_left(rcrun):
    assert rcrun("ps", "-aq").check().out == ""
    for folder in ("containers", "names"):
        assert rcrun.account.run("ls", "-A", f"{rcrun.store_dir}/{folder}").check().out == ""
    # trees are removed after the end was told
    wait_for(lambda: os.listdir(rcrun.store_dir / "trash") == [])


def test_streams_stay_apart_and_nothing_else_is_printed(rcrun):
    got = rcrun("run", "--rm", *NO_NETWORK, "busybox", "sh", "-c", "echo out; echo err >&2").check()
    assert (got.stdout, got.stderr) == (b"out\n", b"err\n")
    nothing_is_left(rcrun)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143, ""),
        (["nosuchthing"], 127, '"nosuchthing": executable file not found in $PATH'),
        (["/no/such/thing"], 127, "No such file or directory"),
        (["/etc"], 126, "Is a directory"),
        (["/etc/passwd"], 126, "Permission denied"),
    ],
)
def test_exit_statuses(rcrun, words, status, text):
    got = rcrun("run", "--rm", *NO_NETWORK, "busybox", *words)
    assert got.status == status, got
    assert got.out == ""
    assert text in got.err
    nothing_is_left(rcrun)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--no-such-option", "busybox"], "no such option"),
        (["--pull", "never", "nosuchimage:1"], "nosuchimage:1"),
        (["--name", "-x", "busybox", "true"], "invalid container name"),
        (["-e", "=x", "busybox", "true"], "=x"),
        (["-u", "nosuchuser", "busybox", "true"], 'unable to find user "nosuchuser"'),
    ],
)
def test_errors_of_the_engine_are_125(rcrun, words, text):
    got = rcrun("run", *NO_NETWORK, *words)
    assert got.status == 125, got
    assert got.out == ""
    assert text in got.err.lower() if text.islower() else text in got.err
    nothing_is_left(rcrun)


def test_input_is_passed_on_with_i_only(rcrun):
    command = ("busybox", "cat")
    assert rcrun("run", "-i", "--rm", *NO_NETWORK, *command, input="data").check().stdout == b"data"
    assert rcrun("run", "--rm", *NO_NETWORK, *command, input="data").check().stdout == b""


def test_much_output_arrives_whole(rcrun):
    got = rcrun(
        "run", "--rm", *NO_NETWORK, "busybox", "sh", "-c", "dd if=/dev/zero bs=65536 count=256 2>/dev/null"
    )  # fmt: skip
    assert len(got.check().stdout) == 256 * 65536


def test_detached_prints_the_id_and_runs_on(rcrun):
    got = rcrun("run", "-d", *NO_NETWORK, "--name", "web", "busybox", "sleep", "100").check()
    container_id = got.out.strip()
    assert len(container_id) == 64
    assert got.err == ""
    assert rcrun("ps", "-q", "--no-trunc").out.split() == [container_id]
    rcrun("rm", "-f", "web").check()
    nothing_is_left(rcrun)


def test_a_detached_start_that_fails_takes_its_volume_along(rcrun):
    got = rcrun("run", "-d", "--rm", "-v", "/data", *NO_NETWORK, "busybox", "nosuchthing")
    assert (got.status, got.out) == (127, "")
    assert rcrun("ps", "-aq").out == rcrun("volume", "ls", "-q").out == ""


def test_detached_with_a_command_that_is_not_there(rcrun):
    got = rcrun("run", "-d", *NO_NETWORK, "--name", "web", "busybox", "nosuchthing")
    assert got.status == 127
    assert rcrun("ps", "-a", "--format", "{{.Names}} {{.Status}}").out == "web Created\n"
    error = rcrun("inspect", "-f", "{{.State.Error}}", "web").out
    assert "executable file not found" in error


def test_a_name_in_use_is_refused_and_the_holder_stays(rcrun):
    first = rcrun("run", "-d", *NO_NETWORK, "--name", "web", "busybox", "sleep", "100").check()
    got = rcrun("run", "-d", *NO_NETWORK, "--name", "web", "busybox", "sleep", "100")
    assert got.status == 125
    assert f'name "web" is already in use by container "{first.out.strip()}"' in got.err
    assert len(rcrun("ps", "-aq").out.split()) == 1


def test_rm_of_a_detached_container_happens_when_it_ends(rcrun):
    got = rcrun(
        "run", "-d", "--rm", *NO_NETWORK, "--name", "web", "busybox", "sleep", "100"
    ).check()
    assert rcrun("stop", "-t", "0", "web").check().out == "web\n"
    assert rcrun("inspect", got.out.strip()).status == 1
    nothing_is_left(rcrun)


def test_cidfile(rcrun, tmp_path):
    path = rcrun.account.new_dir("cid") / "cid"
    got = rcrun("run", "-d", "--cidfile", path, *NO_NETWORK, "busybox", "true").check()
    assert rcrun.account.run("cat", path).out == got.out.strip()
    again = rcrun("run", "-d", "--cidfile", path, *NO_NETWORK, "busybox", "true")
    assert again.status == 125
    assert "container ID file found" in again.err


def test_an_image_is_looked_for_and_said_so_before_it_is_pulled(rcrun):
    got = rcrun("run", "--rm", "localhost:1/nosuch:1", "true")
    assert got.status == 125
    assert got.err.startswith("Unable to find image 'localhost:1/nosuch:1' locally\n")
    got = rcrun("run", "localhost:1/nosuch", "true")
    assert got.err.startswith(
        "Unable to find image 'localhost:1/nosuch:latest' locally\nrcrun: error: "
    )
    assert got.out == ""


def test_a_directory_as_root(rcrun):
    root = rcrun.account.new_dir("root")
    rcrun.account.run("mkdir", "-p", root / "bin").check()
    rcrun.account.run("cp", "/bin/busybox", root / "bin/sh").check()
    got = rcrun(
        "run", "--rm", *NO_NETWORK, "--rootfs", root, "sh", "-c", "echo inside; echo > /made"
    )
    assert got.check().out == "inside\n"
    assert rcrun.account.run("test", "-f", root / "made").status == 0


def test_volumes_begin_with_the_images_files_and_outlive_the_container(rcrun):
    run = ("run", "--rm", *NO_NETWORK, "-v", "outliving:/etc")
    rcrun(*run, "busybox", "sh", "-c", "test -f /etc/passwd && echo more > /etc/more").check()
    assert rcrun(*run, "busybox", "cat", "/etc/more").check().out == "more\n"


def test_anonymous_volumes_go_with_rm(rcrun):
    before = rcrun.account.run("ls", f"{rcrun.store_dir}/volumes").out
    rcrun("run", "--rm", *NO_NETWORK, "-v", "/data", "busybox", "touch", "/data/x").check()
    rcrun("run", "--name", "web", *NO_NETWORK, "-v", "/data", "busybox", "touch", "/data/x").check()
    rcrun("rm", "-v", "web").check()
    assert rcrun.account.run("ls", f"{rcrun.store_dir}/volumes").out == before


def test_the_clients_signals_reach_the_container(rcrun):
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    process = rcrun.popen("run", "--rm", *NO_NETWORK, "busybox", "sh", "-c", script, stdout=-1)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.stdout.read() == b"got\n"
        assert process.wait(60) == 9


def test_a_killed_client_leaves_the_container_running(rcrun):
    process = rcrun.popen(
        "run", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo ready; sleep 100", stdout=-1
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        process.wait(60)
        assert rcrun("inspect", "-f", "{{.State.Status}}", "web").out == "running\n"
        assert rcrun("stop", "-t", "0", "web").check()


def test_a_reader_that_goes_away_ends_the_client_and_not_the_container(rcrun):
    reader, writer = os.pipe()
    os.close(reader)
    script = "echo x; sleep 0.2; exit 3"
    process = rcrun.popen(
        "run", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script, stdout=writer
    )
    os.close(writer)
    assert process.wait(60) == -signal.SIGPIPE
    assert rcrun("wait", "web").check().out == "3\n"
    assert rcrun("logs", "web").check().out == "x\n"
