"""The functions of a template: Go's own, and those that docker and podman add."""

from __future__ import annotations

from rcrun.formats.template.faults import CallError
from rcrun.formats.template.fields import zero_of
from rcrun.formats.template.printf import sprint, sprintf, sprintln
from rcrun.formats.template.values import equal, json_text, less, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def _index(item: Any, *keys: Any) -> Any:
    if item is None:
        raise CallError("index of untyped nil")
    for key in keys:
        item = _item(item, key)
    return item


def _item(item: Any, key: Any) -> Any:
    if item is None:
        raise CallError("index of nil pointer")
    if isinstance(item, dict):
        if not isinstance(key, str):
            raise CallError(f"value has type {type_name(key)}; should be string")
        return item[key] if key in item else zero_of(item)
    if not isinstance(item, (list, tuple, str)):
        raise CallError(f"can't index item of type {type_name(item)}")
    sequence = item.encode() if isinstance(item, str) else item
    return sequence[_position(key, len(sequence) - 1)]


def _position(key: Any, last: int) -> int:
    if type(key) is not int:
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key <= last:
        raise CallError(f"index out of range: {key}")
    return key


def _slice(item: Any, *bounds: Any) -> Any:
    if item is None:
        raise CallError("slice of untyped nil")
    if len(bounds) > 3 or (len(bounds) == 3 and isinstance(item, str)):
        raise CallError(f"too many slice indexes: {len(bounds)}")
    if not isinstance(item, (list, tuple, str)):
        raise CallError(f"can't slice item of type {type_name(item)}")
    sequence = item.encode() if isinstance(item, str) else item
    start = _position(bounds[0], len(sequence)) if bounds else 0
    end = _position(bounds[1], len(sequence)) if len(bounds) > 1 else len(sequence)
    if start > end:
        raise CallError(f"invalid slice index: {start} > {end}")
    part = sequence[start:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _len(item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if not isinstance(item, (list, tuple, dict)):
        raise CallError("len of nil pointer" if item is None else f"len of type {type_name(item)}")
    return len(item)


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(equal(first, other) for other in others)


def _call(function: Any, *arguments: Any) -> Any:
    if not callable(function):
        raise CallError(f"non-function of type {type_name(function)}")
    return function(*arguments)


def _text(values: Sequence[Any]) -> str:
    """A nil is what an action would have printed of it."""
    values = ["<no value>" if value is None else value for value in values]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else sprint(values)


_HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"'}


def _html(*values: Any) -> str:
    return "".join([_HTML.get(char, char) for char in _text(values)])


def _js(*values: Any) -> str:
    return "".join([_JS.get(char) or _js_char(char) for char in _text(values)])


def _js_char(char: str) -> str:
    return f"\\u{ord(char):04X}" if char in "<>&=" or not char.isprintable() else char


def _urlquery(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_text(values))


def _strings(items: Any) -> list[str]:
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise CallError(f"wrong type for value; expected []string; got {type_name(items)}")
    return list(items)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise CallError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _title(text: Any) -> str:
    """strings.Title: a letter after anything that is no letter, digit or underscore."""
    last, titled = " ", ""
    for char in _string(text):
        titled += char if last.isalnum() or last == "_" else char.upper()
        last = char
    return titled


def _pad(text: Any, before: Any, after: Any) -> str:
    return " " * _number(before) + text + " " * _number(after) if _string(text) else ""


def _truncate(text: Any, length: Any) -> str:
    return _string(text)[: _number(length)]


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise CallError(f"wrong type for value; expected int; got {type_name(value)}")
    return min(value, 1_000_000)


# `and` and `or` are not here: they stop at the first value that decides.
SHORT_CIRCUIT = ("and", "or")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: values[-1],
    "call": _call,
    "eq": _eq,
    "ge": lambda first, second: not less(first, second),
    "gt": lambda first, second: less(second, first),
    "html": _html,
    "index": _index,
    "join": lambda items, separator="": _string(separator).join(_strings(items)),
    "js": _js,
    "json": json_text,
    "le": lambda first, second: not less(second, first),
    "len": _len,
    "lower": lambda text: _string(text).lower(),
    "lt": less,
    "ne": lambda first, second: not equal(first, second),
    "not": lambda value: not value,
    "or": lambda *values: values[-1],
    "pad": _pad,
    "print": lambda *values: sprint(values),
    "printf": lambda form, *values: sprintf(_string(form), values),
    "println": lambda *values: sprintln(values),
    "slice": _slice,
    "split": lambda text, separator: _split(_string(text), _string(separator)),
    "title": _title,
    "truncate": _truncate,
    "upper": lambda text: _string(text).upper(),
    "urlquery": _urlquery,
}

# Over the titles of columns these change nothing.
HEADER_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "join": lambda title, *_: title,
    "json": lambda title: title,
    "lower": lambda title: title,
    "pad": lambda title, *_: title,
    "slice": lambda title, *_: title,
    "split": lambda title, *_: title,
    "title": lambda title: title,
    "truncate": lambda title, *_: title,
    "upper": lambda title: title,
}
