"""HCL → bodies and expressions: python-hcl2 reads the language, what its tree means is said here."""

from __future__ import annotations

import re
from decimal import Decimal

from rcrun.errors import HostLacks
from rcrun.formats.bake import nodes, templates
from rcrun.formats.bake.body import Block, Body
from rcrun.formats.bake.templates import Piece
from rcrun.formats.bake.values import Fault, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rcrun.formats.bake.nodes import Node

_MISSING = "python-hcl2 is not installed: without it no HCL is read"
_INSTALL = "run: python3 -m pip install python-hcl2"
# Where the tree has what people may leave out.
_NOISE = ("new_line_or_comment",)
_SHOWN = {
    "$END": "the end of the file",
    "NL_OR_COMMENT": "the end of the line",
    "STRING_CHARS": "this",
}
_MARGIN = re.compile(r"[ \t]*")


def read(text: str, name: str) -> Body:
    """`name` is that of the file, for errors."""
    return _Reader(name, 0).body(_tree(text, name).children[0])


def expression(text: str, name: str, line: int) -> Node:
    """Of one expression alone, whose first line is `line` of a file; 0: lines mean nothing there."""
    above = line - 2 if line else None
    tree = _tree(f"_ = (\n{text}\n)\n", name, above)
    attribute = next(each for each in tree.children[0].children if _is(each, "attribute"))
    node = _Reader(name, above).node(attribute.children[-1])
    if isinstance(node, nodes.Template) and isinstance(node.parts[0], nodes.Name):
        return node.parts[0]  # the parentheses were ours
    return node


def template(text: str, name: str, line: int) -> Node:
    """Of a text that has no quotes around it: backslashes are backslashes."""
    place = f"{name}:{line}" if line else name
    try:
        pieces = templates.split(text, lambda inside: expression(inside, name, line))
        return templates.assembled(place, pieces)
    except Fault as fault:
        raise fault.at(place) from fault.__cause__


def _tree(text: str, name: str, above: int | None = 0) -> Any:
    from rcrun.packages import installed

    try:
        reader = installed("hcl2")
        errors = installed("lark.exceptions")
    except ImportError as error:
        raise HostLacks(_MISSING, _INSTALL) from error
    try:
        return reader.parses_to_tree(text)
    except errors.UnexpectedToken as error:
        place = _placed(name, error.line, above)
        raise _unexpected(error.token.type, error.token, place) from error
    except errors.UnexpectedInput as error:
        raise Fault("this is not HCL", None, _placed(name, error.line, above)) from error


def _placed(name: str, line: int | None, above: int | None) -> str:
    return name if line is None or above is None else f"{name}:{line + above}"


def _unexpected(kind: str, token: str, place: str) -> Fault:
    shown = _SHOWN.get(kind) or f'"{token.strip()}"'
    return Fault(f"this is not HCL: {shown} is not expected here", None, place)


def _is(child: Any, *names: str) -> bool:
    return getattr(child, "data", None) in names


class _Reader:
    """Turns the trees of one file into ours; `above` is added to their line numbers, which mean nothing without."""

    def __init__(self, name: str, above: int | None) -> None:
        self._name = name
        self._above = above
        self._made: dict[str, Callable[[Any, str], Node]] = {
            "expr_term": self._term,
            "string": self._string,
            "template_string": lambda tree, place: self._quoted(str(tree.children[0]), place),
            "identifier": lambda tree, place: nodes.Name(place, str(tree.children[0])),
            "keyword": lambda tree, place: nodes.Name(place, str(tree.children[0])),
            "literal_value": self._literal,
            "int_lit": self._number,
            "float_lit": self._number,
            "tuple": lambda tree, place: nodes.ListOf(place, self._all(tree)),
            "object": self._object,
            "function_call": self._call,
            "heredoc_template": self._heredoc,
            "heredoc_template_trim": self._heredoc,
            "index_expr_term": self._taken,
            "get_attr_expr_term": self._taken,
            "attr_splat_expr_term": self._splat,
            "full_splat_expr_term": self._splat,
            "for_tuple_expr": self._for,
            "for_object_expr": self._for,
            "conditional": lambda tree, place: nodes.Conditional(place, *self._all(tree)),
            "binary_op": self._binary,
            "unary_op": lambda tree, place: nodes.Unary(
                place, str(tree.children[0]), self.node(tree.children[1])
            ),
        }

    # ---- bodies

    def body(self, tree: Any) -> Body:
        made = Body()
        for child in tree.children:
            if _is(child, "attribute"):
                name, place = _bare(child.children[0]), self._place(child)
                if name in made.attributes:
                    raise Fault(f'"{name}" is said twice', None, place)
                made.attributes[name] = self.node(child.children[-1])
            elif _is(child, "block"):
                made.blocks.append(self._block(child))
        return made

    def _block(self, tree: Any) -> Block:
        words = [self._label(child) for child in tree.children if not _is(child, "body", *_NOISE)]
        words = [word for word in words if word is not None]
        body = next(child for child in tree.children if _is(child, "body"))
        return Block(
            str(words[0]), [str(word) for word in words[1:]], self.body(body), self._place(tree)
        )

    def _label(self, child: Any) -> str | None:
        if _is(child, "string"):
            node = self.node(child)
            if not isinstance(node, nodes.Literal):
                raise Fault("a label is a plain string", None, self._place(child))
            return str(node.known)
        return _bare(child) if hasattr(child, "data") else None

    def _place(self, tree: Any) -> str:
        return _placed(self._name, getattr(tree.meta, "line", None), self._above)

    # ---- expressions

    def node(self, tree: Any) -> Node:
        place = self._place(tree)
        made = self._made.get(tree.data)
        if made is None:
            raise Fault("this is no expression", None, place)
        return made(tree, place)

    def _all(self, tree: Any) -> list[Node]:
        return [
            self.node(child)
            for child in tree.children
            if hasattr(child, "data") and not _is(child, *_NOISE)
        ]

    def _term(self, tree: Any, place: str) -> Node:
        """In parentheses a name is an expression, also as a key."""
        (inside,) = self._all(tree)
        if isinstance(inside, nodes.Name) and len(tree.children) > 1:
            return nodes.Template(place, [inside])
        return inside

    def _literal(self, tree: Any, place: str) -> Node:
        return nodes.Literal(place, {"true": True, "false": False, "null": None}[tree.children[0]])

    def _number(self, tree: Any, place: str) -> Node:
        return nodes.Literal(place, number(Decimal(str(tree.children[0]))))

    def _object(self, tree: Any, place: str) -> Node:
        pairs = []
        for child in tree.children:
            if _is(child, "object_elem"):
                key, value = child.children[0].children[0], child.children[-1]
                pairs.append((self._key(key), self.node(value)))
        return nodes.ObjectOf(place, pairs)

    def _key(self, tree: Any) -> Node:
        node = self.node(tree)
        return nodes.Literal(node.place, node.name) if isinstance(node, nodes.Name) else node

    def _call(self, tree: Any, place: str) -> Node:
        name = "::".join(_bare(child) for child in tree.children if _is(child, "identifier"))
        inside = next((child for child in tree.children if _is(child, "arguments")), None)
        arguments = self._all(inside) if inside is not None else []
        spread = inside is not None and "..." in [str(child) for child in inside.children]
        return nodes.Call(place, name, arguments, spread=spread)

    def _taken(self, tree: Any, place: str) -> Node:
        return self._step(self.node(tree.children[0]), tree.children[1])

    def _step(self, of: Node, tree: Any) -> Node:
        """One `.name`, `.0` or `[…]` behind something."""
        place = self._place(tree)
        last = tree.children[-1]
        if _is(tree, "get_attr"):
            return nodes.Index(place, of, nodes.Literal(place, _bare(last)))
        if _is(tree, "short_index"):
            return nodes.Index(place, of, nodes.Literal(place, int(last)))
        (key,) = self._all(tree)
        return nodes.Index(place, of, key)

    def _splat(self, tree: Any, place: str) -> Node:
        rest: Node = nodes.Each(place)
        for step in tree.children[1].children[1:]:
            rest = self._step(rest, step)
        return nodes.Splat(place, self.node(tree.children[0]), rest)

    def _for(self, tree: Any, place: str) -> Node:
        intro = next(child for child in tree.children if _is(child, "for_intro"))
        cond = next((child for child in tree.children if _is(child, "for_cond")), None)
        parts = self._all_but(tree, "for_intro", "for_cond")
        *names, collection = self._all_but(intro)
        return nodes.For(
            place,
            [name.name for name in names if isinstance(name, nodes.Name)],
            collection,
            parts[-1],
            key=parts[0] if len(parts) == 2 else None,
            condition=self._all(cond)[0] if cond is not None else None,
            grouped="..." in [str(child) for child in tree.children],
        )

    def _all_but(self, tree: Any, *names: str) -> list[Node]:
        return [
            self.node(child)
            for child in tree.children
            if hasattr(child, "data") and not _is(child, *names, *_NOISE)
        ]

    def _binary(self, tree: Any, place: str) -> Node:
        term = next(child for child in tree.children[1:] if _is(child, "binary_term"))
        sign = str(term.children[0].children[0]).strip().rpartition("\n")[2].strip()
        return nodes.Binary(place, sign, self.node(tree.children[0]), self._all_signless(term))

    def _all_signless(self, term: Any) -> Node:
        return self._all_but(term, "binary_operator")[0]

    # ---- strings

    def _string(self, tree: Any, place: str) -> Node:
        parts = [child.children[0] for child in tree.children if _is(child, "string_part")]
        pieces = [piece for part in parts for piece in self._pieces(part)]
        try:
            return templates.assembled(place, pieces)
        except Fault as fault:
            raise fault.at(place) from fault.__cause__

    def _pieces(self, part: Any) -> list[Piece]:
        if hasattr(part, "data"):
            return [self._piece(part)]
        if part.type not in ("ESCAPED_INTERPOLATION", "ESCAPED_DIRECTIVE"):
            return [self._text(part, str(part))]
        # Up to the first "}", which may be that of an expression behind it.
        rest = str(part)[3:]
        first = Piece("text", text=str(part)[1:3])
        if "${" not in rest:
            return [first, self._text(part, rest)]
        return [first, Piece("value", node=expression(f'"{rest}"', self._name, self._line(part)))]

    def _piece(self, part: Any) -> Piece:
        if part.data == "interpolation":
            return Piece("value", node=self._all(part)[0])
        marks = [str(child) for child in part.children if not hasattr(child, "data")]
        left, right = marks[1] == "~", marks[-2] == "~"
        word = str(part.data).removeprefix("template_").removesuffix("_start")
        inside = self._all(part)
        names = [node.name for node in inside[:-1] if isinstance(node, nodes.Name)]
        node = inside[-1] if inside else None
        return Piece(word, node=node, names=names, left=left, right=right)

    def _line(self, token: Any) -> int:
        return 0 if self._above is None else int(token.line) + self._above

    def _text(self, token: Any, text: str) -> Piece:
        try:
            return Piece("text", text=templates.unescaped(text))
        except Fault as fault:
            raise fault.at(_placed(self._name, token.line, self._above)) from fault.__cause__

    def _quoted(self, text: str, place: str) -> Node:
        """`\\"text\\"` within a directive of a string."""
        return nodes.Literal(place, templates.unescaped(text[2:-2]))

    def _heredoc(self, tree: Any, place: str) -> Node:
        lines = str(tree.children[0]).strip("\r\n").splitlines(keepends=True)
        text = _dedented(lines[1:-1]) if lines[0].startswith("<<-") else "".join(lines[1:-1])
        line = self._line(tree.children[0])
        return template(text, self._name, line and line + 1)


def _bare(tree: Any) -> str:
    return str(tree.children[0]) if hasattr(tree, "data") else str(tree)


def _dedented(lines: Sequence[str]) -> str:
    """Without the white space that all lines begin with, blank ones left out of account."""
    margins = [len(_MARGIN.match(line)[0]) for line in lines if line.strip()]  # type: ignore[index]
    least = min(margins, default=0)
    return "".join(line[least:] if line.strip() else line for line in lines)
