"""Where root is emulated, where that stands in a plan, and what its records say."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_facts import MAPPED, SINGLE
from rcrun.engine.config_emulation import emulates
from rcrun.errors import InvalidInput
from rcrun.runtime.plan_process import emulates_root
from rcrun.storage import marks
from rcrun.storage.tarwrite import member


@pytest.mark.parametrize(
    ("word", "identity", "uid", "joins", "expected"),
    [
        ("auto", SINGLE, 0, False, True), ("on", SINGLE, 0, False, True), ("off", SINGLE, 0, False, False),
        ("auto", SINGLE, 5, False, False), ("auto", SINGLE, 0, True, False),
        ("on", MAPPED, 0, False, False), ("auto", MAPPED, 7, False, False),
        ("on", SINGLE, 5, False, None), ("on", SINGLE, 0, True, None), ("maybe", SINGLE, 0, False, None),
    ],
)  # fmt: skip
def test_where(word: str, identity: object, uid: int, joins: bool, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(InvalidInput, match="--root-emulation"):
            emulates(word, identity, uid, joins_users=joins)  # type: ignore[arg-type]
    else:
        assert emulates(word, identity, uid, joins_users=joins) is expected  # type: ignore[arg-type]


def test_the_log_is_what_asks_for_it() -> None:
    assert emulates_root([["id", "x"], ["emulation-log", "/somewhere"]])
    assert not emulates_root([["id", "x"]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1:2", (1, 2, "", 0, 0)), (b"0:4294967295", (0, marks.SAME, "", 0, 0)),
        (b"0:6:b:259:70000", (0, 6, "4", 259, 70000)), (b"0:0:c:1:3", (0, 0, "3", 1, 3)),
        (b"", None), (b"1", None), (b"-1:2", None), (b"1:2:c", None), (b"1:2:x:1:1", None), (b" 1:2", None),
        (b"4294967296:0", None), (b"99999999999:1", None), (b"1:2:c:1:3:4", None), ("\u0661:2".encode(), None),
    ],
)  # fmt: skip
def test_records(text: bytes, expected: object) -> None:
    """The container may have written anything."""
    assert marks.parse(text) == expected


def test_what_was_not_asked_for_stays() -> None:
    entry = member(b"x", "0", 0o644)
    entry.uid, entry.gid = 7, 8
    marks.settle(entry, (marks.SAME, 9))
    assert (entry.uid, entry.gid) == (7, 9)


def test_the_log(tmp_path: Path) -> None:
    """The last line of an inode wins, one of an inode that was there before does not count."""
    path = tmp_path / "owners.log"
    file = tmp_path / "file"
    file.touch()
    with file.open("rb") as opened:
        fd = opened.fileno()
        inode, born = file.stat().st_ino, marks.birth(fd)
        assert marks.Log(str(path)).asked(fd, "") is None
        path.write_text(f"{inode} {born} 5 6\n{inode} {born} {marks.SAME} 7\n{inode} {born}")
        assert marks.Log(str(path)).asked(fd, "") == (5, 7)
        path.write_text(f"{inode} {born - 1} 5 6\n")
        assert marks.Log(str(path)).asked(fd, "") is None
