"""Regular expressions for texts of others: what they mean, that none takes long, and what is not understood."""

from __future__ import annotations

import os
import random
import re
import time

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.pattern import MOST_STEPS, Pattern

SEED = int(os.environ.get("RCRUN_SEED", random.randrange(2**32)))
LETTERS = (
    "a",
    "b",
    "c",
    ".",
    "[ab]",
    "[^a]",
    r"\d",
    r"\W",
    "[a-c]",
    "x",
    r"\.",
    "[]a]",
    "[a-]",
    "",
    "{",
)
REPEATS = ("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{1,}", "*?", "{,2}", "")


def made(chance: random.Random, depth: int = 0) -> str:
    kind = chance.random()
    if depth > 3 or kind < 0.35:
        return chance.choice(LETTERS)
    inner = made(chance, depth + 1)
    if kind < 0.55:
        return inner + made(chance, depth + 1)
    if kind < 0.65:
        return f"({inner}|{made(chance, depth + 1)})"
    if kind < 0.95:
        return f"(?:{inner}){chance.choice(REPEATS)}"
    return chance.choice(("^", "$")) + inner


def test_it_means_what_re_means() -> None:
    chance = random.Random(SEED)
    for _ in range(3000):
        pattern = made(chance)
        text = "".join(chance.choice("abc1.x{,2}\n") for _ in range(chance.randrange(9)))
        # Python's `$` also stands before a last newline, and `{,2}` counts there
        theirs = pattern.replace("$", r"\Z").replace("{,2}", r"\{,2\}")
        theirs = re.sub(r"(?<!\\)\{(?![0-9])", r"\\{", theirs)
        expected = re.search(theirs, text) is not None
        assert Pattern(pattern).occurs_in(text) is expected, (SEED, pattern, text)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (".*/init$", "/sbin/init", "/sbin/initctl"),
        (r"^com\.example\.department$", "com.example.department", "com-example-department"),
        ("^[[:alpha:]_]+[[:digit:]]{2,3}$", "ab_12", "ab_1"),
        ("^[^[:space:]]*$", "one", "one two"),
        (r"^(sh|(ba|z)sh)$", "zsh", "fish"),
        (r"^[\w.]+$", "a_1.b", "a-b"),
        (r"^\S+\s\D$", "ab c", "ab 1"),
        ("(?i)^HELLO[A-C]$", "helloB", "hellod"),
        ("^(a|b)*?c{0}$", "abba", "abbac"),
        ("", "", None),
    ],
)
def test_what_posix_and_re2_have(pattern: str, yes: str, no: str | None) -> None:
    found = Pattern(pattern)
    assert found.occurs_in(yes)
    assert no is None or not found.occurs_in(no)


def test_no_text_takes_long() -> None:
    """With `re` each of these takes longer than there is time."""
    begun = time.process_time()
    assert not Pattern("^((a+)+)+$").occurs_in("a" * 5000 + "b")
    assert not Pattern("(x?){40}x{40}y").occurs_in("x" * 300)
    assert not Pattern("(.*)*(.*)*(.*)*=$").occurs_in("a" * 2000)
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", 'a "(" is not closed'),
        ("a)", 'a ")" closes nothing'),
        ("[a", 'a "[" does not end'),
        ("[b-a]", '"b-a" is no range'),
        ("[[:foo:]]", 'there is no class "foo"'),
        ("*a", 'there is nothing for "*" to repeat'),
        ("a{3,2}", '"{3,2}" is no number of repetitions'),
        ("a{1001}", '"{1001}" is no number of repetitions'),
        (r"\pL", r'"\p" is not supported'),
        ("(?P<x>a)", 'a group that begins with "(?" is not supported'),
        ("\\", "an escape does not end"),
        ("(a{1000}){1000}", "it is too long with its repetitions"),
        ("a" * (MOST_STEPS + 1), "it is too long with its repetitions"),
        ("(" * 9000, "its groups are too deep"),
    ],
)
def test_what_is_not_understood(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Pattern(pattern)
    assert caught.value.message.endswith(f": {reason}")
