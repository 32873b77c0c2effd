"""Which cgroup is ours to make others in; over ordinary directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcrun.cgroup import delegated


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


def test_by_its_path(mount: Path) -> None:
    """Where the group above it is ours, and what lies between it and us."""
    ours = "/user.slice/app.slice"
    for path in (f"{ours}/new", f"{ours}/new/below", f"{OWN}/new/", OWN):
        assert delegated.named(path, str(mount), OWN) == f"{mount}{path.rstrip('/')}"
    for path in ("/new", "/user.slice/new", "/other.slice/new"):
        assert delegated.named(path, str(mount), OWN) == ""
    assert delegated.named(f"{ours}/new", str(mount), "/other.slice") == ""  # the way is closed
    (mount / "cgroup.procs").chmod(0o644)
    assert delegated.named(f"{ours}/new", str(mount), "/other.slice") == f"{mount}{ours}/new"
