"""Values as Go prints, compares and encodes them."""

from __future__ import annotations

from rcrun.formats.template.faults import CallError
from rcrun.formats.visible import JSON_ESCAPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def truth(value: Any) -> bool:
    """False for the zero value of every type and for empty lists, maps and strings."""
    return bool(value)


def type_name(value: Any) -> str:
    names = {
        bool: "bool", int: "int", float: "float64", str: "string", type(None): "<nil>",
        list: "[]interface {}", tuple: "[]interface {}",
    }  # fmt: skip
    if isinstance(value, (list, tuple)) and value and all(type(item) is str for item in value):
        return "[]string"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return names.get(type(value), type(value).__name__)


def text_of(value: Any) -> str:
    """%v: what an action writes, but for nil."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, dict):
        is_set = getattr(value, "zero", None) == {}  # a map to struct{}, which has no fields
        texts = [f"{key}:{'{}' if is_set else text_of(value[key])}" for key in sorted(value)]
        return f"map[{' '.join(texts)}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join([text_of(item) for item in value])}]"
    return str(value)


def float_text(value: float) -> str:
    """The shortest text that gives the value back; with an exponent below -4 and from 6 on."""
    from decimal import Decimal

    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    sign = "-" if str(value).startswith("-") else ""
    number = Decimal(repr(abs(value))).normalize()
    digits = "".join([str(digit) for digit in number.as_tuple().digits])
    exponent = number.adjusted() if value else 0
    if -5 < exponent < 6:
        return f"{sign}{number:f}"
    mantissa = digits[0] + ("." + digits[1:] if digits[1:] else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def json_text(value: Any) -> str:
    """Compact JSON as Go writes it, without the escapes for HTML; keys stay in their order."""
    import json

    value = getattr(value, "json_form", value)  # an object whose fields are other than its JSON
    if getattr(value, "is_nil", False):
        return "null"
    text = json.dumps(
        _with_whole_numbers(value), separators=(",", ":"), ensure_ascii=False, default=_json_default
    )
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return text.translate(JSON_ESCAPES).encode("utf-8", "replace").decode()


def _with_whole_numbers(value: Any) -> Any:
    """1000.0 is 1000 to Go."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, dict) and not getattr(value, "is_nil", False):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list) and not getattr(value, "is_nil", False):
        return [_with_whole_numbers(item) for item in value]
    return value


def _json_default(value: object) -> object:
    return None if callable(value) else str(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "other"


def equal(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    for value in (first, second):
        if _kind(value) == "other":
            raise CallError(f"non-comparable type {text_of(value)}: {type_name(value)}")
    if _kind(first) != _kind(second):
        raise CallError("incompatible types for comparison")
    return bool(first == second)


def less(first: Any, second: Any) -> bool:
    kinds = {_kind(first), _kind(second)}
    if kinds & {"bool", "other"}:
        raise CallError("invalid type for comparison")
    if len(kinds) > 1:
        raise CallError("incompatible types for comparison")
    return bool(first < second)
