"""Where names of a definition lead: to variables, to what a loop or a call has set, to functions."""

from __future__ import annotations

from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from rcrun.formats.bake.nodes import Node

    class Scope(Protocol):
        """Looks up what an expression names."""

        def value(self, name: str) -> Any: ...
        def function(self, name: str) -> Callable[[Sequence[Node], Scope, bool], Any]: ...


class Local:
    """A scope around which another one stands."""

    __slots__ = ("_outer", "_values")

    def __init__(self, outer: Scope, values: Mapping[str, Any]) -> None:
        self._outer = outer
        self._values = values

    def value(self, name: str) -> Any:
        return self._values[name] if name in self._values else self._outer.value(name)

    def function(self, name: str) -> Callable[[Sequence[Node], Scope, bool], Any]:
        return self._outer.function(name)


class Nothing:
    """The scope of what may name nothing."""

    def value(self, name: str) -> Any:
        raise Fault(f'there is no variable "{name}" here')

    def function(self, name: str) -> Callable[[Sequence[Node], Scope, bool], Any]:
        raise Fault(f'there is no function "{name}" here')


class Lazy:
    """A value whose attributes are found when they are asked for: the blocks of one kind, or one of them."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[str], Any]) -> None:
        self._find = find

    def attribute(self, name: str) -> Any:
        return self._find(name)
