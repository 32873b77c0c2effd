"""RFC 3339 times, as image and container documents have them."""

from __future__ import annotations

import time

from rcrun.errors import InvalidInput


def parse(text: str) -> float:
    """Seconds since the epoch; InvalidInput for what is no such time."""
    try:
        return _parse(text)
    except (ValueError, OverflowError):
        raise InvalidInput(f'"{text}" is no time', "write it as 2026-01-31T12:00:00Z") from None


def parse_or_zero(text: object) -> float:
    """For documents of others: 0 for a missing or unreadable time, and for Go's zero time."""
    try:
        return max(0.0, _parse(text)) if isinstance(text, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _parse(text: str) -> float:
    import calendar

    clock, offset = _split_offset(text.strip())
    whole, _, fraction = clock.partition(".")
    form = "%Y-%m-%dT%H:%M:%S" if "T" in whole else "%Y-%m-%d"
    seconds = calendar.timegm(time.strptime(whole, form))
    if fraction and not (fraction.isascii() and fraction.isdecimal()):
        raise ValueError(text)
    return seconds + (float(f"0.{fraction}") if fraction else 0.0) - offset


def _split_offset(text: str) -> tuple[str, int]:
    """The time without its zone, and the zone in seconds east."""
    text = text.upper().replace(" ", "T", 1) if "T" not in text.upper() else text.upper()
    if text.endswith("Z"):
        return text[:-1], 0
    at = max(text.rfind("+"), text.rfind("-"))
    if "T" not in text or at < text.index("T"):
        return text, 0
    hours, _, minutes = text[at + 1 :].partition(":")
    if len(hours) != 2 or len(minutes) != 2:
        raise ValueError(text)
    seconds = int(hours) * 3600 + int(minutes) * 60
    return text[:at], seconds if text[at] == "+" else -seconds
