"""Functions of time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from rcrun.formats.bake.values import Fault, is_number, to_int, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_PARTS = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def _read(text: str) -> datetime:
    found = _STAMP.fullmatch(text)
    if found is None:
        raise Fault(f'"{text}" is no time', "write it as 2006-01-02T15:04:05Z")
    zone = found[4].replace("z", "Z").replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}")
    except ValueError as error:
        raise Fault(f'"{text}" is no time: {error}') from error


def _written(moment: datetime) -> str:
    text = moment.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _at(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError) as error:
        raise Fault(f"{seconds} is no time") from error


def _formatted(form: str, text: str) -> str:
    moment = _read(text)
    made = []
    for found in _PARTS.finditer(form):
        if found[1] is not None:
            made.append(found[1].replace("''", "'"))
        elif found[2]:
            made.append(_part(found[0], moment))
        else:
            made.append(found[0])
    return "".join(made)


def _part(word: str, moment: datetime) -> str:
    offset = moment.strftime("%z")
    is_utc = offset == "+0000"
    parts = {
        "YY": f"{moment.year % 100:02}", "YYYY": f"{moment.year:04}", "M": str(moment.month),
        "MM": f"{moment.month:02}", "MMM": _MONTHS[moment.month - 1][:3], "MMMM": _MONTHS[moment.month - 1],
        "D": str(moment.day), "DD": f"{moment.day:02}", "EEE": _DAYS[moment.weekday()][:3],
        "EEEE": _DAYS[moment.weekday()], "h": str(moment.hour), "hh": f"{moment.hour:02}",
        "H": str(moment.hour % 12 or 12), "HH": f"{moment.hour % 12 or 12:02}",
        "AA": "AM" if moment.hour < 12 else "PM", "aa": "am" if moment.hour < 12 else "pm",
        "m": str(moment.minute), "mm": f"{moment.minute:02}", "s": str(moment.second),
        "ss": f"{moment.second:02}", "ZZZZ": offset, "ZZZZZ": f"{offset[:3]}:{offset[3:]}",
        "Z": "Z" if is_utc else f"{offset[:3]}:{offset[3:]}", "ZZZ": "UTC" if is_utc else offset,
    }  # fmt: skip
    if word not in parts:
        raise Fault(f'"{word}" means nothing in a format of time', "put texts into '…'")
    return parts[word]


def _formatted_any(form: str, moment: Any) -> str:
    """Of a text, or of seconds since 1970; `X` is those seconds."""
    found = _at(to_int(moment)) if is_number(moment) else _read(to_text(moment))
    return str(int(found.timestamp())) if form == "X" else _formatted(form, _written(found))


def _later(text: str, duration: str) -> str:
    sign, rest = (-1, duration[1:]) if duration.startswith("-") else (1, duration.removeprefix("+"))
    if rest != "0" and (not rest or _AMOUNT.sub("", rest)):
        raise Fault(f'"{duration}" is no duration', "write it as 1h30m")
    seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in _AMOUNT.findall(rest))
    try:
        return _written(_read(text) + timedelta(seconds=sign * seconds))
    except OverflowError as error:
        raise Fault(f'"{duration}" leads too far') from error


def _now() -> str:
    return _written(datetime.now(timezone.utc).replace(microsecond=0))


def _parts(seconds: int) -> dict[str, Any]:
    moment = _at(seconds)
    year, week, _ = moment.isocalendar()
    return {
        "year": moment.year, "year_day": moment.timetuple().tm_yday, "day": moment.day, "month": moment.month,
        "month_name": _MONTHS[moment.month - 1], "weekday": (moment.weekday() + 1) % 7,
        "weekday_name": _DAYS[moment.weekday()], "hour": moment.hour, "minute": moment.minute,
        "second": moment.second, "rfc3339": _written(moment), "iso_year": year, "iso_week": week,
    }  # fmt: skip


def _home() -> str:
    import os

    return os.path.expanduser("~")


TABLE: dict[str, tuple[str, Callable[..., Any]]] = {
    "formatdate": ("ss", _formatted),
    "formattimestamp": ("sa", _formatted_any),
    "homedir": ("", _home),
    "timeadd": ("ss", _later),
    "timestamp": ("", _now),
    "unixtimestampparse": ("i", _parts),
}
