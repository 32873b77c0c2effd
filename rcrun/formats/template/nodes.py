"""The tree of a template; `str()` of a node is its text for messages."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Node:
    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, at: int, text: str) -> None:
        self.at = at
        self.text = text


class Literal(Node):
    """A string, a number, a boolean, or nil."""

    __slots__ = ("source", "value")

    def __init__(self, at: int, value: Any, source: str) -> None:
        self.at = at
        self.value = value
        self.source = source

    def __str__(self) -> str:
        return self.source


class Function(Node):
    __slots__ = ("name",)

    def __init__(self, at: int, name: str) -> None:
        self.at = at
        self.name = name

    def __str__(self) -> str:
        return self.name


class Operand(Node):
    """A base and the fields behind it: `.`, `.a.b`, `$x.a`, `(pipeline).a`; no base means the dot."""

    __slots__ = ("base", "names")

    def __init__(self, at: int, base: Pipeline | str | None, names: Sequence[str]) -> None:
        self.at = at
        self.base = base
        self.names = list(names)

    def __str__(self) -> str:
        fields = "".join([f".{name}" for name in self.names])
        if self.base is None:
            return fields or "."
        return f"({self.base}){fields}" if isinstance(self.base, Pipeline) else self.base + fields


class Pipeline(Node):
    """Commands, of which each hands its value on; the variables that take the last one."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(self, at: int) -> None:
        self.at = at
        self.variables: list[str] = []
        self.assigns = False  # `=`, not `:=`
        self.commands: list[list[Node]] = []

    def __str__(self) -> str:
        stages = " | ".join(
            [" ".join([str(word) for word in command]) for command in self.commands]
        )
        sign = "=" if self.assigns else ":="
        return f"{', '.join(self.variables)} {sign} {stages}" if self.variables else stages


class Action(Node):
    __slots__ = ("pipeline",)

    def __init__(self, at: int, pipeline: Pipeline) -> None:
        self.at = at
        self.pipeline = pipeline


class Branch(Node):
    """`if`, `with` or `range`."""

    __slots__ = ("body", "kind", "otherwise", "pipeline")

    def __init__(
        self, at: int, kind: str, pipeline: Pipeline, body: list[Node], otherwise: list[Node]
    ) -> None:
        self.at = at
        self.kind = kind
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Jump(Node):
    """`break` or `continue`."""

    __slots__ = ("kind",)

    def __init__(self, at: int, kind: str) -> None:
        self.at = at
        self.kind = kind


class Include(Node):
    """`template "NAME" PIPELINE`."""

    __slots__ = ("name", "pipeline")

    def __init__(self, at: int, name: str, pipeline: Pipeline | None) -> None:
        self.at = at
        self.name = name
        self.pipeline = pipeline

    def __str__(self) -> str:
        return f'{{{{template "{self.name}"}}}}'
