"""JSON → bodies, as HCL's own rules say it: strings are templates, and what is a block depends on its name."""

from __future__ import annotations

from rcrun.formats.bake import hcl, nodes
from rcrun.formats.bake.body import Block, Body
from rcrun.formats.bake.values import Fault, from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rcrun.formats.bake.nodes import Node

LABELLED = ("variable", "function", "target", "group")
# Expressions of the language itself, as texts: types, and the names of parameters.
_WORDS = ("type", "params", "variadic_params")


def read(text: str, name: str) -> Body:
    try:
        value = from_json(text)
    except Fault as fault:
        raise fault.at(name) from fault.__cause__
    made = Body()
    for part in _objects(value, name):
        for key, inside in part.items():
            if key in LABELLED:
                made.blocks += _blocks(key, inside, name)
            elif key != "//":
                made.attributes[key] = node(inside, name)
    return made


def _objects(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """One object, or a list of them."""
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, dict):
            raise Fault("an object is needed here", None, name)
        yield part


def _blocks(word: str, value: Any, name: str) -> Iterator[Block]:
    for part in _objects(value, name):
        for label, inside in part.items():
            for content in _objects(inside, f"{name}: {word} {label}"):
                yield Block(word, [label], _body(word, content, name), f"{name}: {word} {label}")


def _body(word: str, content: dict[str, Any], name: str) -> Body:
    made = Body()
    for key, value in content.items():
        if word == "variable" and key == "validation":
            for part in _objects(value, name):
                made.blocks.append(Block(key, [], _body(key, part, name), name))
        elif word in ("variable", "function") and key in _WORDS:
            made.attributes[key] = _words(value, name)
        elif key != "//":
            made.attributes[key] = node(value, name)
    return made


def _words(value: Any, name: str) -> Node:
    if isinstance(value, list):
        return nodes.ListOf(name, [_words(each, name) for each in value])
    return hcl.expression(value, name, 0) if isinstance(value, str) else nodes.Literal(name, value)


def node(value: Any, name: str) -> Node:
    if isinstance(value, str):
        return text(value, name)
    if isinstance(value, list):
        return nodes.ListOf(name, [node(each, name) for each in value])
    if isinstance(value, dict):
        pairs = [(text(key, name), node(each, name)) for key, each in value.items()]
        return nodes.ObjectOf(name, pairs)
    return nodes.Literal(name, value)


def text(value: str, name: str) -> Node:
    if "${" not in value and "%{" not in value:
        return nodes.Literal(name, value)
    return hcl.template(value, name, 0)
