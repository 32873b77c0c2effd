"""`.dockerignore`: examples of docker's documentation and of Go's filepath.Match."""

from __future__ import annotations

import random
import re

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.containerfile.ignore import _WILD, Ignored, _pieces, _Slow, read


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        ("*/temp*", "a/temporary.txt", True),
        ("*/temp*", "a/b/temporary.txt", False),
        ("*/*/temp*", "a/b/temporary.txt", True),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("**/*.go", "a/b/c.go", True),
        ("**/*.go", "c.go", True),
        ("**", "a/b", True),
        ("a/**", "a/b/c", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("dir", "dir/sub/file", True),
        ("dir", "other/dir", False),
        ("/dir/", "dir/file", True),
        ("./dir/../x", "x", True),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("dir\n!dir/keep", "dir/keep/it", False),
        ("dir\n!dir/keep", "dir/other", True),
        ("# a comment\n\n  x  ", "x", True),
        ("\\#x", "#x", True),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("a.c", "abc", False),
        ("a+(b)", "a+(b)", True),
    ],
)
def test_a_path(patterns: str, path: str, ignored: bool) -> None:
    assert Ignored(read(patterns))(path) is ignored


def test_exceptions_are_known() -> None:
    assert Ignored(read("a\n!a/b")).has_exceptions
    assert not Ignored(read("a")).has_exceptions
    assert not Ignored([])


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(InvalidInput, match=r"invalid pattern"):
        Ignored(["[a"])


def test_many_stars_take_no_time() -> None:
    """Found by the fuzzer: a regular expression would try every way to share the path out among them."""
    assert not Ignored(["*a" * 30 + "b"])("a" * 60)
    assert not Ignored(["**a" * 30 + "b"])("a/" * 20)
    assert not Ignored(["*" * 44 + "x"])("y" * 500)


def test_the_slow_way_is_the_same_way() -> None:
    choose = random.Random(7)
    for _ in range(3000):
        pattern = "".join(
            choose.choice(["a", "b", "/", "*", "**", "**/", "?", "[ab]"])
            for _ in range(choose.randint(1, 6))
        )
        path = "".join(choose.choice("aab//") for _ in range(choose.randint(1, 7)))
        pieces = list(_pieces(pattern))
        slow = _Slow([each if each in _WILD else re.compile(each, re.DOTALL) for each in pieces])
        quick = re.compile("".join(pieces), re.DOTALL)
        assert slow.fullmatch(path) == bool(quick.fullmatch(path)), (pattern, path)
