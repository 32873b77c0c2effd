"""`$NAME`, `${NAME}` and `${NAME:-text}` with its kin, in the texts of a compose file."""

from __future__ import annotations

import re

from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Lookup = Callable[[str], str | None]

_DOLLAR = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)|.?)", re.DOTALL)
_SIGNS = (":-", ":?", ":+", "-", "?", "+")


def filled(value: Any, lookup: Lookup, name: str) -> Any:
    """The same with every text in it filled in."""
    if isinstance(value, dict):
        return {key: filled(each, lookup, name) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, lookup, name) for each in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        return _text(value, lookup)
    except Fault as fault:
        raise fault.at(name) from fault


def _text(text: str, lookup: Lookup) -> str:
    made = []
    position = 0
    while found := _DOLLAR.search(text, position):
        made.append(text[position : found.start()])
        position = found.end()
        if found[0] == "$$":
            made.append("$")
        elif found[1]:
            made.append(lookup(found[1]) or "")
        elif found[2]:
            end = _end_of(text, position)
            made.append(_chosen(found[2], text[position : end - 1], lookup))
            position = end
        else:
            raise Fault(f'"{text}" has a $ that means nothing', "write $$ for the sign itself")
    return "".join([*made, text[position:]])


def _end_of(text: str, position: int) -> int:
    depth = 1
    while position < len(text):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
        if depth == 0:
            return position
    raise Fault(f'"{text}" has a "${{" without a "}}"')


def _chosen(name: str, rest: str, lookup: Lookup) -> str:
    value = lookup(name)
    if not rest:
        return value or ""
    sign = next((each for each in _SIGNS if rest.startswith(each)), None)
    if sign is None:
        raise Fault(f'"${{{name}{rest}}}" means nothing')
    word = rest[len(sign) :]
    there = bool(value) if sign.startswith(":") else value is not None
    if sign.endswith("+"):
        return _text(word, lookup) if there else ""
    if there:
        return value or ""
    if sign.endswith("?"):
        raise Fault(f'the variable "{name}" is not set: {_text(word, lookup)}'.removesuffix(": "))
    return _text(word, lookup)
