"""Tokens to a tree; every fault that Go finds before it executes is found here."""

from __future__ import annotations

from rcrun.formats.template.faults import TemplateError, parse_error
from rcrun.formats.template.lexer import Lexer, Token
from rcrun.formats.template.nodes import (
    Action,
    Branch,
    Function,
    Include,
    Jump,
    Literal,
    Node,
    Operand,
    Pipeline,
    Text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    Templates = dict[str, list[Node]]

_OPERAND_KINDS = frozenset(("word", "dot", "field", "variable", "string", "char", "number", "open"))


def parse(source: str, functions: Collection[str], *, escapes: bool = False) -> Templates:
    """The templates of a text by name; the text itself is the one without a name."""
    parser = Parser(source, functions, escapes=escapes)
    body, stop = parser.block(set())
    if stop is not None:
        raise parser.fault(stop.at, f"unexpected {{{{{stop.text}}}}}")
    return {**parser.templates, "": body}


MAX_NESTING = 100


class Parser:
    __slots__ = (
        "_at",
        "_depth",
        "_functions",
        "_loops",
        "_source",
        "_tokens",
        "_variables",
        "templates",
    )

    def __init__(self, source: str, functions: Collection[str], *, escapes: bool = False) -> None:
        self._source = source
        self._functions = functions
        self._tokens = Lexer(source, escapes=escapes).tokens()
        self._at = 0
        self._variables = ["$"]
        self._loops = 0
        self._depth = 0
        self.templates: Templates = {}

    def block(self, ends: set[str]) -> tuple[list[Node], Token | None]:
        """Nodes up to one of these keywords, which has been read, or to the end of the text."""
        self._deeper()
        nodes: list[Node] = []
        while (token := self._next()).kind != "eof":
            if token.kind == "text":
                nodes.append(Text(token.at, token.text))
                continue
            word = self._skip_space()
            if word.kind != "keyword" or word.text == "nil":
                nodes.append(Action(token.at, self._pipeline("right", "command")))
                continue
            self._next()
            if word.text in ends or word.text in ("end", "else"):
                self._depth -= 1
                return nodes, word
            nodes.extend(self._keyword(word))
        if ends:
            raise self.fault(token.at, "unexpected EOF")
        return nodes, None

    def _keyword(self, word: Token) -> list[Node]:
        if word.text in ("if", "with", "range"):
            return [self._branch(word)]
        if word.text in ("break", "continue"):
            self._expect_right(f"{{{{{word.text}}}}}")
            if not self._loops:
                raise self.fault(word.at, f"{{{{{word.text}}}}} outside {{{{range}}}}")
            return [Jump(word.at, word.text)]
        if word.text == "template":
            at, name = self._name("template clause")
            return [Include(at, name, self._optional_pipeline())]
        if word.text == "block":
            at, name = self._name("block clause")
            pipeline = self._pipeline("right", "block clause")
            self._define(name)
            return [Include(at, name, pipeline)]
        assert word.text == "define", word.text
        if self._depth > 1:
            raise self.fault(word.at, "unexpected <define> in command")
        _, name = self._name("define clause")
        self._expect_right("define clause")
        self._define(name)
        return []

    def _branch(self, word: Token) -> Branch:
        mark = len(self._variables)
        pipeline = self._pipeline("right", word.text)
        self._loops += word.text == "range"
        body, stop = self.block({"end", "else"})
        self._loops -= word.text == "range"
        otherwise: list[Node] = []
        if stop is not None and stop.text == "else":
            otherwise = self._otherwise(word)
        elif stop is not None:
            self._expect_right("end")
        del self._variables[mark:]
        return Branch(word.at, word.text, pipeline, body, otherwise)

    def _otherwise(self, word: Token) -> list[Node]:
        """What follows `{{else`: ` if …}}` or ` with …}}` chains, or a block."""
        following = self._skip_space()
        if following.kind == "keyword" and following.text == word.text != "range":
            self._next()
            return [self._branch(following)]
        self._expect_right("else")
        body, stop = self.block({"end"})
        if stop is not None and stop.text != "end":
            raise self.fault(stop.at, "expected end; found {{else}}")
        self._expect_right("end")
        return body

    def _define(self, name: str) -> None:
        """The body of `define` and `block`: it sees no variables but `$`."""
        outer, self._variables = self._variables, ["$"]
        loops, self._loops = self._loops, 0
        body, stop = self.block({"end"})
        if stop is not None and stop.text != "end":
            raise self.fault(stop.at, "unexpected {{else}} in define clause")
        self._expect_right("end")
        self._variables, self._loops = outer, loops
        if self.templates.get(name) and body:
            raise self.fault(self._peek().at, f'multiple definition of template "{name}"')
        self.templates[name] = body or self.templates.get(name, body)

    def _name(self, context: str) -> tuple[int, str]:
        self._skip_space()
        token = self._next()
        if token.kind != "string":
            raise self._unexpected(token, context)
        self._skip_space()
        return token.at, token.text

    def _optional_pipeline(self) -> Pipeline | None:
        if self._peek().kind == "right":
            self._next()
            return None
        return self._pipeline("right", "template clause")

    def _expect_right(self, context: str) -> None:
        self._skip_space()
        token = self._next()
        if token.kind != "right":
            raise self._unexpected(token, context)

    def _pipeline(self, end: str, context: str) -> Pipeline:
        """A pipeline up to `}}` or `)`, which is read too."""
        token = self._skip_space()
        self._deeper()
        pipeline = Pipeline(token.at)
        self._declaration(pipeline, context)
        while True:
            self._skip_space()
            command = self._command(context)
            token = self._next()
            if token.kind == "right" != end:
                raise self.fault(token.at, "unclosed left paren")
            if token.kind not in (end, "pipe"):
                raise self._unexpected(token, context)
            if command:
                pipeline.commands.append(command)
            elif token.kind == "pipe" or pipeline.commands:
                raise self.fault(token.at, "missing value for command")
            if token.kind == end:
                self._check(pipeline, context, token)
                self._depth -= 1
                return pipeline

    def _deeper(self) -> None:
        """Blocks and parentheses are read by recursion, which Python bounds less kindly."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.fault(self._peek().at, "nested too deeply")

    def _check(self, pipeline: Pipeline, context: str, end: Token) -> None:
        if not pipeline.commands:
            raise self.fault(end.at, f"missing value for {context}")
        for number, command in enumerate(pipeline.commands[1:], 2):
            if isinstance(command[0], Literal):
                raise self.fault(end.at, f"non executable command in pipeline stage {number}")

    def _declaration(self, pipeline: Pipeline, context: str) -> None:
        """`$x :=`, `$x =`, and for range `$i, $v :=`."""
        names: list[Token] = []
        mark = self._at
        while self._peek().kind == "variable":
            names.append(self._next())
            sign = self._skip_space()
            if sign.kind in ("declare", "assign"):
                self._next()
                pipeline.variables = [name.text for name in names]
                pipeline.assigns = sign.kind == "assign"
                return self._bind(pipeline, names)
            if sign.kind != "comma":
                break
            if context != "range" or len(names) == 2:
                raise self.fault(sign.at, f"too many declarations in {context}")
            self._next()
            self._skip_space()
        self._at = mark
        return None

    def _bind(self, pipeline: Pipeline, names: list[Token]) -> None:
        if not pipeline.assigns:
            self._variables.extend(pipeline.variables)
            return
        for name in names:
            self._known_variable(name)

    def _known_variable(self, token: Token) -> None:
        if token.text not in self._variables:
            raise self.fault(token.at, f'undefined variable "{token.text}"')

    def _command(self, context: str) -> list[Node]:
        """Operands with spaces between; the token behind is left."""
        words: list[Node] = []
        while self._skip_space().kind in _OPERAND_KINDS or self._is_nil():
            words.append(self._operand(context))
            after = self._peek()
            if after.kind not in ("space", "right", "close", "pipe", "eof"):
                raise self.fault(after.at, f'unexpected "{after.text}" in operand')
        return words

    def _is_nil(self) -> bool:
        return self._peek().text == "nil" and self._peek().kind == "keyword"

    def _operand(self, context: str) -> Node:
        node = self._term(context)
        if self._peek().kind == "field":
            node.at, first = self._peek().at, node.at  # Go tells the place of the second name
            names = self._fields()
            if isinstance(node, Literal):
                raise self.fault(first, f"unexpected . after term <{node}>")
            if isinstance(node, Operand) and node.base is None and not node.names:
                raise self.fault(first, 'unexpected . after term "."')
            if isinstance(node, Function):
                pipeline = Pipeline(node.at)
                pipeline.commands.append([node])
                return Operand(node.at, pipeline, names)
            assert isinstance(node, Operand)
            node.names.extend(names)
        return node

    def _fields(self) -> list[str]:
        names = []
        while self._peek().kind == "field":
            names.append(self._next().text[1:])
        return names

    def _term(self, context: str) -> Node:
        token = self._next()
        if token.kind == "dot":
            return Operand(token.at, None, [])
        if token.kind == "field":
            return Operand(token.at, None, [token.text[1:]])
        if token.kind == "variable":
            self._known_variable(token)
            return Operand(token.at, token.text, [])
        if token.kind == "open":
            return Operand(token.at, self._pipeline("close", "parenthesized pipeline"), [])
        if token.kind == "word":
            return self._word(token)
        return self._literal(token)

    def _word(self, token: Token) -> Node:
        if token.text in ("true", "false"):
            return Literal(token.at, token.text == "true", token.text)
        if token.text not in self._functions:
            raise self.fault(token.at, f'function "{token.text}" not defined')
        return Function(token.at, token.text)

    def _literal(self, token: Token) -> Literal:
        if token.kind == "string":
            return Literal(token.at, token.text, '"' + token.text + '"')
        if token.kind == "char":
            return Literal(token.at, ord(token.text), f"'{token.text}'")
        if token.kind == "keyword":
            return Literal(token.at, None, "nil")
        try:
            return Literal(token.at, number(token.text), token.text)
        except ValueError:
            raise self.fault(token.at, f'bad number syntax: "{token.text}"') from None

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "eof"
        return token

    def _skip_space(self) -> Token:
        while self._peek().kind == "space":
            self._at += 1
        return self._peek()

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind == "eof":
            return self.fault(token.at, "unexpected EOF")
        shown = f"<{token.text}>" if token.kind == "keyword" else f'"{token.text}"'
        return self.fault(token.at, f"unexpected {shown} in {context}")

    def fault(self, at: int, text: str) -> TemplateError:
        return parse_error(self._source, at, text)


def number(text: str) -> int | float:
    """Go's spelling: 0x1F, 0b1, 0o17, 017, 1_000, 1.5e3."""
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits[:1] == "0" and digits[1:].replace("_", "").isdigit():
        return sign * int(digits, 8)
    try:
        return sign * int(digits, 0)
    except ValueError:
        return sign * (float.fromhex(digits) if digits[:2] in ("0x", "0X") else float(digits))
