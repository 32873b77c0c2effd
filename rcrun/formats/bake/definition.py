"""One definition of one or more HCL or JSON files: variables, functions and blocks, each evaluated when something needs it."""

from __future__ import annotations

from rcrun.formats.bake import functions, nodes
from rcrun.formats.bake.scope import Lazy, Local
from rcrun.formats.bake.target import GROUP_KINDS, KINDS, Group, Target, check_name, decoded, merged
from rcrun.formats.bake.values import Fault, elements, to_dict, to_list
from rcrun.formats.bake.variables import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from rcrun.formats.bake.body import Block, Body
    from rcrun.formats.bake.functions import Function
    from rcrun.formats.bake.nodes import Node
    from rcrun.formats.bake.scope import Scope

    # The value of a variable that is given from outside, or None.
    Lookup = Callable[[str], str | None]

BLOCKS = ("target", "group")
_NOT_ATTRIBUTES = ("matrix", "name")


class Definition:
    """The scope of all its expressions. `built_in` are variables that no file may set."""

    def __init__(self, bodies: Sequence[Body], lookup: Lookup, built_in: Mapping[str, str]) -> None:
        self._built_in = built_in
        self._functions: dict[str, Block] = {}
        self._made: dict[str, Function] = {}
        self._attributes: dict[str, Node] = {}
        self.variables: dict[str, Variable] = {}
        self.unknown: list[
            tuple[str, str, str]
        ] = []  # a target, what it has no such attribute of, and where
        self._blocks: dict[str, list[Block]] = {word: [] for word in BLOCKS}
        for body in bodies:
            self._take(body)
        for variable in self.variables.values():
            variable.given(lookup, {*self.variables, *built_in})
        self._busy: set[object] = set()
        self._values: dict[str, Any] = {}
        self._said: dict[tuple[int, str, str], Any] = {}
        self._targets: dict[str, list[tuple[Block, Scope]]] | None = None
        self.renamed: dict[str, list[str]] = {}

    def _take(self, body: Body) -> None:
        for name, node in body.attributes.items():
            if name in BLOCKS:
                raise Fault(
                    f'"{name}" is the word of a block', f'{name} "NAME" {{ … }}', node.place
                )
            if name not in self._built_in:
                self._attributes[name] = node
        for block in body.blocks:
            if block.word not in (*BLOCKS, "variable", "function"):
                hint = "there are target, group, variable and function"
                raise Fault(f'there are no blocks "{block.word}"', hint, block.place)
            if len(block.labels) != 1:
                raise Fault(f"a {block.word} has one name", f'{block.word} "NAME"', block.place)
            (name,) = block.labels
            if block.word in BLOCKS:
                self._blocks[block.word].append(block)
            elif name in (*BLOCKS, *self._built_in):
                continue
            elif block.word == "variable":
                self.variables[name] = Variable(name, block)
            else:
                self._functions[name] = block

    # ---- as a scope

    def value(self, name: str) -> Any:
        if name in self._built_in:
            return self._built_in[name]
        if name in BLOCKS:
            return Lazy(lambda label: self._reference(name, label))
        if name not in self._values:
            with self._only_once(name, f'the variable "{name}"'):
                self._values[name] = self._found(name)
        return self._values[name]

    def _found(self, name: str) -> Any:
        default = self._attributes.get(name)
        variable = self.variables.get(name)
        if variable is not None:
            return variable.value(self, default)
        if default is None:
            hint = f'declare it: variable "{name}" {{}}'
            raise Fault(f'there is no variable "{name}"', hint)
        return default.value(self)

    def _only_once(self, key: object, what: str) -> _Once:
        return _Once(self._busy, key, what)

    def function(self, name: str) -> Function:
        found = functions.function(name)
        if found is not None:
            return found
        if name not in self._made:
            block = self._functions.get(name)
            if block is None:
                near = functions.near(name, self._functions)
                raise Fault(f'there is no function "{name}"', near and f"perhaps {near}")
            self._made[name] = _own_function(name, block, self)
        return self._made[name]

    # ---- blocks

    def _reference(self, word: str, name: str) -> Lazy:
        """`target.NAME`: the last of its blocks that says an attribute counts."""
        found = self.named_targets().get(name) if word == "target" else self._group_blocks(name)
        if not found:
            raise Fault(f'there is no {word} "{name}"')
        kinds = KINDS if word == "target" else GROUP_KINDS

        def attribute(key: str) -> Any:
            if key == "name":
                return name
            if key not in kinds:
                raise Fault(f'a {word} has no "{key}"')
            for block, scope in reversed(found):
                if key in block.body.attributes:
                    return self._attribute(block, scope, key)
            return None

        return Lazy(attribute)

    def _group_blocks(self, name: str) -> list[tuple[Block, Scope]]:
        return [(block, self) for block in self._blocks["group"] if block.labels[0] == name]

    def _attribute(self, block: Block, scope: Scope, name: str) -> Any:
        key = (id(block), _words_of(scope), name)
        if key not in self._said:
            what = f'"{block.word}.{block.labels[0]}.{name}"'
            node = block.body.attributes[name]
            with self._only_once(key, what):
                try:
                    kinds = KINDS if block.word == "target" else GROUP_KINDS
                    self._said[key] = decoded(name, node.value(scope), kinds)
                except Fault as fault:
                    raise fault.at(node.place) from fault.__cause__
        return self._said[key]

    def named_targets(self) -> dict[str, list[tuple[Block, Scope]]]:
        """Every target with the blocks that it is made of, and the scope of each."""
        if self._targets is None:
            self._targets = {}
            for block in self._blocks["target"]:
                names = []
                for scope in self._scopes(block):
                    name = self._name(block, scope)
                    if name in names:
                        raise Fault(f'"{name}" is the name of two targets', None, block.place)
                    names.append(name)
                    self._targets.setdefault(name, []).append((block, scope))
                if names != block.labels:
                    self.renamed.setdefault(block.labels[0], []).extend(names)
        return self._targets

    def _scopes(self, block: Block) -> list[Scope]:
        """One, or one for each combination of the values of its matrix."""
        node = block.body.attributes.get("matrix")
        if node is None:
            return [self]
        combined: list[dict[str, Any]] = [{}]
        for key, values in sorted(to_dict(node.value(self)).items()):
            try:
                found = [value for _, value in elements(to_list(values))]
            except Fault:
                raise Fault(f'"matrix": "{key}" is no list', None, node.place) from None
            combined = [{**each, key: value} for value in found for each in combined]
        return [Local(self, each) for each in combined]

    def _name(self, block: Block, scope: Scope) -> str:
        label = check_name(block.labels[0], block.place)
        node = block.body.attributes.get("name")
        if node is None:
            return label
        if "matrix" not in block.body.attributes:
            raise Fault('"name" needs a "matrix"', None, node.place)
        return check_name(node.value(scope), node.place)

    # ---- what comes out

    def check(self) -> None:
        """Everything that no target may need: variables, what they must fulfil, attributes."""
        for name in (*self.variables, *self._attributes):
            self.value(name)
        for name in self._functions:
            self.function(name)
        for variable in self.variables.values():
            variable.check(self)

    def targets(self) -> list[Target]:
        made = []
        for name, blocks in self.named_targets().items():
            said: dict[str, Any] = {}
            for block, scope in blocks:
                said = merged(said, dict(self._attributes_of(block, scope, name)))
            made.append(Target(name, said))
        return made

    def _attributes_of(self, block: Block, scope: Scope, name: str) -> Iterator[tuple[str, Any]]:
        for key, node in block.body.attributes.items():
            if key in _NOT_ATTRIBUTES:
                continue
            if key not in KINDS:
                self.unknown.append((name, key, node.place))
                continue
            value = self._attribute(block, scope, key)
            if value is not None:
                yield key, value

    def groups(self) -> list[Group]:
        made: dict[str, Group] = {}
        for block in self._blocks["group"]:
            name = check_name(block.labels[0], block.place)
            for word in _NOT_ATTRIBUTES:
                if word in block.body.attributes:
                    raise Fault(f'a group has no "{word}"', None, block.place)
            if "targets" not in block.body.attributes:
                raise Fault("a group needs its targets", "targets = [NAME…]", block.place)
            said = {
                key: self._attribute(block, self, key)
                for key in GROUP_KINDS
                if key in block.body.attributes
            }
            made[name] = Group(name, said["targets"] or [], said.get("description") or "")
        return list(made.values())


class _Once:
    """Whoever comes again while this is being found has led to itself."""

    def __init__(self, busy: set[object], key: object, what: str) -> None:
        self._busy, self._key, self._what = busy, key, what

    def __enter__(self) -> None:
        if self._key in self._busy:
            raise Fault(f"{self._what} leads to itself")
        self._busy.add(self._key)

    def __exit__(self, *_: object) -> None:
        self._busy.discard(self._key)


def _words_of(scope: Scope) -> str:
    """A scope of a matrix lives as long as the definition."""
    return str(id(scope))


def _own_function(name: str, block: Block, scope: Scope) -> Function:
    said = block.body.attributes
    for key in ("params", "result"):
        if key not in said:
            raise Fault(f'the function "{name}" has no {key}', None, block.place)
    params, rest = said["params"], said.get("variadic_params")
    names = (
        [_parameter(each) for each in params.items] if isinstance(params, nodes.ListOf) else None
    )
    if names is None:
        raise Fault('"params" is a list of names', None, block.place)
    return functions.own(name, names, _parameter(rest) if rest else "", said["result"], scope)


def _parameter(node: Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    raise Fault("a parameter is a name", None, node.place)
