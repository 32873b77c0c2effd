"""Steps that make the root, and make it the root."""

from __future__ import annotations

import os

import pytest

from rcrun.kernel import trees
from shim.plans import PATH, PROC, Shim

pytestmark = pytest.mark.requires("userns")


# ---- the root


def test_root_readonly(shim: Shim) -> None:
    outcome = shim.sh(
        "echo x >/x || echo no; echo x >/tmp/x && echo yes",
        ["root-readonly"],
        before=[["mount", "tmpfs", "tmpfs", "/tmp", "", ""]],
    )
    assert outcome.out.split() == ["no", "yes"]


def test_nothing_of_the_host_stays(shim: Shim) -> None:
    outcome = shim.sh("ls /; wc -l </proc/self/mountinfo", before=[PROC])
    assert outcome.out.split() == ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "2"]


def test_move_root(shim: Shim) -> None:
    plan = shim.plan(end=[PATH, ["exec", "ls", "/"]])
    plan[plan.index(["pivot"])] = ["move-root"]
    assert shim.run(plan).out.split()[:3] == ["bin", "dev", "etc"]


def test_root_bind_fails(shim: Shim) -> None:
    plan = shim.plan()
    plan[plan.index(["root-bind", str(shim.root)])] = ["root-bind", "/no/where"]
    outcome = shim.run(plan)
    assert outcome.status == 125
    assert outcome.failure == (plan.index(["root-bind", "/no/where"]), "mount", "ENOENT", 1)


def with_root(shim: Shim, record: list[str]) -> list[list[str]]:
    plan = shim.plan(end=[PATH, ["exec", "ls", "/"]])
    plan[plan.index(["root-bind", str(shim.root)])] = record
    return plan


def test_root_fd_is_a_tree_that_the_caller_holds(shim: Shim) -> None:
    tree = trees.copy(str(shim.root), recursive=False)
    try:
        outcome = shim.run(with_root(shim, ["root-fd", str(tree), "/tmp"]), fds=[tree])
    finally:
        os.close(tree)
    assert outcome.out.split()[:3] == ["bin", "dev", "etc"]


@pytest.mark.parametrize(
    ("place", "failure"),
    [("/no/where", ("open", "ENOENT", 2)), ("/tmp", ("move_mount", "EINVAL", 2))],
)
def test_root_fd_fails(shim: Shim, place: str, failure: tuple[str, str, int]) -> None:
    no_tree = os.open(shim.root, os.O_PATH | os.O_DIRECTORY)
    record = ["root-fd", str(no_tree), place]
    plan = with_root(shim, record)
    try:
        outcome = shim.run(plan, fds=[no_tree])
    finally:
        os.close(no_tree)
    assert outcome.status == 125
    assert outcome.failure == (plan.index(record), *failure)


@pytest.fixture
def layers(shim: Shim) -> dict[str, str]:
    paths = {name: str(shim.dir / name) for name in ("upper", "work", "top")}
    for path in paths.values():
        os.mkdir(path)
        os.chown(path, shim.account.uid, shim.account.gid)
    (shim.dir / "top/own").write_text("of the top")
    return paths


def overlaid(shim: Shim, record: list[str], script: str) -> object:
    plan = shim.plan(end=[PATH, ["exec", "sh", "-c", script]])
    plan[plan.index(["root-bind", str(shim.root)])] = record
    return shim.run(plan)


@pytest.mark.requires("overlay")
def test_root_overlay(shim: Shim, layers: dict[str, str]) -> None:
    words = "" if shim.is_root else "userxattr"
    record = ["root-overlay", layers["upper"], layers["work"], words, layers["top"], str(shim.root)]
    outcome = overlaid(shim, record, "cat /own /etc/motd; echo new >/new; echo changed >/etc/motd")
    assert outcome.out == "of the tophello\n"
    assert sorted(os.listdir(layers["upper"])) == ["etc", "new"]
    assert (shim.root / "etc/motd").read_text() == "hello\n"


@pytest.mark.requires("overlay")
def test_root_overlay_without_upper(shim: Shim, layers: dict[str, str]) -> None:
    words = "" if shim.is_root else "userxattr"
    script = "cat /etc/motd; echo x >/new || echo closed"
    two = overlaid(shim, ["root-overlay", "", "", words, layers["top"], str(shim.root)], script)
    one = overlaid(shim, ["root-overlay", "", "", words, str(shim.root)], script)
    assert two.out == one.out == "hello\nclosed\n"
    assert not (shim.root / "new").exists()


def test_root_overlay_fails(shim: Shim, layers: dict[str, str]) -> None:
    missing = ["root-overlay", layers["upper"], layers["work"], "", layers["top"], "/no/where"]
    assert overlaid(shim, missing, "").failure[1:] == ("open", "ENOENT", 5)
    unknown = [
        "root-overlay",
        layers["upper"],
        layers["work"],
        "odd",
        layers["top"],
        str(shim.root),
    ]
    assert overlaid(shim, unknown, "").failure[1:3] == ("mount", "EINVAL")


@pytest.mark.requires("fuse")
def test_root_fuse(shim: Shim, layers: dict[str, str]) -> None:
    merged = str(shim.dir / "merged")
    os.mkdir(merged)
    os.chown(merged, shim.account.uid, shim.account.gid)
    words = f"lowerdir={shim.root},upperdir={layers['upper']},workdir={layers['work']}"
    record = ["root-fuse", merged, "fuse-overlayfs", "-o", words, merged]
    plan = shim.plan(
        before=[PROC], end=[PATH, ["exec", "sh", "-c", "cat /etc/motd; echo new >/new"]]
    )
    plan[plan.index(["root-bind", str(shim.root)])] = record
    assert shim.run(plan).out == "hello\n"
    assert "new" in os.listdir(layers["upper"])


def test_root_fuse_fails(shim: Shim) -> None:
    failing = ["root-fuse", "/tmp", "/bin/sh", "-c", "echo broken >&2; exit 3"]
    outcome = overlaid(shim, failing, "")
    assert outcome.failure[1:3] == ("fuse-overlayfs", "EIO")
    assert (outcome.report.child_status, outcome.report.text) == (3, "broken\n")
