"""Variables of a definition: a default, a type, a value from outside, and what it must fulfil."""

from __future__ import annotations

from rcrun.formats.bake import types
from rcrun.formats.bake.nodes import Literal
from rcrun.formats.bake.values import Fault, to_bool, to_json, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any

    from rcrun.formats.bake.body import Block
    from rcrun.formats.bake.nodes import Node
    from rcrun.formats.bake.scope import Scope

_KNOWN = ("default", "description", "type")


class Variable:
    __slots__ = ("_json", "_place", "_said", "_text", "_validations", "name", "type")

    def __init__(self, name: str, block: Block) -> None:
        self.name = name
        self._place = block.place
        self._said = block.body.attributes
        self._validations = block.body.blocks_of("validation")
        for key in self._said:
            if key not in _KNOWN:
                raise Fault(
                    f'a variable has no "{key}"', f"it has {', '.join(_KNOWN)}", block.place
                )
        self.type = self._constraint()
        self._text: str | None = None
        self._json: str | None = None

    def _constraint(self) -> types.Type | None:
        node = self._said.get("type")
        if node is None or (isinstance(node, Literal) and node.known is None):
            return None
        return types.constraint(node)

    def given(self, lookup: Callable[[str], str | None], others: Container[str]) -> None:
        """What is set outside: NAME, or NAME_JSON where no variable has that name."""
        self._text = lookup(self.name)
        other = f"{self.name}_JSON"
        if other in others:
            return
        if self.type is not None:
            self._json = lookup(other)
        elif self._text is None:
            self._text = lookup(other)

    def value(self, scope: Scope, attribute: Node | None) -> Any:
        """`attribute`: one of the file's own with the same name, which counts as the default."""
        default = attribute or self._said.get("default")
        try:
            return self._found(scope, default)
        except Fault as fault:
            where = fault.place or self._place
            raise Fault(f'variable "{self.name}": {fault.text}', fault.hint, where) from fault

    def _found(self, scope: Scope, default: Node | None) -> Any:
        known = None if default is None else default.value(scope)
        if self.type is not None:
            known = types.converted(known, self.type)
            if self._json is not None:
                return types.from_json_of(self._json, self.type)
            if self._text is not None:
                return (
                    self._text
                    if self.type.word == "any"
                    else types.from_words(self._text, self.type)
                )
            return known
        if self._text is not None:
            return types.like(self._text, known)
        return "" if default is None else known

    def check(self, scope: Scope) -> None:
        for block in self._validations:
            said = block.body.attributes
            if "condition" not in said or "error_message" not in said:
                hint = "condition = …, error_message = …"
                raise Fault("a validation has a condition and an error_message", hint, block.place)
            result = said["condition"].value(scope)
            try:
                good = to_bool(result)
            except Fault as fault:
                raise fault.at(said["condition"].place) from fault
            if not good:
                message = to_text(said["error_message"].value(scope) or "its value is not possible")
                raise Fault(f'variable "{self.name}": {message}', None, block.place)

    def row(self, scope: Scope) -> dict[str, Any]:
        """For people: what is not known is left out."""
        value = scope.value(self.name)
        description = self._said.get("description")
        row: dict[str, Any] = {"name": self.name}
        if description is not None:
            row["description"] = to_text(description.value(scope) or "")
        if self.type is not None:
            row["type"] = str(self.type)
        if value is not None:
            row["value"] = to_json(value) if isinstance(value, (list, dict)) else to_text(value)
        return {key: each for key, each in row.items() if key in ("name", "value") or each}
