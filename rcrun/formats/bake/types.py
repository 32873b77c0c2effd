"""Types of variables: `string`, `list(number)`, `object({a = bool})`, …; what they make of values and of texts of the environment."""

from __future__ import annotations

from rcrun.formats.bake import nodes
from rcrun.formats.bake.values import (
    Fault,
    Set,
    from_json,
    is_number,
    kind,
    to_bool,
    to_number,
    to_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.formats.bake.nodes import Node

_PRIMITIVE = ("string", "number", "bool")
_GOOD_TRUE, _GOOD_FALSE = (
    ("1", "t", "T", "true", "TRUE", "True"),
    ("0", "f", "F", "false", "FALSE", "False"),
)


class Type:
    """`word` is what it is called; `inside` what it consists of, by name for an object."""

    __slots__ = ("inside", "names", "word")

    def __init__(self, word: str, inside: Sequence[Type] = (), names: Sequence[str] = ()) -> None:
        self.word = word
        self.inside = list(inside)
        self.names = list(names)

    def __str__(self) -> str:
        """As docker shows it."""
        if self.word in ("list", "set", "map"):
            return f"{self.word} of {self.inside[0]}"
        return {"any": "dynamic"}.get(self.word, self.word)


ANY = Type("any")


def constraint(node: Node) -> Type:
    """Only what is written; a type is never the value of something."""
    if isinstance(node, nodes.Name) and node.name in (*_PRIMITIVE, "any"):
        return Type(node.name)
    if isinstance(node, nodes.Call) and len(node.arguments) == 1:
        (inside,) = node.arguments
        if node.name in ("list", "set", "map"):
            return Type(node.name, [constraint(inside)])
        if node.name == "tuple" and isinstance(inside, nodes.ListOf):
            return Type("tuple", [constraint(each) for each in inside.items])
        if node.name == "object" and isinstance(inside, nodes.ObjectOf):
            names = [key.known for key, _ in inside.pairs if isinstance(key, nodes.Literal)]
            return Type("object", [constraint(each) for _, each in inside.pairs], names)
    raise Fault(
        "this is no type",
        "write string, number, bool, any, list(TYPE), set(TYPE), map(TYPE), tuple([TYPE…]) or object({NAME = TYPE…})",
        node.place,
    )


def converted(value: Any, wanted: Type) -> Any:
    """The value as one of this type."""
    if value is None or wanted.word == "any":
        return value
    if wanted.word in _PRIMITIVE:
        return {"string": to_text, "number": to_number, "bool": to_bool}[wanted.word](value)
    if wanted.word in ("list", "set") and isinstance(value, list):
        made = [converted(each, wanted.inside[0]) for each in value]
        return Set(made) if wanted.word == "set" else made
    if wanted.word == "tuple" and isinstance(value, list) and len(value) == len(wanted.inside):
        return [converted(each, inside) for each, inside in zip(value, wanted.inside, strict=True)]
    if wanted.word == "map" and isinstance(value, dict):
        return {key: converted(each, wanted.inside[0]) for key, each in value.items()}
    if wanted.word == "object" and isinstance(value, dict) and set(wanted.names) <= set(value):
        pairs = zip(wanted.names, wanted.inside, strict=True)
        return {name: converted(value[name], inside) for name, inside in pairs}
    raise Fault(f"{wanted} is needed, not {kind(value)}")


def from_words(text: str, wanted: Type) -> Any:
    """Of a variable of the environment: one value, or several with commas between them."""
    if wanted.word in _PRIMITIVE:
        return primitive(text, wanted.word)
    if wanted.word in ("list", "set") and wanted.inside[0].word in _PRIMITIVE:
        made = [primitive(each, wanted.inside[0].word) for each in fields(text)]
        return Set(made) if wanted.word == "set" else made
    if wanted.word == "tuple" and all(each.word in _PRIMITIVE for each in wanted.inside):
        words = fields(text)
        if len(words) != len(wanted.inside):
            raise Fault(f"{len(wanted.inside)} values are needed, not {len(words)}")
        return [primitive(word, each.word) for word, each in zip(words, wanted.inside, strict=True)]
    if wanted.word == "map" and wanted.inside[0].word in _PRIMITIVE:
        return dict(_pair(word, wanted.inside[0].word) for word in fields(text))
    raise Fault(f"{wanted} cannot be given as words", "give it as JSON: NAME_JSON=…")


def from_json_of(text: str, wanted: Type) -> Any:
    return converted(from_json(text), wanted)


def _pair(word: str, wanted: str) -> tuple[str, Any]:
    parts = fields(word, ":")
    if len(parts) != 2:
        raise Fault(f'"{word}" is not KEY:VALUE')
    return parts[0], primitive(parts[1], wanted)


def fields(text: str, separator: str = ",") -> list[str]:
    import csv

    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [""]) or [""]
    except csv.Error as error:
        raise Fault(f'"{text}" is no list with "{separator}": {error}') from error


def primitive(text: str, wanted: str) -> Any:
    if wanted == "bool":
        if text not in (*_GOOD_TRUE, *_GOOD_FALSE):
            raise Fault(f'"{text}" is neither true nor false')
        return text in _GOOD_TRUE
    if wanted == "number":
        return to_number(text.strip())
    return text


def like(text: str, value: Any) -> Any:
    """Of the kind that a default has."""
    if value is None or isinstance(value, str):
        return text
    if isinstance(value, bool):
        return primitive(text, "bool")
    if is_number(value):
        return primitive(text, "number")
    raise Fault(
        f"{kind(value)} needs a type to be given from outside", "add type = … to the variable"
    )
