"""kill -9 before each system call that changes the disk: after every one of them the store makes sense."""

from __future__ import annotations

import os

import pytest

from accounts import bin_dir

NO_NETWORK = ("--network", "none")
CALLS = (
    "mkdir",
    "rename",
    "symlink",
    "unlink",
    "rmdir",
    "flock",
    "write",
    "fdatasync",
    "memfd_create",
    "clone,vfork",
)
MOST = 40


def kill_points(rcrun, *words, calls=CALLS):
    """Run the command again and again, each time killed before another call; how far it got is yielded."""
    launcher = bin_dir() / "rcrun"
    for call in calls:
        for number in range(1, MOST):
            got = rcrun.account.run(
                "strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                "-e", f"inject={call}:signal=SIGKILL:when={number}", launcher, *words, env=rcrun.env,
            )  # fmt: skip
            killed = got.status in (-9, 137)
            yield f"{call} {number}" if killed else ""
            if not killed:
                break
        else:
            raise AssertionError(f"more than {MOST} {call}")


def names(rcrun):
    """What ps shows; all of it can be inspected, nothing runs whose process is not there, and the store has no fault."""
    check = rcrun("system", "check", "--quick")
    assert check.status == 0, check.out
    rows = [
        line.split()
        for line in rcrun("ps", "-a", "--format", "{{.Names}} {{.State}} {{.Pid}}")
        .check()
        .out.splitlines()
    ]
    for name, state, pid in rows:
        rcrun("inspect", name).check()
        assert state != "running" or os.path.exists(f"/proc/{pid}")
    return {name: state for name, state, _ in rows}


def left(rcrun):
    folders = [f"{rcrun.store_dir}/{name}" for name in ("containers", "names", "trash")]
    return rcrun.account.run("ls", "-A", *folders).out.split()


def clean(rcrun):
    """What a user would do, and the age that makes a half-made directory a leftover."""
    rcrun("rm", "-fa").check()
    folder = f"{rcrun.store_dir}/containers"
    rcrun.account.run("sh", "-c", f"touch -c -d @0 {folder}/* 2>/dev/null; true").check()
    rcrun("container", "prune", "-f").check()
    assert [word for word in left(rcrun) if not word.endswith(":")] == []


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace")
def test_create(rcrun):
    create = ("create", "--name", "web", *NO_NETWORK, "busybox", "true")
    points = set()
    for point in kill_points(rcrun, *create):
        points.add(point)
        shown = names(rcrun)
        assert set(shown) <= {"web"}, point
        assert rcrun(*create).status == (125 if shown else 0), point
        clean(rcrun)
    assert len(points) > 15


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace")
def test_run(rcrun):
    words = ("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100")
    for point in kill_points(rcrun, *words):
        assert names(rcrun).get("web", "") in ("", "created", "running"), point
        clean(rcrun)


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace")
def test_start_of_one_that_ended(rcrun):
    rcrun("run", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "exit 3")
    points = set()
    for point in kill_points(rcrun, "start", "web"):
        points.add(point)
        assert rcrun("wait", "web").out == "3\n", point
        assert names(rcrun) == {"web": "exited"}, point
    assert len(points) > 5
    clean(rcrun)


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace")
def test_rm(rcrun):
    run = ("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100")
    rcrun(*run).check()
    for point in kill_points(rcrun, "rm", "-f", "web"):
        assert set(names(rcrun)) <= {"web"}, point
        clean(rcrun)
        rcrun(*run).check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace")
def test_rename(rcrun):
    create = ("create", *NO_NETWORK, "busybox", "true")
    rcrun("create", "--name", "old", *create[1:]).check()
    points = set()
    for point in kill_points(rcrun, "rename", "old", "new"):
        points.add(point)
        (shown,) = names(rcrun)
        other = "new" if shown == "old" else "old"
        rcrun("create", "--name", other, *create[1:]).check()
        clean(rcrun)
        rcrun("create", "--name", "old", *create[1:]).check()
    assert len(points) > 4


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace")
def test_artifacts_and_lists(fresh_rcrun):
    """What was there stays whole until it is replaced, and nothing is left of what was begun."""
    rcrun = fresh_rcrun()
    top = rcrun.account.new_dir("files")
    for name in ("old", "new"):
        (top / name).write_text(name)
    rcrun("artifact", "add", "--file-type", "a/b", "a:1", top / "old").check()
    rcrun("manifest", "create", "list").check()
    before = rcrun("artifact", "inspect", "a:1").check().out
    add = ("manifest", "add", "--artifact", "list", str(top / "old"))
    replace = ("artifact", "add", "--replace", "--file-type", "a/b", "a:1", str(top / "new"))
    for words in (add, replace):
        points = set()
        for point in kill_points(rcrun, *words, calls=("rename",)):
            points.add(point)
            assert rcrun("artifact", "extract", "a:1", top / "out").status == 0, point
            assert (top / "out").read_text() in ("old", "new"), point
            assert rcrun("manifest", "exists", "list").status == 0, point
        assert len(points) > 3
        assert rcrun("system", "check").status == 0
    assert rcrun("artifact", "inspect", "a:1").check().out != before
    rcrun("artifact", "rm", "-a").check()
    rcrun("manifest", "rm", "list").check()
    left_over = os.listdir(rcrun.store_dir / "blobs/sha256")
    assert [name for name in left_over if not name.endswith("~")] == []  # those go after an hour
