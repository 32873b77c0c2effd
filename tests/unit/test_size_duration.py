"""Sizes and durations in docker's notation, both ways."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import duration, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("32", 32),
        ("32b", 32),
        ("32k", 32 << 10),
        ("32KB", 32 << 10),
        ("32kib", 32 << 10),
        ("64m", 64 << 20),
        ("64 MB", 64 << 20),
        ("1.5g", 3 << 29),
        ("2T", 2 << 40),
        ("1P", 1 << 50),
    ],
)
def test_sizes_are_powers_of_1024(text: str, expected: int) -> None:
    assert size.parse(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1mm", "1.2.3m", ".", "1 m b", "9999999p"])
def test_a_wrong_size_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid size"):
        size.parse(text)


@pytest.mark.parametrize(
    ("number", "decimal", "binary"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1kB", "1000B"),
        (1_090_000, "1.09MB", "1.04MiB"),
        (72_800_000, "72.8MB", "69.43MiB"),
        (1 << 30, "1.074GB", "1GiB"),
    ],
)
def test_printed_sizes(number: int, decimal: str, binary: str) -> None:
    assert size.decimal(number) == decimal
    assert size.binary(number) == binary


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("10s", 10), ("1m30s", 90), ("1h", 3600), ("1.5h", 5400), ("-2s", -2), (".5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration.parse(text) == seconds * 1_000_000_000


@pytest.mark.parametrize("text", ["", "1", "s", "1d", "1.2.3s", "1s2", "--1s", "+-1s", ".s"])
def test_a_wrong_duration_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid duration"):
        duration.parse(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (3 * 86400, "3 days"),
        (15 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_words_of_ps(seconds: float, words: str) -> None:
    assert duration.words_of(seconds) == words
