"""--env-file is literal; -e reads the caller; the later source wins."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import envfile


def test_a_file_is_taken_literally() -> None:
    text = (
        b'\xef\xbb\xbfA=1\n  B = two words \n# comment\n\n   # too\nQUOTED="x"\nEMPTY=\nBARE\n'
        b"DOLLAR=$A\nCR=1\r\n"
    )
    with pytest.raises(InvalidInput, match='line 2: variable name "B " contains white space'):
        envfile.parse_file(text, "f")
    assert envfile.parse_file(text.replace(b"B =", b"B="), "f") == [
        "A=1",
        "B= two words ",
        'QUOTED="x"',
        "EMPTY=",
        "BARE",
        "DOLLAR=$A",
        "CR=1",
    ]


def test_faults_name_the_line() -> None:
    with pytest.raises(
        InvalidInput, match='environment file "f", line 2: "=x" has no variable name'
    ):
        envfile.parse_file(b"A=1\n=x\n", "f")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        envfile.parse_file(b"A=\xff\n", "f")


def test_words_take_the_callers_value_or_unset() -> None:
    caller = {"SET": "s", "PRE_A": "1", "PRE_B": "2", "OTHER": "o"}
    assert envfile.resolve(["SET", "MISSING", "X=1=2", "E=", "PRE_*"], caller) == {
        "SET": "s",
        "MISSING": None,
        "X": "1=2",
        "E": "",
        "PRE_A": "1",
        "PRE_B": "2",
    }
    with pytest.raises(InvalidInput, match="--env"):
        envfile.resolve(["=x"], {})


def test_merging_replaces_in_place_and_none_removes() -> None:
    merged = envfile.merge(["A=1", "B=2", "C=3"], {"B": None, "A": "x", "D": "4"})
    assert merged == ["A=x", "C=3", "D=4"]
