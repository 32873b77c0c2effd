"""Words and variables, as BuildKit's frontend takes them."""

from __future__ import annotations

import pytest

from rcrun.formats.containerfile.faults import Fault
from rcrun.formats.containerfile.words import Expander, raw_words

VARIABLES = {
    "PWD": "/home",
    "SHELL": "bash",
    "EMPTY": "",
    "TWO": "a b",
    "AROUND": " a ",
    "FILE": "archive.tar.gz",
    "PATHS": "x/y/z",
    "한글": "no name",
}


def expanded(text: str, escape: str = "\\") -> str:
    return Expander(VARIABLES, escape=escape).word(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("hello", "hello"),
        ("he'll'o", "hello"),
        ('he"ll"o', "hello"),
        ("he\\'llo", "he'llo"),
        ("abc\\tdef", "abctdef"),
        ('"abc\\tdef"', "abc\\tdef"),
        ("'abc\\tdef'", "abc\\tdef"),
        ("hello\\", "hello\\"),
        ("$", "$"),
        ("he$PWD.", "he/home."),
        ("he$pwd.", "he."),
        ("he$EMPTY.", "he."),
        ("he\\$PWD", "he$PWD"),
        ("he\\\\$PWD", "he\\/home"),
        ('"he\\$PWD"', "he$PWD"),
        ("'$PWD'", "$PWD"),
        ("\"'$PWD'\"", "'/home'"),
        ("${PWD}x", "/homex"),
        ("$1x", "x"),
        ("a$%b", "a$%b"),
        ("he${PWD:-000}xx", "he/homexx"),
        ("he${NONE:-000}xx", "he000xx"),
        ("he${EMPTY:-000}xx", "he000xx"),
        ("he${EMPTY-000}xx", "hexx"),
        ("he${NONE-000}xx", "he000xx"),
        ("he${NONE:-${PWD}}xx", "he/homexx"),
        ("he${NONE:-x'y z'$PWD}w", "hexy z/homew"),
        ("he${PWD:+set}", "heset"),
        ("he${EMPTY:+set}", "he"),
        ("he${EMPTY+set}", "heset"),
        ("he${NONE+set}", "he"),
        ("${FILE#*.}", "tar.gz"),
        ("${FILE##*.}", "gz"),
        ("${FILE%.*}", "archive.tar"),
        ("${FILE%%.*}", "archive"),
        ("${FILE#\\*}", "archive.tar.gz"),
        ("${PATHS/\\//-}", "x-y/z"),
        ("${PATHS//\\//-}", "x-y-z"),
        ("${PATHS/?\\//}", "y/z"),
        ("${PATHS//[xy]/-}", "x/y/z"),
        ("${NONE/x/y}", ""),
        ("$TWO", "a b"),
    ],
)
def test_a_word(text: str, value: str) -> None:
    assert expanded(text) == value


def test_the_other_escape() -> None:
    assert expanded("a`$PWD\\b", "`") == "a$PWD\\b"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("he'x", "a single quote is not closed"),
        ('he"x', "a double quote is not closed"),
        ("${", "bad substitution"),
        ("${}", "bad substitution"),
        ("${PWD", "has no closing"),
        ("${PWD:-x", "has no closing"),
        ("${PWD!x}", 'unsupported modifier "!"'),
        ("${PWD:x}", 'unsupported modifier ":x"'),
        ("${NONE:?must be there}", "NONE: must be there"),
        ("${NONE?}", "NONE: not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: not allowed to be unset"),
    ],
)
def test_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(Fault) as caught:
        Expander(VARIABLES, line=7).word(text)
    assert caught.value.message.startswith("line 7: ")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  a  b ", ["a", "b"]),
        ("$TWO", ["a", "b"]),
        ('"$TWO"', ["a b"]),
        ("x$TWO.y", ["xa", "b.y"]),
        ("x$AROUND.y", ["x", "a", ".y"]),
        ("$EMPTY", []),
        ('"" x', ["", "x"]),
        ("'a b'c\\ d", ["a bc d"]),
        ("${NONE:-p q}", ["p", "q"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert Expander(VARIABLES).words(text) == words


def test_raw_words_keep_their_quotes() -> None:
    assert raw_words('a="b c" d\\ e \'f "g\' h') == ['a="b c"', "d\\ e", "'f \"g'", "h"]


def test_names_that_were_asked_for() -> None:
    expander = Expander(VARIABLES)
    expander.word("$PWD ${NONE:-$SHELL} '$TWO'")
    assert expander.used == {"PWD", "NONE", "SHELL"}


def test_text_of_a_here_document() -> None:
    text = "a \"$PWD\" '$SHELL' \\$PWD \\n\n"
    assert Expander(VARIABLES).unescaped(text) == "a \"/home\" 'bash' $PWD \\n\n"


def test_depth_is_bounded() -> None:
    with pytest.raises(Fault):
        expanded("${A:-" * 2000 + "x" + "}" * 2000)
