"""Durations in Go's notation (`1m30s`) and in the words of `docker ps` (`About an hour`)."""

from __future__ import annotations

from rcrun.errors import InvalidInput

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse(text: str) -> int:
    """Nanoseconds."""
    rest = text.removeprefix("-").removeprefix("+") if text[:2] not in ("-+", "+-") else ""
    if rest == "0":
        return 0
    total = 0
    if not rest:
        raise _invalid(text)
    while rest:
        number = _leading(rest, "0123456789.")
        rest = rest[len(number) :]
        unit = _unit(rest)
        rest = rest[len(unit) :]
        if not unit or number.count(".") > 1 or not number.strip("."):
            raise _invalid(text)
        total += _scaled(number, _UNITS[unit])
    return -total if text.startswith("-") else total


def _scaled(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or "0") * unit + int(f"{fraction:0<18}") * unit // 10**18


def _leading(text: str, characters: str) -> str:
    return text[: len(text) - len(text.lstrip(characters))]


def _unit(text: str) -> str:
    end = 0
    while end < len(text) and text[end] not in "0123456789.":
        end += 1
    return text[:end] if text[:end] in _UNITS else ""


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(f'invalid duration "{text}"', "a duration is written like 90s, 1m30s or 1h")


def text_of(nanoseconds: int) -> str:
    """As Go prints it: `1m30s`, `500ms`, `0s`."""
    if nanoseconds < 0:
        return f"-{text_of(-nanoseconds)}"
    for unit, size in (("ns", 1), ("µs", 1000), ("ms", 1000000)):
        if 0 < nanoseconds < size * 1000 and nanoseconds < 1000000000:
            return f"{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 1000000000)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{before}{_decimal(rest, 1000000000)}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = str(rest).zfill(len(str(unit)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def words_of(seconds: float) -> str:
    """How long something took or is ago, in docker's words."""
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return _count(int(seconds), "second")
    minutes = int(seconds / 60)
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, unit, name in (
        (48, 1, "hour"),
        (336, 24, "day"),
        (1440, 168, "week"),
        (17520, 720, "month"),
    ):
        if hours < limit:
            return _count(hours // unit, name)
    return f"{int(seconds / 3600 / 24 / 365)} years"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
