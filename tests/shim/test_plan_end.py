"""What follows the end of a container, and `session work`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from accounts import DelegatedAccount
from rcrun.kernel.shim import encode_plan
from shim.plans import PATH, PROC, Shim, is_alive, parent_of, script, whole_json
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")


def own(shim: Shim, path: Path) -> Path:
    subprocess.run(["chown", "-hR", f"{shim.account.uid}:{shim.account.gid}", path], check=True)
    return path


def tree(shim: Shim, name: str) -> Path:
    """With what makes a tree hard to remove."""
    top = shim.dir / name
    (top / "closed/inner/deep").mkdir(parents=True)
    (top / "closed/inner/file").write_text("x")
    (top / "out").symlink_to(shim.dir / "kept")
    (top / "dangling").symlink_to("/no/where")
    os.mkfifo(top / "fifo")
    own(shim, top)
    (top / "closed/inner").chmod(0o500)
    (top / "closed").chmod(0)
    (shim.dir / "kept").mkdir(exist_ok=True)
    (shim.dir / "kept/file").touch()
    return top


# ---- after the end


def test_the_order_of_the_end(
    shim: Shim, files: dict[str, Path], detached: list[list[str]]
) -> None:
    note = script(
        shim.dir / "note",
        f"test -e {files['exit']} && echo $1 $(ls {shim.dir}) >>{shim.dir}/order",
    )
    first = tree(shim, "first")
    (shim.dir / "name").symlink_to("mine")
    after = [
        ["remove-tree", str(shim.dir / "moved")],
        ["run", note, "one"],
        ["unlink", str(shim.dir / "name"), "another's"],
        ["run", note, "two"],
        ["unlink", str(shim.dir / "name"), "mine"],
        ["rename", str(first), str(shim.dir / "moved")],
        ["run", note, "three"],
        ["unlink", str(shim.dir / "absent")],
        ["rename", str(shim.dir / "absent"), str(shim.dir / "other")],
    ]
    shim.run(shim.plan(settings=detached, after=after))
    wait_for(lambda: not (shim.dir / "moved").exists() and not first.exists())
    lines = [line.split() for line in (shim.dir / "order").read_text().splitlines()]
    assert [line[0] for line in lines] == ["one", "two", "three"]
    assert ["name" in line for line in lines] == [True, True, False]
    assert ["moved" in line for line in lines] == [False, False, True]
    assert (shim.dir / "kept/file").exists()


def test_a_program_at_the_end_may_fail(shim: Shim) -> None:
    after = [
        ["run", "/bin/sh", "-c", "echo said; exit 3"],
        ["run", "/no/program"],
        ["unlink", str(shim.dir / "x")],
    ]
    (shim.dir / "x").touch()
    outcome = shim.run(shim.plan(end=[PATH, ["exec", "sh", "-c", "exit 5"]], after=after))
    assert (outcome.status, outcome.report) == (5, None)
    assert outcome.out == "said\n"
    assert not (shim.dir / "x").exists()


@pytest.mark.requires("subids")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_trees_of_subordinate_ids_are_removed(shim: Shim) -> None:
    """Also those of a container that runs in another's user namespace."""
    first = int(
        next(
            line
            for line in Path("/etc/subuid").read_text().splitlines()
            if line.startswith(f"{shim.account.name}:")
        ).split(":")[1]
    )
    maps = [
        ["uidmap", "/usr/bin/newuidmap", "0", str(shim.account.uid), "1", "1", str(first), "1000"],
        ["gidmap", "/usr/bin/newgidmap", "0", str(shim.account.gid), "1", "1", str(first), "1000"],
    ]
    trees = [own(shim, _made(shim.dir / name)) for name in ("a", "b")]
    script_ = "mkdir -m 700 -p /t/d; echo >/t/d/f; chown -R 5:5 /t; sleep 1000"
    chown = shim.root / "bin/chown"
    chown.symlink_to("busybox")

    def plan(namespaces: list[list[str]], top: Path, words: str) -> list[list[str]]:
        whole = shim.plan(
            before=[["bind", str(top), "/t", ""]],
            end=[PATH, ["exec", "sh", "-c", words]],
            after=[["remove-tree", str(top)]],
        )
        at = next(index for index, record in enumerate(whole) if record[0] == "propagation")
        return [
            ["plan", "1"],
            ["session", "container"],
            ["pid-file", str(shim.dir / "pid")],
            *namespaces,
            *whole[at:],
        ]

    with shim.start(plan([*maps, ["unshare", "user,mount,pid"]], trees[0], script_)) as process:
        whole_json(shim.dir / "pid")
        pid = int((shim.dir / "pid").read_text())
        namespaces = [["join", "user", f"/proc/{pid}/ns/user"], ["unshare", "mount,pid"]]
        joined = shim.run(plan(namespaces, trees[1], script_.replace("sleep 1000", "true")))
        assert joined.report is None, repr(joined)
        wait_for(lambda: (trees[0] / "d/f").exists() if os.geteuid() == 0 else True)
        os.kill(pid, signal.SIGKILL)
        process.wait()
    assert not [str(path) for top in trees for path in (top, *top.rglob("*")) if path.exists()]


def _made(path: Path) -> Path:
    path.mkdir()
    return path


# ---- work


def test_work(shim: Shim) -> None:
    top = tree(shim, "tree")
    place = str(shim.dir / "moved")
    outcome = shim.run(
        shim.work(
            ["rename", str(top), place],
            ["sync", str(shim.dir)],
            ["run", "/bin/true"],
            ["remove-tree", place],
        )
    )
    assert (outcome.status, outcome.report) == (0, None)
    assert not os.path.lexists(place)
    assert (shim.dir / "kept/file").exists()


def test_work_ends_as_its_command(shim: Shim) -> None:
    for words, status in ((["exit 3"], 3), (["kill -9 $$"], 137), (["id -u"], 0)):
        plan = shim.work(["exec", "/bin/sh", "-c", *words])
        assert shim.run(plan).status == status
    assert shim.run(plan).out == "0\n"


def test_work_fails(shim: Shim) -> None:
    plan = shim.work(["run", "/bin/sh", "-c", "echo why >&2; exit 4"], ["exec", "/bin/true"])
    outcome = shim.run(plan)
    assert (outcome.status, outcome.failure[1:]) == (125, ("run", "EIO", 0))
    assert plan[outcome.failure[0]][0] == "run"
    assert (outcome.report.child_status, outcome.report.text) == (4, "why\n")
    missing = shim.work(["sync", "/no/where"])
    assert shim.run(missing).failure == (len(missing) - 1, "open", "ENOENT", 0)


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_maps_that_the_kernel_refuses(shim: Shim) -> None:
    plan = [
        ["plan", "1"],
        ["session", "work"],
        ["uidmap", "", "0", "0", "1"],
        ["gidmap", "", "0", "0", "1"],
        ["unshare", "user"],
        ["exec", "/bin/true"],
    ]
    assert shim.run(plan).failure == (2, "write_map", "EPERM", 0)
    plan[2:4] = [[kind, f"/usr/bin/new{kind}", "0", "0", "1"] for kind in ("uidmap", "gidmap")]
    outcome = shim.run(plan)
    assert outcome.failure == (2, "uidmap", "EPERM", 0)
    assert outcome.report.child_status == 1
    assert "not allowed" in outcome.report.text


def test_work_dies_with_its_parent(shim: Shim) -> None:
    plan = shim.work(["exec", "/bin/sh", "-c", "echo $$; exec sleep 1000"])
    with shim.start(plan, stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        assert parent_of(pid) == process.pid
        process.kill()
        process.wait()
        wait_for(lambda: not is_alive(pid))


# ---- trees


def test_a_deep_tree(shim: Shim) -> None:
    top = shim.dir / "deep"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(700):
        os.mkdir("d" * 100, dir_fd=fd)
        os.chown("d" * 100, shim.account.uid, shim.account.gid, dir_fd=fd)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    os.chown(top, shim.account.uid, shim.account.gid)
    plan = shim.work(["remove-tree", str(top)])
    outcome = shim.account.run("sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *_command(shim, plan))
    assert outcome.status == 0, repr(outcome)
    assert not top.exists()


def _command(shim: Shim, plan: list[list[str]]) -> list[str]:
    path = shim.dir / "plan-bytes"
    path.write_bytes(encode_plan(plan))
    return ["sh", "-c", f"exec {shim.program[0]} 9 9<{path}"]


def test_a_tree_that_fills_again(shim: Shim) -> None:
    """Somebody goes on writing there for a while: it is gone in the end, or the report says why not."""
    top = own(shim, _made(shim.dir / "busy"))
    writer = subprocess.Popen(
        ["sh", "-c", f"for i in $(seq 3000); do mkdir -p {top}/d/$i 2>/dev/null; done"]
    )
    time.sleep(0.05)
    outcome = shim.run(shim.work(["remove-tree", str(top)]))
    writer.kill()
    writer.wait()
    if outcome.report is not None:
        assert outcome.failure[1:3] in (("remove_tree", "ENOTEMPTY"), ("remove_tree", "EACCES"))


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_a_mount_in_a_tree_is_not_entered(shim: Shim) -> None:
    top = _made(shim.dir / "mounted")
    inside = _made(shim.dir / "inside")
    (inside / "file").touch()
    (top / "place").mkdir()
    plan = shim.work(
        ["propagation", "rprivate"],
        ["run", "/bin/mount", "--bind", str(inside), str(top / "place")],
        ["remove-tree", str(top)],
    )
    plan[2] = ["unshare", "mount"]
    assert shim.run(plan).failure[1:] == ("remove_tree", "EXDEV", 1)
    assert (inside / "file").exists()


def test_remove_tree_of_no_tree(shim: Shim) -> None:
    (shim.dir / "file").touch()
    (shim.dir / "link").symlink_to("root")
    own(shim, shim.dir)
    names = ("file", "link", "absent")
    outcome = shim.run(shim.work(*[["remove-tree", str(shim.dir / name)] for name in names]))
    assert outcome.report is None, repr(outcome)
    assert os.listdir(shim.dir) == ["root"]
    assert (shim.root / "etc/motd").exists()


# ---- cgroups


@pytest.fixture
def grouped(delegated_account: DelegatedAccount) -> Shim:
    return Shim(delegated_account)


def test_a_cgroup_of_its_own(grouped: Shim, delegated_account: DelegatedAccount) -> None:
    group = f"/sys/fs/cgroup/{delegated_account.group}/box"
    inner = f"mkdir {group} && exec {grouped.program[0]} 9 9<{grouped.dir}/plan-bytes"
    plan = grouped.plan(
        settings=[["cgroup", group], ["exit", str(grouped.dir / "exit")]],
        types="mount,pid,cgroup",
        before=[PROC],
        end=[PATH, ["exec", "sh", "-c", "grep ^0:: /proc/self/cgroup; sleep 1000 & exit 0"]],
        after=[["remove-cgroup", group]],
    )
    _command(grouped, plan)
    result = delegated_account.run("sh", "-c", inner)
    assert (result.status, result.out) == (0, "0::/\n")
    assert delegated_account.groups_left() == []
    assert json.loads((grouped.dir / "exit").read_text())["exit_code"] == 0


def test_a_cgroup_that_cannot_be_entered(shim: Shim) -> None:
    plan = shim.plan(settings=[["cgroup", "/no/such/group"]])
    assert shim.run(plan).failure == (2, "open", "ENOENT", 0)
    plan[2] = ["cgroup", str(shim.dir)]
    assert shim.run(plan).failure == (2, "clone3", "EBADF", 0)


def test_remove_cgroup_that_is_not_there(shim: Shim) -> None:
    assert shim.run(shim.work(["remove-cgroup", "/sys/fs/cgroup/no/such"])).report is None
