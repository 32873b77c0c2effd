"""Values of the language: texts, numbers (int or Decimal), booleans, None, lists, sets, dicts; and how one becomes another."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

EXACT = Context(prec=154)  # as many digits as the numbers of HCL's own reader have
_TRUE, _FALSE = ("true", "1"), ("false", "0")


class Fault(InvalidInput):
    """What is wrong in a definition; `place` is FILE:LINE once it is known."""

    def __init__(self, message: str, hint: str | None = None, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message, hint)
        self.text = message
        self.place = place

    def at(self, place: str) -> Fault:
        """Of several places the innermost counts."""
        if self.place or not place:
            return self
        return Fault(self.text, self.hint, place)


class Set(list):  # type: ignore[type-arg]  # a list everywhere but where it is made and indexed
    """Each value once, in the order in which sets are gone through."""

    def __init__(self, values: Iterable[Any]) -> None:
        super().__init__(sorted(distinct(values), key=_order))


def distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not any(equal(value, other) for other in found):
            found.append(value)
    return found


def _order(value: Any) -> tuple[int, Any]:
    if isinstance(value, str):
        return 1, value
    if is_number(value) or isinstance(value, bool):
        return 0, value
    return 2, to_json(value)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """What people call it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if is_number(value):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Set):
        return "set"
    return "list" if isinstance(value, list) else "object"


def equal(one: Any, other: Any) -> bool:
    """Of the same kind and the same: 1 is neither "1" nor true."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return kind(one) == kind(other) and bool(one == other)


def number(value: Decimal) -> int | Decimal:
    """Whole numbers are ints."""
    return int(value) if value == value.to_integral_value() else value


def to_number(value: Any) -> int | Decimal:
    if is_number(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        try:
            found = Decimal(value)
        except InvalidOperation:
            found = Decimal("nan")
        if found.is_finite() and "_" not in value:
            return number(found)
        raise Fault(f'"{value}" is not a number')
    raise Fault(f"a number is needed, not {kind(value)}")


def to_int(value: Any) -> int:
    found = to_number(value)
    if not isinstance(found, int):
        raise Fault(f"a whole number is needed, not {to_text(found)}")
    return found


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in _TRUE and isinstance(value, str):
        return True
    if value in _FALSE and isinstance(value, str):
        return False
    shown = f'"{value}"' if isinstance(value, str) else kind(value)
    raise Fault(f"true or false is needed, not {shown}")


def to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value.normalize(EXACT), "f")
    raise Fault(f"a string is needed, not {kind(value)}")


def to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise Fault(f"a list is needed, not {kind(value)}")


def to_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Fault(f"an object is needed, not {kind(value)}")


def elements(value: Any) -> list[tuple[Any, Any]]:
    """Keys and values of what can be gone through, in its order."""
    if isinstance(value, Set):
        return [(each, each) for each in value]
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, dict):
        return sorted(value.items())
    raise Fault(f"cannot go through {kind(value)}: a list or an object is needed")


def from_json(text: str) -> Any:
    import json

    try:
        return plain(json.loads(text, parse_float=Decimal))
    except ValueError as error:
        raise Fault(f"this is no JSON: {str(error).lower()}") from error


def plain(value: Any) -> Any:
    """Of other readers: floats are Decimals here."""
    if isinstance(value, float):
        return number(Decimal(repr(value)))
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return value


def to_json(value: Any) -> str:
    """In one line, keys in order, as Go writes it."""
    if isinstance(value, dict):
        inside = ",".join(f"{_quoted(key)}:{to_json(each)}" for key, each in sorted(value.items()))
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{','.join(to_json(each) for each in value)}]"
    if value is None:
        return "null"
    return _quoted(value) if isinstance(value, str) else to_text(value)


def _quoted(text: str) -> str:
    import json

    return escaped_as_go(json.dumps(text, ensure_ascii=False))


def escaped_as_go(text: str) -> str:
    """Of JSON: Go's encoder keeps it harmless within HTML."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
