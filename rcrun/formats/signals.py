"""Signals by name and number: `TERM`, `SIGTERM`, `15`, `SIGRTMIN+3`."""

from __future__ import annotations

import _signal  # the signal module brings enum

from rcrun.errors import InvalidInput

_RTMIN = int(_signal.SIGRTMIN)
_RTMAX = int(_signal.SIGRTMAX)
NUMBERS: dict[str, int] = {
    name[3:]: int(getattr(_signal, name))
    for name in dir(_signal)
    if name.startswith("SIG") and name[3].isalpha() and name not in ("SIG_DFL", "SIG_IGN")
}


def parse(text: str) -> int:
    """The number; names in any case, with or without SIG; podman's `-9` and `-TERM`."""
    text = text.removeprefix("-") or text
    if text.isascii() and text.isdigit():
        if 1 <= int(text) <= _RTMAX:
            return int(text)
        raise InvalidInput(f'invalid signal "{text}": signals are 1 to {_RTMAX}')
    name = text.upper().removeprefix("SIG")
    number = NUMBERS.get(name) or _realtime(name)
    if not number:
        raise InvalidInput(f'invalid signal "{text}"', "use a name such as TERM or a number")
    return number


def _realtime(name: str) -> int:
    for start, first in (("RTMIN+", _RTMIN), ("RTMAX-", _RTMAX)):
        offset = name.removeprefix(start)
        if offset != name and offset.isascii() and offset.isdigit():
            number = first + int(offset) if first == _RTMIN else first - int(offset)
            return number if _RTMIN <= number <= _RTMAX else 0
    return 0


def name_of(number: int) -> str:
    """`SIGTERM`; the number itself for one that has no name."""
    for name, value in NUMBERS.items():
        if value == number and name not in ("CLD", "POLL"):
            return f"SIG{name}"
    if _RTMIN < number < _RTMAX:
        return f"SIGRTMIN+{number - _RTMIN}"
    return str(number)
