"""A tree over data. Each fault names the line, the column and the piece of the template."""

from __future__ import annotations

from rcrun.formats.template import nodes
from rcrun.formats.template.faults import CallError, TemplateError, evaluation_error
from rcrun.formats.template.fields import FreeMap, Missing, field_of
from rcrun.formats.template.functions import SHORT_CIRCUIT
from rcrun.formats.template.values import text_of, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

MAX_DEPTH = 50
# Of nodes that are evaluated, and of characters of a value and of the whole text: seconds, and not all of the memory.
MAX_STEPS = 1_000_000
MAX_VALUE = 1 << 24
MAX_TEXT = 1 << 26
_NOTHING = object()  # no value comes through the pipe


class Evaluation:
    """One run of one template: the text so far, and the variables in sight."""

    __slots__ = (
        "_depth", "_functions", "_length", "_name", "_parts", "_source", "_steps", "_templates", "_variables",
    )  # fmt: skip

    def __init__(
        self,
        source: str,
        templates: Mapping[str, list[nodes.Node]],
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._source = source
        self._templates = templates
        self._functions = functions
        self._parts: list[str] = []
        self._variables: list[tuple[str, Any]] = []
        self._name = ""
        self._depth = 0
        self._steps = 0
        self._length = 0

    def run(self, data: Any) -> str:
        self._variables = [("$", data)]
        self._block(self._templates[""], data)
        return "".join(self._parts)

    def _block(self, block: Iterable[nodes.Node], dot: Any) -> str:
        """The jump that ended the block early, or nothing."""
        for node in block:
            self._step(node)
            if isinstance(node, nodes.Text):
                self._write(node, node.text)
            elif isinstance(node, nodes.Action):
                self._action(node, dot)
            elif isinstance(node, nodes.Jump):
                return node.kind
            elif isinstance(node, nodes.Include):
                self._include(node, dot)
            elif isinstance(node, nodes.Branch):
                jump = self._branch(node, dot)
                if jump:
                    return jump
        return ""

    def _step(self, node: nodes.Node) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self._fault(node, f"more than {MAX_STEPS} steps", shown="...")

    def _action(self, node: nodes.Action, dot: Any) -> None:
        value = self._pipeline(node.pipeline, dot)
        if not node.pipeline.variables:
            if callable(value):
                raise self._fault(node.pipeline, f"can't print {node.pipeline} of type func()")
            self._write(node.pipeline, "<no value>" if value is None else text_of(value))

    def _write(self, node: nodes.Node, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_TEXT:
            raise self._fault(node, f"more than {MAX_TEXT >> 20} MiB of text", shown="...")
        self._parts.append(text)

    def _branch(self, node: nodes.Branch, dot: Any) -> str:
        mark = len(self._variables)
        value = self._pipeline(node.pipeline, dot)
        if node.kind == "range":
            jump = self._range(node, value, dot)
        elif truth(value):
            jump = self._block(node.body, value if node.kind == "with" else dot)
        else:
            jump = self._block(node.otherwise, dot)
        del self._variables[mark:]
        return jump

    def _range(self, node: nodes.Branch, value: Any, dot: Any) -> str:
        items = self._items(node, value)
        if not items:
            return self._block(node.otherwise, dot)
        for key, item in items:
            self._step(node)
            mark = len(self._variables)
            self._bind_items(node.pipeline, key, item)
            jump = self._block(node.body, item)
            del self._variables[mark:]
            if jump == "break":
                break
        return ""

    def _items(self, node: nodes.Branch, value: Any) -> list[tuple[Any, Any]]:
        if value is None:
            return []
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, (list, tuple)):
            return list(enumerate(value))
        if type(value) is int and value <= 1_000_000:
            if len(node.pipeline.variables) > 1:
                raise self._fault(
                    node.pipeline.commands[-1][-1],
                    f"can't use {value} to iterate over more than one variable",
                )
            return [(number, number) for number in range(value)]
        raise self._fault(
            node.pipeline.commands[-1][-1], f"range can't iterate over {text_of(value)}"
        )

    def _bind_items(self, pipeline: nodes.Pipeline, key: Any, item: Any) -> None:
        names = pipeline.variables
        pairs = (
            [(names[0], item)] if len(names) == 1 else list(zip(names, (key, item), strict=False))
        )
        for name, value in pairs:
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))

    def _include(self, node: nodes.Include, dot: Any) -> None:
        body = self._templates.get(node.name)
        if body is None:
            raise self._fault(node, f'template "{node.name}" not defined')
        data = self._pipeline(node.pipeline, dot) if node.pipeline is not None else None
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(node, f"exceeded maximum template depth ({MAX_DEPTH})")
        outer = self._variables, self._name
        self._variables, self._name = [("$", data)], node.name
        self._block(body, data)
        self._variables, self._name = outer
        self._depth -= 1

    def _pipeline(self, pipeline: nodes.Pipeline, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        is_range = len(pipeline.variables) == 2
        for name in [] if is_range else pipeline.variables:
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _assign(self, name: str, value: Any) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return

    def _command(self, words: Sequence[nodes.Node], dot: Any, piped: Any) -> Any:
        first, *others = words
        if isinstance(first, nodes.Function):
            return self._call(first, others, dot, piped)
        if isinstance(first, nodes.Operand) and first.names:
            return self._operand(first, dot, others, piped)
        if others or piped is not _NOTHING:
            raise self._fault(first, f"can't give argument to non-function {first}")
        if isinstance(first, nodes.Literal) and first.value is None:
            raise self._fault(first, "nil is not a command")
        return self._value(first, dot)

    def _value(self, node: nodes.Node, dot: Any) -> Any:
        """The value of a word that is an argument."""
        if isinstance(node, nodes.Literal):
            return node.value
        if isinstance(node, nodes.Function):
            return self._call(node, [], dot, _NOTHING)
        assert isinstance(node, nodes.Operand)
        return self._operand(node, dot, [], _NOTHING)

    def _operand(
        self, node: nodes.Operand, dot: Any, arguments: Sequence[nodes.Node], piped: Any
    ) -> Any:
        value = self._base(node, dot)
        for at, name in enumerate(node.names):
            last = at == len(node.names) - 1
            if isinstance(value, FreeMap) and name not in value:
                return None  # and so is every field of it, as Go has it
            value = self._field(node, value, name)
            if callable(value):
                words = [self._value(word, dot) for word in arguments] if last else []
                given = [*words, *([] if piped is _NOTHING or not last else [piped])]
                value = self._apply(node, name, value, given)
            elif last and (arguments or piped is not _NOTHING):
                raise self._fault(node, f"{name} has arguments but cannot be invoked as function")
        return value

    def _base(self, node: nodes.Operand, dot: Any) -> Any:
        if node.base is None:
            return dot
        if isinstance(node.base, nodes.Pipeline):
            return self._pipeline(node.base, dot)
        for name, value in reversed(self._variables):
            if name == node.base:
                return value
        raise self._fault(node, f"undefined variable: {node.base}")  # in its own declaration

    def _field(self, node: nodes.Operand, value: Any, name: str) -> Any:
        try:
            return field_of(value, name)
        except Missing as missing:
            raise self._fault(node, str(missing)) from None

    def _call(
        self, node: nodes.Function, arguments: Sequence[nodes.Node], dot: Any, piped: Any
    ) -> Any:
        if node.name in SHORT_CIRCUIT:
            return self._short_circuit(node, arguments, dot, piped)
        values = [self._value(word, dot) for word in arguments]
        if piped is not _NOTHING:
            values.append(piped)
        whole = " ".join([str(word) for word in (node, *arguments)])
        return self._apply(node, node.name, self._functions[node.name], values, whole)

    def _short_circuit(
        self, node: nodes.Function, arguments: Sequence[nodes.Node], dot: Any, piped: Any
    ) -> Any:
        value: Any = _NOTHING
        for word in arguments:
            value = self._value(word, dot)
            if truth(value) == (node.name == "or"):
                return value
        if piped is not _NOTHING:
            return piped
        if value is _NOTHING:
            raise self._fault(node, f"wrong number of args for {node.name}: want at least 1 got 0")
        return value

    def _apply(
        self,
        node: nodes.Node,
        name: str,
        function: Callable[..., Any],
        values: Sequence[Any],
        whole: str = "",
    ) -> Any:
        trouble = _wrong_count(function, len(values))
        if trouble:
            raise self._fault(node, f"wrong number of args for {name}: {trouble}")
        try:
            answer = function(*values)
        except CallError as error:
            text = f"error calling {name}: {error}"
            raise self._fault(node, text, shown=whole) from None
        if isinstance(answer, str) and len(answer) > MAX_VALUE:
            raise self._fault(node, f"more than {MAX_VALUE >> 20} MiB of text in one value")
        return answer

    def _fault(self, node: nodes.Node, text: str, *, shown: str = "") -> TemplateError:
        return evaluation_error(self._source, self._name, node.at, shown or str(node), text)


def _wrong_count(function: Callable[..., Any], given: int) -> str:
    """How many arguments it wants, if that is not what it is given."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    most = code.co_argcount - (getattr(function, "__self__", None) is not None)
    least = most - len(getattr(function, "__defaults__", None) or ())
    takes_more = bool(code.co_flags & 0x04)  # *values
    if given < least or (given > most and not takes_more):
        return f"want {'at least ' if takes_more or least < most else ''}{least} got {given}"
    return ""
