"""Functions of lists, sets and objects."""

from __future__ import annotations

from rcrun.formats.bake.nodes import item
from rcrun.formats.bake.values import (
    Fault,
    Set,
    distinct,
    elements,
    equal,
    kind,
    to_dict,
    to_list,
    to_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal
    from typing import Any


MOST = 1024  # elements of a range, as elsewhere


def _has(values: Sequence[Any], wanted: Any) -> bool:
    return any(equal(value, wanted) for value in values)


def _chunks(values: list[Any], size: int) -> list[Any]:
    if size < 0:
        raise Fault("a size is not negative")
    if size == 0:
        return [values]
    return [values[at : at + size] for at in range(0, len(values), size)]


def _first(*values: Any) -> Any:
    for value in values:
        if value is not None:
            return value
    raise Fault("all of them are null")


def _first_list(*values: Any) -> Any:
    for value in values:
        if value:
            return value
    raise Fault("all of them are empty")


def _element(values: list[Any], position: int) -> Any:
    """Beyond the end it begins again."""
    if not values:
        raise Fault("the list is empty")
    return values[position % len(values)]


def _flat(values: list[Any]) -> list[Any]:
    return [
        inside
        for value in values
        for inside in (_flat(value) if isinstance(value, list) else [value])
    ]


def _has_index(value: Any, key: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(key, str) and key in value
    if not isinstance(value, list):
        raise Fault(f"a list or an object is needed, not {kind(value)}")
    return isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value)


def _index_of(values: list[Any], wanted: Any) -> int:
    for position, value in enumerate(values):
        if equal(value, wanted):
            return position
    raise Fault("the list has no such element")


def _length(value: Any) -> int:
    if not isinstance(value, (list, dict)):
        raise Fault(f"a list or an object is needed, not {kind(value)}", "of a string: strlen")
    return len(value)


def _looked_up(found: dict[str, Any], key: str, *default: Any) -> Any:
    if key in found:
        return found[key]
    if default:
        return default[0]
    raise Fault(f'there is no "{key}" in this object')


def _merged(*values: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for value in values:
        made.update({} if value is None else to_dict(value))
    return made


def _range(*limits: int | Decimal) -> list[Any]:
    """END, or BEGIN, END and perhaps STEP; without END itself."""
    at, end = (limits[0], limits[1]) if len(limits) > 1 else (0, limits[0])
    step = limits[2] if len(limits) > 2 else 1 if at <= end else -1
    if step == 0 or (end - at) / step > MOST:
        raise Fault(f"this range has no end, or more than {MOST} elements")
    made: list[Any] = []
    while (at < end) if step > 0 else (at > end):
        made.append(at)
        at += step
    return made


def _slice(values: list[Any], begin: int, end: int) -> list[Any]:
    if not 0 <= begin <= end <= len(values):
        raise Fault(f"there is no part from {begin} to {end} of a list of {len(values)}")
    return values[begin:end]


def _sorted(values: list[Any]) -> list[str]:
    return sorted(to_text(value) for value in values)


def _product(*lists: list[Any]) -> list[Any]:
    from itertools import product

    made = [list(each) for each in product(*lists)]
    return Set(made) if all(isinstance(each, Set) for each in lists) else made


def _zipped(keys: list[Any], values: list[Any]) -> dict[str, Any]:
    if len(keys) != len(values):
        raise Fault(f"there are {len(keys)} keys and {len(values)} values")
    return {to_text(key): value for key, value in zip(keys, values, strict=True)}


def _keys(value: Any) -> list[str]:
    return sorted(to_dict(value))


def _values(value: Any) -> list[Any]:
    return [each for _, each in elements(value)]


def _common(first: list[Any], *others: list[Any]) -> Set:
    return Set(value for value in first if all(_has(other, value) for other in others))


def _union(*lists: list[Any]) -> Set:
    return Set(value for values in lists for value in values)


def _without(one: list[Any], other: list[Any]) -> Set:
    return Set(value for value in one if not _has(other, value))


def _either(first: list[Any], *others: list[Any]) -> Set:
    made = Set(first)
    for other in others:
        made = Set([*_without(made, other), *_without(other, made)])
    return made


TABLE: dict[str, tuple[str, Callable[..., Any]]] = {
    "chunklist": ("li", _chunks),
    "coalesce": ("a*a", _first),
    "coalescelist": ("a*a", _first_list),
    "compact": ("l", lambda values: [value for value in values if value not in (None, "")]),
    "concat": ("l*l", lambda *lists: [value for values in lists for value in values]),
    "contains": ("la", _has),
    "distinct": ("l", distinct),
    "element": ("li", _element),
    "flatten": ("l", _flat),
    "hasindex": ("aa", _has_index),
    "index": ("aa", item),
    "indexof": ("la", _index_of),
    "keys": ("a", _keys),
    "length": ("a", _length),
    "lookup": ("ds?a", _looked_up),
    "merge": ("*a", _merged),
    "range": ("n?nn", _range),
    "reverselist": ("l", lambda values: to_list(values)[::-1]),
    "sethaselement": ("la", _has),
    "setintersection": ("l*l", _common),
    "setproduct": ("l*l", _product),
    "setsubtract": ("ll", _without),
    "setsymmetricdifference": ("l*l", _either),
    "setunion": ("l*l", _union),
    "slice": ("lii", _slice),
    "sort": ("l", _sorted),
    "values": ("a", _values),
    "zipmap": ("ll", _zipped),
}
