from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.timestamp import parse, parse_or_zero


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2020-01-02T03:04:05Z", 1577934245.0),
        ("2020-01-02T03:04:05.5Z", 1577934245.5),
        ("2020-01-02T03:04:05.123456789Z", 1577934245.123456789),
        ("2020-01-02t03:04:05z", 1577934245.0),
        ("2020-01-02 03:04:05Z", 1577934245.0),
        ("2020-01-02T05:04:05+02:00", 1577934245.0),
        ("2020-01-01T22:34:05-04:30", 1577934245.0),
        ("2020-01-02T03:04:05", 1577934245.0),
        ("2020-01-02", 1577923200.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse(text) == parse_or_zero(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "now", "2020-13-01T00:00:00Z", "2020-01-02T03:04:05+2", "2020-01-02T03:04:05.xZ"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no time"):
        parse(text)
    assert parse_or_zero(text) == 0.0


def test_documents_of_others() -> None:
    assert parse_or_zero(None) == parse_or_zero(7) == 0.0
    assert parse_or_zero("0001-01-01T00:00:00Z") == 0.0
