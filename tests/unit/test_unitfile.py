"""Unit files of systemd: lines, words and quotes, both ways."""

from __future__ import annotations

import random

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import unitfile

TEXT = r"""
# a comment
[Unit]
Description=a  b
; another
[Container]
Exec=one \
# within
  two \

Empty=
Key = spaced
[Unit]
After=x
"""


def test_lines() -> None:
    unit = unitfile.parse(TEXT, "a.container", "/x/a.container")
    assert unit.sections == {
        "Unit": [("Description", "a  b"), ("After", "x")],
        "Container": [("Exec", "one two"), ("Empty", ""), ("Key", "spaced")],
    }
    assert (unit.stem, unit.kind) == ("a", "container")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=b", 'line 1: "A=b" is before the first section'),
        ("[A]\nb", 'line 2: "b" is neither KEY=VALUE nor [SECTION]'),
        ("[A]\n=b", 'line 2: "=b" is neither'),
        ("[A", '"[A" is neither'),
    ],
)
def test_faults(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        unitfile.parse(text, "a", "/a")
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("text", "words", "kept"),
    [
        ("a  b\tc", ["a", "b", "c"], None),
        ("""'a b' "c 'd'" e"f g"h""", ["a b", "c 'd'", "ef gh"], None),
        ("\"\" ''", ["", ""], None),
        ('"never closed', ["never closed"], None),
        (r"a\x20b \x4 \q \101\n \u00e9 \s", ["a b", "\\x4", "\\q", "A\n", "é", " "],
         [r"a\x20b", r"\x4", r"\q", r"\101\n", r"\u00e9", r"\s"]),
        (r'"\"" \\', ['"', "\\"], [r"\"", r"\\"]),
        (r"ends\ ", ["ends\\ "], None),
        ("", [], None),
    ],
)  # fmt: skip
def test_words(text: str, words: list[str], kept: list[str] | None) -> None:
    assert unitfile.split(text) == words
    assert unitfile.split(text, escapes=False) == (words if kept is None else kept)


def test_words_come_back() -> None:
    chance = random.Random(7)
    letters = "ab \t\n\\\"'%$;é\x01=x4"
    for _ in range(3000):
        words = [
            "".join(chance.choices(letters, k=chance.randrange(6)))
            for _ in range(chance.randrange(1, 4))
        ]
        assert unitfile.split(unitfile.joined(words)) == words
        assert "\n" not in unitfile.joined(words)


def test_values() -> None:
    text = '[A]\nL=1\nL=\nL=2 "3 4"\nL=5\nQ="a b"\nB=on\nP=x=1 y "z=2 3"\nP=x=4\n'
    unit = unitfile.parse(text, "a", "/a")
    assert unit.every("A", "L") == ['2 "3 4"', "5"]
    assert unit.words("A", "L") == ["2", "3 4", "5"]
    assert (unit.last("A", "Q"), unit.raw("A", "Q"), unit.last("A", "no")) == ("a b", '"a b"', None)
    assert (unit.truth("A", "B"), unit.truth("A", "no"), unit.truth("A", "no", True)) == (True, None, True)  # fmt: skip
    assert unitfile.pairs(unit.every("A", "P")) == {"x": "4", "y": None, "z": "2 3"}
    with pytest.raises(InvalidInput, match='Q="a b" is neither yes nor no'):
        unit.truth("A", "Q")
