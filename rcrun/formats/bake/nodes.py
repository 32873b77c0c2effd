"""Expressions as trees; each node knows its value in a scope, and the line that it stands in."""

from __future__ import annotations

from decimal import Decimal, DivisionByZero, InvalidOperation

from rcrun.formats.bake.scope import Lazy, Local
from rcrun.formats.bake.values import (
    EXACT,
    Fault,
    Set,
    elements,
    equal,
    kind,
    number,
    to_bool,
    to_int,
    to_number,
    to_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.formats.bake.scope import Scope


class Node:
    """`place` is FILE:LINE."""

    __slots__ = ("place",)
    place: str

    def __init__(self, place: str) -> None:
        self.place = place

    def value(self, scope: Scope) -> Any:
        try:
            return self.find(scope)
        except Fault as fault:
            raise fault.at(self.place) from fault.__cause__
        except RecursionError:
            raise Fault("this leads to itself", None, self.place) from None

    def find(self, scope: Scope) -> Any:
        raise NotImplementedError


class Literal(Node):
    __slots__ = ("known",)

    def __init__(self, place: str, known: Any) -> None:
        super().__init__(place)
        self.known = known

    def find(self, scope: Scope) -> Any:
        return self.known


class Name(Node):
    __slots__ = ("name",)

    def __init__(self, place: str, name: str) -> None:
        super().__init__(place)
        self.name = name

    def find(self, scope: Scope) -> Any:
        return scope.value(self.name)


class Template(Node):
    """Its parts one after the other; a single expression keeps its kind."""

    __slots__ = ("parts",)

    def __init__(self, place: str, parts: Sequence[Node]) -> None:
        super().__init__(place)
        self.parts = parts

    def find(self, scope: Scope) -> Any:
        if len(self.parts) == 1 and not isinstance(self.parts[0], (Repeated, Chosen)):
            return self.parts[0].value(scope)
        return "".join(_inserted(part.value(scope), part) for part in self.parts)


def _inserted(value: Any, part: Node) -> str:
    if value is None:
        raise Fault("null cannot be put into a string", None, part.place)
    try:
        return to_text(value)
    except Fault as fault:
        raise Fault(f"{kind(value)} cannot be put into a string", None, part.place) from fault


class Chosen(Node):
    """`%{ if }`."""

    __slots__ = ("condition", "no", "yes")

    def __init__(self, place: str, condition: Node, yes: Node, no: Node) -> None:
        super().__init__(place)
        self.condition, self.yes, self.no = condition, yes, no

    def find(self, scope: Scope) -> Any:
        part = self.yes if to_bool(self.condition.value(scope)) else self.no
        return _inserted(part.value(scope), part)


class Repeated(Node):
    """`%{ for }`."""

    __slots__ = ("body", "collection", "names")

    def __init__(self, place: str, names: Sequence[str], collection: Node, body: Node) -> None:
        super().__init__(place)
        self.names, self.collection, self.body = names, collection, body

    def find(self, scope: Scope) -> Any:
        inner = (_bound(scope, self.names, pair) for pair in elements(self.collection.value(scope)))
        return "".join(_inserted(self.body.value(each), self.body) for each in inner)


def _bound(scope: Scope, names: Sequence[str], pair: tuple[Any, Any]) -> Local:
    return Local(scope, dict(zip(names, pair if len(names) == 2 else pair[1:], strict=True)))


class ListOf(Node):
    __slots__ = ("items",)

    def __init__(self, place: str, items: Sequence[Node]) -> None:
        super().__init__(place)
        self.items = items

    def find(self, scope: Scope) -> Any:
        return [item.value(scope) for item in self.items]


class ObjectOf(Node):
    """A bare name as a key is itself."""

    __slots__ = ("pairs",)

    def __init__(self, place: str, pairs: Sequence[tuple[Node, Node]]) -> None:
        super().__init__(place)
        self.pairs = pairs

    def find(self, scope: Scope) -> Any:
        return {_key(key.value(scope)): value.value(scope) for key, value in self.pairs}


def _key(value: Any) -> str:
    if value is None:
        raise Fault("null cannot be a key")
    return to_text(value)


class For(Node):
    """`[for …]`, and with a key `{for …}`; `grouped` gathers values of the same key."""

    __slots__ = ("collection", "condition", "grouped", "key", "names", "result")

    def __init__(
        self,
        place: str,
        names: Sequence[str],
        collection: Node,
        result: Node,
        *,
        key: Node | None = None,
        condition: Node | None = None,
        grouped: bool = False,
    ) -> None:
        super().__init__(place)
        self.names, self.collection, self.result = names, collection, result
        self.key, self.condition, self.grouped = key, condition, grouped

    def find(self, scope: Scope) -> Any:
        pairs = elements(self.collection.value(scope))
        scopes = [_bound(scope, self.names, pair) for pair in pairs]
        if self.condition is not None:
            scopes = [each for each in scopes if to_bool(self.condition.value(each))]
        if self.key is None:
            return [self.result.value(each) for each in scopes]
        found: dict[str, Any] = {}
        for each in scopes:
            key, value = _key(self.key.value(each)), self.result.value(each)
            if self.grouped:
                found.setdefault(key, []).append(value)
            elif key in found:
                raise Fault(f'two values have the key "{key}"', "gather them: VALUE...")
            else:
                found[key] = value
        return found


class Call(Node):
    """`spread`: the last argument is a list of arguments."""

    __slots__ = ("arguments", "name", "spread")

    def __init__(self, place: str, name: str, arguments: Sequence[Node], *, spread: bool) -> None:
        super().__init__(place)
        self.name, self.arguments, self.spread = name, arguments, spread

    def find(self, scope: Scope) -> Any:
        function = scope.function(self.name)
        try:
            return function(self.arguments, scope, self.spread)
        except Fault as fault:
            if fault.place:
                raise
            raise Fault(f"{self.name}: {fault.text}", fault.hint, self.place) from fault


class Index(Node):
    """`of[key]`, and `of.key`."""

    __slots__ = ("key", "of")

    def __init__(self, place: str, of: Node, key: Node) -> None:
        super().__init__(place)
        self.of, self.key = of, key

    def find(self, scope: Scope) -> Any:
        return item(self.of.value(scope), self.key.value(scope))


def item(value: Any, key: Any) -> Any:
    if isinstance(value, Lazy):
        return value.attribute(to_text(key))
    if isinstance(value, dict):
        name = to_text(key)
        if name not in value:
            raise Fault(f'there is no "{name}" in this object')
        return value[name]
    if isinstance(value, list) and not isinstance(value, Set):
        position = to_int(key)
        if not 0 <= position < len(value):
            raise Fault(f"there is no element {position} in a list of {len(value)}")
        return value[position]
    shown = to_text(key) if kind(key) in ("string", "number") else kind(key)
    raise Fault(f'cannot take "{shown}" of {kind(value)}')


class Each(Node):
    """What a splat's further words begin with."""

    __slots__ = ()

    def find(self, scope: Scope) -> Any:
        return scope.value("*")


class Splat(Node):
    """`of[*]…` and `of.*…`: the same of every element; of null it is empty, of another value that value alone."""

    __slots__ = ("of", "rest")

    def __init__(self, place: str, of: Node, rest: Node) -> None:
        super().__init__(place)
        self.of, self.rest = of, rest

    def find(self, scope: Scope) -> Any:
        value = self.of.value(scope)
        values = value if isinstance(value, list) else [] if value is None else [value]
        return [self.rest.value(Local(scope, {"*": each})) for each in values]


class Conditional(Node):
    __slots__ = ("condition", "no", "yes")

    def __init__(self, place: str, condition: Node, yes: Node, no: Node) -> None:
        super().__init__(place)
        self.condition, self.yes, self.no = condition, yes, no

    def find(self, scope: Scope) -> Any:
        return (self.yes if to_bool(self.condition.value(scope)) else self.no).value(scope)


class Unary(Node):
    __slots__ = ("of", "sign")

    def __init__(self, place: str, sign: str, of: Node) -> None:
        super().__init__(place)
        self.sign, self.of = sign, of

    def find(self, scope: Scope) -> Any:
        value = self.of.value(scope)
        return not to_bool(value) if self.sign == "!" else -to_number(value)


class Binary(Node):
    __slots__ = ("left", "right", "sign")

    def __init__(self, place: str, sign: str, left: Node, right: Node) -> None:
        super().__init__(place)
        self.sign, self.left, self.right = sign, left, right

    def find(self, scope: Scope) -> Any:
        left = self.left.value(scope)
        if self.sign == "&&":
            return to_bool(left) and to_bool(self.right.value(scope))
        if self.sign == "||":
            return to_bool(left) or to_bool(self.right.value(scope))
        return operated(self.sign, left, self.right.value(scope))


def operated(sign: str, left: Any, right: Any) -> Any:
    if sign in ("==", "!="):
        return equal(left, right) == (sign == "==")
    one, other = Decimal(to_number(left)), Decimal(to_number(right))
    compared = {"<": one < other, ">": one > other, "<=": one <= other, ">=": one >= other}
    if sign in compared:
        return compared[sign]
    try:
        return number(_CALCULATE[sign](one, other))
    except (DivisionByZero, InvalidOperation):
        raise Fault("cannot divide by zero") from None


_CALCULATE = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
    "/": EXACT.divide,
    "%": EXACT.remainder,
}
