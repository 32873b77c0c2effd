"""Containers chosen by --all, --latest, --filter and --cidfile, as podman has them."""

from __future__ import annotations

import subprocess

import pytest

from waiting import wait_for, waits

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
QUICK = ("--network", "none", "--stop-signal", "KILL")


@pytest.fixture
def three(rcrun):
    """`one` and `two` run, `three` was created, in this order."""
    rcrun.ids = {}
    for name, verb in (("one", ["run", "-d"]), ("two", ["run", "-d"]), ("three", ["create"])):
        words = [*verb, "--name", name, "--label", f"n={name}", *QUICK, "busybox", "sleep", "100"]
        rcrun.ids[name] = rcrun(*words).check().out.strip()
    return rcrun


def names(rcrun, *words):
    return rcrun("ps", "--format", "{{.Names}}", *words).check().out.split()


def test_all_means_those_that_it_can_be_done_to(three):
    one, two, other = (three.ids[name] for name in ("one", "two", "three"))
    assert three("kill", "-s", "USR1", "-a").check().out == f"{two}\n{one}\n"
    assert three("stop", "--all", "-t", "0").check().out == f"{two}\n{one}\n"
    assert names(three) == []
    assert three("stop", "-a").check().out == ""
    assert sorted(three("start", "--all").check().out.split()) == sorted([one, two, other])
    assert three("start", "--all").check().out == ""
    assert sorted(three("restart", "-a", "-t", "0").check().out.split()) == sorted(
        [one, two, other]
    )
    assert sorted(three("rm", "-f", "-a").check().out.split()) == sorted([one, two, other])


def test_the_latest_is_the_last_created(three):
    other = three.ids["three"]
    assert three("start", "-l").check().out == f"{other}\n"
    assert three("inspect", "-l", "-f", "{{.Name}}").check().out == "/three\n"
    assert three("container", "inspect", "--latest", "-f", "{{.Id}}").check().out == f"{other}\n"
    assert three("restart", "--running", "-t", "0").check().out.split()[0] == other
    assert three("stop", "--latest", "-t", "0").check().out == f"{other}\n"
    assert three("diff", "-l").check().out == ""
    assert three("port", "-l").check().out == ""
    assert three("rm", "--latest").check().out == f"{other}\n"
    assert three("kill", "-l").check().out == f"{three.ids['two']}\n"


def test_filters_choose_among_all_or_among_names(three):
    two = three.ids["two"]
    assert three("stop", "-t", "0", "--filter", "label=n=two").check().out == f"{two}\n"
    assert names(three) == ["one"]
    assert three("start", "-f", "status=exited").check().out == f"{two}\n"
    assert three("rm", "-f", "--filter", "label=n=one", "two", "one").check().out == "one\n"
    assert names(three, "-a") == ["three", "two"]
    assert three("rm", "--filter", "name=nothing").check().out == ""


def test_ids_in_files(three):
    folder = three.account.new_dir("cid")
    path = str(folder / "id")
    three(
        "run", "-d", "--cidfile", path, "--name", "four", *QUICK, "busybox", "sleep", "100"
    ).check()
    made = three.account.run("cat", path).out.strip()
    assert three("stop", "--cidfile", path, "-t", "0").check().out == f"{made}\n"
    assert three("rm", "--cidfile", path).check().out == f"{made}\n"
    gone = three("rm", "--cidfile", path)
    assert (gone.status, gone.out) == (1, "")
    assert three("rm", "-i", "--cidfile", path).check().out == ""
    missing = three("stop", "--cidfile", f"{path}.no")
    assert missing.status == 1
    assert f'there is no file "{path}.no"' in missing.err
    assert three("stop", "-i", "--cidfile", f"{path}.no").check().out == ""


def test_a_missing_one_can_be_ignored(three):
    assert three("stop", "-i", "-t", "0", "nosuch", "one").check().out == "one\n"
    assert three("rm", "--ignore", "nosuch", "one").check().out == "one\n"
    assert three("rm", "--ignore", "two").status == 1  # it runs


def test_rm_waits_as_long_as_it_is_told(rcrun):
    words = ["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"]
    rcrun("run", "-d", "--name", "polite", "--network", "none", "busybox", *words).check()
    waiting = rcrun.popen("wait", "polite", stdout=subprocess.PIPE)
    wait_for(lambda: "ready" in rcrun("logs", "polite").out and waits(waiting.pid, "socket:"))
    assert rcrun("rm", "-f", "-t", "60", "polite").check().out == "polite\n"
    out, _ = waiting.communicate(timeout=60)
    assert out.strip() in ("5", b"5")
    assert rcrun("rm", "-t", "3", "nosuch").status == 1


BAD = [
    ("stop", "stop needs at least one container"),
    ("start", "start needs at least one container"),
    ("kill", "kill needs at least one container"),
    ("pause", "pause needs at least one container"),
    ("attach", "attach needs a container"),
    ("port", "port takes a container"),
    ("inspect", "inspect needs at least one name"),
    ("stop -a one", "cannot be used together"),
    ("stop -a -l", "cannot be used together"),
    ("rm -l one", "there are no links to remove"),
    ("rm --latest one", "cannot be used together"),
    ("port -a one", "--all goes without"),
    ("inspect -l --type image", "--latest is a container"),
    ("start -a one two", "cannot start and attach multiple"),
    ("stop --filter nosuch=1", 'invalid filter "nosuch=1"'),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_what_makes_no_sense_is_refused(rcrun, line, message):
    got = rcrun(*line.split())
    assert (got.status, got.out) == (1, "")
    assert message in got.err


def test_latest_of_nothing(fresh_rcrun):
    got = fresh_rcrun()("stop", "-l")
    assert got.status == 1
    assert "there is no latest one" in got.err
