"""Looks into a JSON value of any shape, for rules about what a schema cannot say: what is not there, or not of the
right kind, is nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str | int, ...]
    Fault = tuple[Path, str]  # where, and what is wrong there


def at(value: object, *path: str | int) -> Any:
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and isinstance(name, int) and name < len(value):
            value = value[name]
        else:
            return None
    return value


def items(value: object) -> list[tuple[int, Any]]:
    return list(enumerate(value)) if isinstance(value, list) else []


def members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def strings(value: object) -> list[tuple[int, str]]:
    return [(index, word) for index, word in items(value) if isinstance(word, str)]


def words_of(value: object) -> set[str]:
    return {word for _, word in strings(value)}


def integer(value: object, name: str) -> int | None:
    found = at(value, name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
