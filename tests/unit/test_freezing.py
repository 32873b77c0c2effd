"""Freezing a cgroup that goes away, or that somebody else lets go on, meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rcrun.errors import WrongState
from rcrun.runtime import groups


def test_a_group_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "group"
    group.mkdir()

    def ends(path: str) -> bool:
        shutil.rmtree(path)
        return False

    monkeypatch.setattr(groups, "is_frozen", ends)
    with pytest.raises(WrongState, match="container not running: it has ended meanwhile"):
        groups.freeze(str(group), True)


@pytest.mark.parametrize("frozen", [True, False])
def test_somebody_asks_for_the_contrary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    def undone(path: str) -> bool:
        Path(path, "cgroup.freeze").write_text("0\n" if frozen else "1\n", encoding="ascii")
        return not frozen

    monkeypatch.setattr(groups, "is_frozen", undone)
    groups.freeze(str(tmp_path), frozen)
