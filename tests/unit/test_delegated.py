"""Which cgroup is ours to make others in, and what is written into one; over ordinary directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcrun.cgroup import delegated
from rcrun.errors import HostLacks


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hierarchy with user.slice/app.slice/term.scope in it, where the last two are ours."""
    group = tmp_path
    for name in ("", "user.slice", "app.slice", "term.scope"):
        group = group / name if name else group
        group.mkdir(exist_ok=True)
        for file in ("cgroup.controllers", "cgroup.procs", "cgroup.subtree_control"):
            (group / file).write_text("", encoding="ascii")
    for closed in (tmp_path, tmp_path / "user.slice"):
        (closed / "cgroup.procs").chmod(0o444)
        closed.chmod(0o555)
    # the modes count for root, too, as whom the tests run
    monkeypatch.setattr(os, "access", lambda path, _: bool(os.stat(path).st_mode & 0o200))
    yield tmp_path
    monkeypatch.undo()
    for closed in (tmp_path, tmp_path / "user.slice"):
        closed.chmod(0o755)


OWN = "/user.slice/app.slice/term.scope"


def test_beside_our_own_group(mount: Path) -> None:
    assert delegated.find_parent(str(mount), OWN) == f"{mount}/user.slice/app.slice"


def test_in_it_where_only_it_is_ours(mount: Path) -> None:
    (mount / "user.slice/app.slice").chmod(0o555)
    assert delegated.find_parent(str(mount), OWN) == f"{mount}{OWN}"


def test_nowhere(mount: Path) -> None:
    assert delegated.find_parent(str(mount), "/user.slice") is None
    assert delegated.find_parent(str(mount), "/../elsewhere") is None
    assert delegated.find_parent(f"{mount}/none", OWN) is None


def test_who_may_enter(mount: Path) -> None:
    theirs = f"{mount}/user.slice/app.slice/rcrun-x.scope"
    os.mkdir(theirs)
    Path(theirs, "cgroup.procs").write_text("", encoding="ascii")
    assert delegated.may_enter(theirs, str(mount), OWN)
    # from another login session: what they have in common is root's
    assert not delegated.may_enter(theirs, str(mount), "/user.slice/session-2.scope")


def test_a_missing_controller_is_named(mount: Path) -> None:
    group = mount / "user.slice/app.slice/term.scope"
    (group / "cgroup.controllers").write_text("pids\n", encoding="ascii")
    with pytest.raises(HostLacks) as caught:
        delegated.limit(str(group), {"memory": {"limit": 1 << 20}, "cpu": {"shares": 512}})
    assert caught.value.message == (
        "cannot set the limits asked for: no delegation of the cgroup controllers "
        '"cpu" and "memory" to this user'
    )
    assert caught.value.hint is not None
    assert "Delegate=cpu cpuset io memory pids" in caught.value.hint


def test_limits_are_written(mount: Path) -> None:
    group = mount / "user.slice/app.slice/term.scope"
    (group / "cgroup.controllers").write_text("cpu memory pids\n", encoding="ascii")
    limits = {"memory": {"limit": 64 << 20, "swap": 96 << 20}, "pids": {"limit": 20}}
    delegated.limit(str(group), limits)
    assert (group / "memory.max").read_text(encoding="ascii") == "67108864"
    assert (group / "memory.swap.max").read_text(encoding="ascii") == "33554432"
    assert (group / "pids.max").read_text(encoding="ascii") == "20"
    above = (mount / "user.slice/app.slice/cgroup.subtree_control").read_text(encoding="ascii")
    assert above == "+pids"  # each is written by itself
