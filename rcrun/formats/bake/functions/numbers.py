"""Functions of numbers and of what is true."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from rcrun.formats.bake.nodes import operated
from rcrun.formats.bake.values import EXACT, Fault, equal, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Number = int | Decimal


def _rounded(value: Number, how: str) -> Number:
    return number(Decimal(value).to_integral_value(how))


def _log(value: Number, base: Number) -> Number:
    import math

    if value <= 0 or base <= 0 or base == 1:
        raise Fault("a logarithm is of a positive number")
    return number(Decimal(repr(math.log(value) / math.log(base))))


def _power(value: Number, exponent: Number) -> Number:
    if abs(Decimal(exponent)) > 10_000:
        raise Fault("this power is too large")
    return number(EXACT.power(Decimal(value), Decimal(exponent)))


def _parsed(text: str, base: int) -> int:
    if not 2 <= base <= 62:
        raise Fault("a base is between 2 and 62")
    try:
        return int(text, base) if base <= 36 else _parsed_by_case(text, base)
    except ValueError:
        raise Fault(f'"{text}" is no number of base {base}') from None


def _parsed_by_case(text: str, base: int) -> int:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[:base]
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    found = 0
    for char in rest:
        found = found * base + digits.index(char)
    return sign * found


def _most(*values: Number) -> Number:
    return max(values)


def _least(*values: Number) -> Number:
    return min(values)


def _operation(sign: str) -> Callable[[Any, Any], Any]:
    return lambda left, right: operated(sign, left, right)


TABLE: dict[str, tuple[str, Callable[..., Any]]] = {
    "absolute": ("n", abs),
    "add": ("nn", _operation("+")),
    "and": ("bb", lambda one, other: one and other),
    "ceil": ("n", lambda value: _rounded(value, ROUND_CEILING)),
    "divide": ("nn", _operation("/")),
    "equal": ("aa", equal),
    "floor": ("n", lambda value: _rounded(value, ROUND_FLOOR)),
    "greaterthan": ("nn", _operation(">")),
    "greaterthanorequalto": ("nn", _operation(">=")),
    "int": ("n", lambda value: _rounded(value, ROUND_DOWN)),
    "lessthan": ("nn", _operation("<")),
    "lessthanorequalto": ("nn", _operation("<=")),
    "log": ("nn", _log),
    "max": ("n*n", _most),
    "min": ("n*n", _least),
    "modulo": ("nn", _operation("%")),
    "multiply": ("nn", _operation("*")),
    "negate": ("n", lambda value: -value),
    "not": ("b", lambda value: not value),
    "notequal": ("aa", lambda one, other: not equal(one, other)),
    "or": ("bb", lambda one, other: one or other),
    "parseint": ("si", _parsed),
    "pow": ("nn", _power),
    "signum": ("n", lambda value: (value > 0) - (value < 0)),
    "subtract": ("nn", _operation("-")),
}
