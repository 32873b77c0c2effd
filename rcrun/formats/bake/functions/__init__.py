"""The functions of the language: found by name, their arguments converted as their rows say."""

from __future__ import annotations

from rcrun.formats.bake.functions import collections, encodings, numbers, texts, times
from rcrun.formats.bake.types import constraint, converted
from rcrun.formats.bake.values import (
    Fault,
    to_bool,
    to_dict,
    to_int,
    to_list,
    to_number,
    to_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.bake.nodes import Node
    from rcrun.formats.bake.scope import Scope

    Function = Callable[[Sequence[Node], Scope, bool], Any]
    # What each argument is, and what makes the value: letters of _CONVERT, `?` before what may be left out, `*`
    # before what may come any number of times.
    Row = tuple[str, Callable[..., Any]]

_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "s": to_text,
    "n": to_number,
    "i": to_int,
    "b": to_bool,
    "l": to_list,
    "d": to_dict,
    "a": lambda value: value,
}
TABLE: dict[str, Row] = {
    **collections.TABLE,
    **encodings.TABLE,
    **numbers.TABLE,
    **texts.TABLE,
    **times.TABLE,
}
MISSING = {
    "bcrypt": "a definition makes no hashes of passwords",
    "rsadecrypt": "a definition reads no secrets",
}


def function(name: str) -> Function | None:
    """None where there is none of this name."""
    if name in _LAZY:
        return _LAZY[name]
    if name in MISSING:
        raise Fault(f'the function "{name}" is not possible: {MISSING[name]}')
    row = TABLE.get(name)
    return plain(*row) if row else None


def plain(signature: str, made: Callable[..., Any]) -> Function:
    """A function that looks at the values of its arguments alone."""

    def called(arguments: Sequence[Node], scope: Scope, spread: bool) -> Any:
        return made(*_converted(signature, evaluated(arguments, scope, spread)))

    return called


def evaluated(arguments: Sequence[Node], scope: Scope, spread: bool) -> list[Any]:
    values = [argument.value(scope) for argument in arguments]
    return [*values[:-1], *to_list(values[-1])] if spread else values


def _converted(signature: str, values: Sequence[Any]) -> list[Any]:
    fixed, _, rest = signature.partition("*")
    needed, _, optional = fixed.partition("?")
    letters = needed + optional
    if len(values) < len(needed) or (len(values) > len(letters) and not rest):
        least = "at least " if rest or optional else ""
        count = f"{least}{len(needed)} argument{'s' if len(needed) != 1 else ''}"
        raise Fault(f"it takes {count}, not {len(values)}")
    letters += rest * (len(values) - len(letters))
    return [
        _CONVERT[letter](value)
        for letter, value in zip(letters[: len(values)], values, strict=True)
    ]


# ---- functions of expressions


def _can(arguments: Sequence[Node], scope: Scope, spread: bool) -> Any:
    (argument,) = _exactly(arguments, 1)
    try:
        argument.value(scope)
    except Fault:
        return False
    return True


def _try(arguments: Sequence[Node], scope: Scope, spread: bool) -> Any:
    reasons = []
    for argument in arguments:
        try:
            return argument.value(scope)
        except Fault as fault:
            reasons.append(fault.text)
    raise Fault(f"none of them has a value: {'; '.join(reasons)}")


def _convert(arguments: Sequence[Node], scope: Scope, spread: bool) -> Any:
    value, wanted = _exactly(arguments, 2)
    return converted(value.value(scope), constraint(wanted))


def _exactly(arguments: Sequence[Node], count: int) -> Sequence[Node]:
    if len(arguments) != count:
        raise Fault(f"it takes {count} argument{'s' if count != 1 else ''}, not {len(arguments)}")
    return arguments


_LAZY: dict[str, Function] = {"can": _can, "convert": _convert, "try": _try}


def own(name: str, names: Sequence[str], rest: str, result: Node, scope: Scope) -> Function:
    """What a `function` block says: `names` are its parameters, `rest` the one that takes what is left."""
    from rcrun.formats.bake.scope import Local

    busy: list[int] = []

    def called(arguments: Sequence[Node], caller: Scope, spread: bool) -> Any:
        values = evaluated(arguments, caller, spread)
        if len(values) < len(names) or (len(values) > len(names) and not rest):
            raise Fault(f"it takes {len(names)} arguments ({', '.join(names)}), not {len(values)}")
        if busy:
            raise Fault(f'the function "{name}" leads to itself')
        bound = dict(zip(names, values[: len(names)], strict=True))
        if rest:
            bound[rest] = values[len(names) :]
        busy.append(1)
        try:
            return result.value(Local(scope, bound))
        finally:
            busy.pop()

    return called


def near(name: str, others: Iterable[str]) -> str:
    """What may have been meant."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, [*TABLE, *_LAZY, *others], 1)), "")
