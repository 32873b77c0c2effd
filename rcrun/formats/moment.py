"""Moments as `--since` and `--until` take them: RFC 3339, seconds since the epoch, or how long ago."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import duration

_SECOND = 1_000_000_000


def parse(text: str, now: int, *, ahead: bool = False) -> int:
    """Nanoseconds since the epoch; `now` is that, too. A time without a zone is local.

    A duration is how long ago, and `ahead` how long from now on, as podman reads `--until`.
    """
    if text and not text.strip("0123456789."):
        return _epoch(text)
    if "-" in text[1:]:
        return _date(text)
    try:
        length = duration.parse(text)
    except InvalidInput as error:
        raise _invalid(text) from error
    return max(0, now + length if ahead else now - length)


def _epoch(text: str) -> int:
    whole, _, fraction = text.partition(".")
    if not whole or "." in fraction:
        raise _invalid(text)
    return int(whole) * _SECOND + int((fraction + "000000000")[:9])


def _date(text: str) -> int:
    from datetime import datetime

    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :]
    if dot and not digits:
        raise _invalid(text)
    try:
        moment = datetime.fromisoformat(
            (whole + zone).replace("Z", "+00:00").replace("z", "+00:00")
        )
    except ValueError:
        raise _invalid(text) from None
    return int(moment.timestamp()) * _SECOND + int((digits + "000000000")[:9])


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(
        f'invalid time "{text}"',
        "write 2026-01-31T12:00:00Z, seconds since 1970, or 10m for ten minutes ago",
    )
