"""Texts with `${…}` and `%{…}`: found in what here-documents and JSON have, and put together with their ifs and loops."""

from __future__ import annotations

import re

from rcrun.formats.bake.nodes import Chosen, Literal, Node, Repeated, Template
from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEAD = re.compile(r"\$\$\{|%%\{|\$\{~?|%\{~?")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_LOOP = re.compile(r"([^\W\d][\w-]*)(?:\s*,\s*([^\W\d][\w-]*))?\s+in\s+(.*)", re.DOTALL)


class Piece:
    """A text, an expression or a directive. `left` and `right`: it takes the white space there away."""

    __slots__ = ("left", "names", "node", "right", "text", "word")

    def __init__(
        self,
        word: str,
        *,
        text: str = "",
        node: Node | None = None,
        names: Sequence[str] = (),
        left: bool = False,
        right: bool = False,
    ) -> None:
        self.word = word  # text value if else endif for endfor
        self.text = text
        self.node = node
        self.names = names
        self.left = left
        self.right = right


def unescaped(text: str) -> str:
    """What stands between quotes."""

    def meant(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        if code:
            return chr(int(code, 16))
        if found[3] not in _SIMPLE:
            raise Fault(f'"\\{found[3]}" means nothing in a string', "write \\\\ for a backslash")
        return _SIMPLE[found[3]]

    return _ESCAPE.sub(meant, text)


def split(text: str, expression: Callable[[str], Node]) -> list[Piece]:
    """The pieces of a text in which backslashes are backslashes; each line is one, and so stripping ends with it."""
    pieces: list[Piece] = []
    position = 0
    while found := _HEAD.search(text, position):
        pieces += _lines(text[position : found.start()])
        if found[0] in ("$${", "%%{"):
            pieces.append(Piece("text", text=found[0][1:]))
            position = found.end()
            continue
        position = _end_of(text, found.end())
        inside = text[found.end() : position - 1]
        left, right = found[0].endswith("~"), inside.endswith("~")
        inside = (inside[:-1] if right else inside).strip()
        if found[0].startswith("$"):
            pieces.append(Piece("value", node=expression(inside), left=left, right=right))
        else:
            pieces.append(_directive(inside, expression, left, right))
    return [*pieces, *_lines(text[position:])]


def _lines(text: str) -> list[Piece]:
    return [Piece("text", text=line) for line in text.splitlines(keepends=True)]


def _end_of(text: str, begin: int) -> int:
    """Behind the brace that closes what is opened before `begin`."""
    depth, position = 1, begin
    while position < len(text):
        char = text[position]
        if char == '"':
            position = _end_of_string(text, position + 1)
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        position += 1
        if depth == 0:
            return position
    raise Fault('"${" has no "}"', "write $${ for the text itself")


def _end_of_string(text: str, position: int) -> int:
    while position < len(text):
        if text.startswith(("$${", "%%{"), position):
            position += 3
        elif text.startswith(("${", "%{"), position):
            position = _end_of(text, position + 2)
        elif text[position] == "\\":
            position += 2
        elif text[position] == '"':
            return position + 1
        else:
            position += 1
    raise Fault("a string within ${} does not end")


def _directive(text: str, expression: Callable[[str], Node], left: bool, right: bool) -> Piece:
    word, _, rest = text.partition(" ")
    if word in ("else", "endif", "endfor") and not rest.strip():
        return Piece(word, left=left, right=right)
    if word == "if":
        return Piece("if", node=expression(rest), left=left, right=right)
    loop = _LOOP.fullmatch(rest.strip())
    if word != "for" or loop is None:
        raise Fault(f'"%{{{text}}}" means nothing', "it is if, else, endif, for or endfor")
    names = [name for name in loop.groups()[:2] if name]
    return Piece("for", node=expression(loop[3]), names=names, left=left, right=right)


def assembled(place: str, pieces: Sequence[Piece]) -> Node:
    """One template of pieces whose ends fit their beginnings."""
    reader = _Reader(place, _trimmed(pieces))
    node = reader.until(())
    if isinstance(node, Template) and not node.parts:
        return Literal(place, "")
    if isinstance(node, Template) and len(node.parts) == 1 and isinstance(node.parts[0], Literal):
        return node.parts[0]
    return node


def _trimmed(pieces: Sequence[Piece]) -> list[Piece]:
    texts = [piece.text for piece in pieces]
    for position, piece in enumerate(pieces):
        if piece.left and position > 0:
            texts[position - 1] = texts[position - 1].rstrip()
        if piece.right and position + 1 < len(pieces):
            texts[position + 1] = texts[position + 1].lstrip()
    changed = [
        Piece("text", text=text) if piece.word == "text" else piece
        for piece, text in zip(pieces, texts, strict=True)
    ]
    return [piece for piece in changed if piece.word != "text" or piece.text]


class _Reader:
    """Goes through the pieces once."""

    def __init__(self, place: str, pieces: list[Piece]) -> None:
        self._place = place
        self._rest = pieces[::-1]

    def until(self, ends: Sequence[str]) -> Node:
        """A template up to one of these directives, which stays."""
        parts: list[Node] = []
        while self._rest and self._rest[-1].word not in ends:
            piece = self._rest.pop()
            if piece.word == "text":
                parts.append(Literal(self._place, piece.text))
            elif piece.word == "value" and piece.node is not None:
                parts.append(piece.node)
            else:
                parts.append(self._structure(piece))
        if ends and not self._rest:
            raise Fault(f"a template has no %{{{ends[-1]}}}", None, self._place)
        return Template(self._place, parts)

    def _structure(self, piece: Piece) -> Node:
        if piece.node is None:
            raise Fault(f"%{{{piece.word}}} ends nothing", None, self._place)
        if piece.word == "for":
            body = self.until(("endfor",))
            self._rest.pop()
            return Repeated(self._place, piece.names, piece.node, body)
        yes, no = self.until(("else", "endif")), Template(self._place, [])
        if self._rest.pop().word == "else":
            other = self.until(("endif",))
            self._rest.pop()
            return Chosen(self._place, piece.node, yes, other)
        return Chosen(self._place, piece.node, yes, no)
