"""A template's text in tokens. Spaces inside an action are tokens: `.a.b` and `.a .b` differ."""

from __future__ import annotations

from rcrun.formats.template.faults import TemplateError, parse_error

KEYWORDS = frozenset(
    (
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "nil",
        "range",
        "template",
        "with",
    )
)
_BLANKS = " \t\r\n"
_OPERATORS = {"|": "pipe", "(": "open", ")": "close", ",": "comma", "=": "assign"}
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}


class Token:
    """`kind` is text, left, right, space, word, keyword, field, variable, dot, string, char, number, or an operator."""

    __slots__ = ("at", "kind", "text")

    def __init__(self, kind: str, text: str, at: int) -> None:
        self.kind = kind
        self.text = text
        self.at = at


class Lexer:
    __slots__ = ("_at", "_escapes", "_source", "_tokens")

    def __init__(self, source: str, *, escapes: bool = False) -> None:
        self._source = source
        self._escapes = escapes
        self._at = 0
        self._tokens: list[Token] = []

    def tokens(self) -> list[Token]:
        """All of them; the last is `eof`."""
        trim = False
        while True:
            start = self._source.find("{{", self._at)
            self._text(start if start >= 0 else len(self._source), trim)
            if start < 0:
                break
            trim = self._action(start)
        self._tokens.append(Token("eof", "", len(self._source)))
        return self._tokens

    def _text(self, end: int, trim_left: bool) -> None:
        """The text up to an action, without the blanks that trim markers take."""
        text = self._source[self._at : end]
        if trim_left:
            text = text.lstrip(_BLANKS)
        if self._source[end + 2 : end + 3] == "-" and self._source[end + 3 : end + 4] in _BLANKS:
            text = text.rstrip(_BLANKS) if end + 3 < len(self._source) else text
        if self._escapes:
            text = text.replace("\\t", "\t").replace("\\n", "\n")
        if text:
            self._tokens.append(Token("text", text, self._at))

    def _action(self, start: int) -> bool:
        """An action or a comment from its `{{`; whether the text behind it is trimmed."""
        at = start + 2
        if self._source[at : at + 1] == "-" and self._source[at + 1 : at + 2].strip(_BLANKS) == "":
            at += 2
        self._at = at
        if self._source.startswith("/*", at):
            return self._comment(start)
        self._tokens.append(Token("left", "{{", start))
        while True:
            trims = self._right_delimiter()
            if trims is not None:
                return trims
            self._inside()

    def _comment(self, start: int) -> bool:
        end = self._source.find("*/", self._at)
        if end < 0:
            raise self._fault(start, "unclosed comment")
        self._at = end + 2
        trims = self._right_delimiter(comment=True)
        if trims is None:
            raise self._fault(start, "comment ends before closing delimiter")
        return trims

    def _right_delimiter(self, *, comment: bool = False) -> bool | None:
        source, at = self._source, self._at
        trimmed = source[at : at + 1] in tuple(_BLANKS) and source.startswith("-}}", at + 1)
        if not trimmed and not source.startswith("}}", at):
            return None
        self._at = at + 4 if trimmed else at + 2
        if not comment:
            self._tokens.append(Token("right", "}}", at))
        return trimmed

    def _inside(self) -> None:
        """One token of an action."""
        source, at = self._source, self._at
        char = source[at : at + 1]
        if char == "":
            raise self._fault(at, "unclosed action")
        if char in _BLANKS:
            self._take("space", self._end_of_blanks(at))
        elif char == '"' or char == "'":
            self._quoted(char)
        elif char == "`":
            end = source.find("`", at + 1)
            if end < 0:
                raise self._fault(at, "unterminated raw quoted string")
            self._tokens.append(Token("string", source[at + 1 : end], at))
            self._at = end + 1
        elif source.startswith(":=", at):
            self._take("declare", at + 2)
        elif char in _OPERATORS:
            self._take(_OPERATORS[char], at + 1)
        elif char == "." and not source[at + 1 : at + 2].isdigit():
            end = self._end_of_name(at + 1)
            self._take("field" if end > at + 1 else "dot", end)
        elif char.isdigit() or char in "+-.":
            self._take("number", self._end_of_number(at))
        elif char == "$":
            self._take("variable", self._end_of_name(at + 1))
        elif char.isalpha() or char == "_":
            end = self._end_of_name(at)
            self._take("keyword" if source[at:end] in KEYWORDS else "word", end)
        else:
            raise self._fault(at, f"bad character U+{ord(char):04X} '{char}'")

    def _take(self, kind: str, end: int) -> None:
        self._tokens.append(Token(kind, self._source[self._at : end], self._at))
        self._at = end

    def _end_of_blanks(self, at: int) -> int:
        """Leaves the blank that belongs to ` -}}`."""
        while self._source[at : at + 1] in tuple(_BLANKS):
            if self._source.startswith("-}}", at + 1):
                return max(at, self._at)
            at += 1
        return at

    def _end_of_name(self, at: int) -> int:
        while self._source[at : at + 1].isalnum() or self._source[at : at + 1] == "_":
            at += 1
        return at

    def _end_of_number(self, at: int) -> int:
        end = at + 1
        while (char := self._source[end : end + 1]) and (
            char.isalnum()
            or char in "._"
            or (
                char in "+-"
                and self._source[end - 1] in "eEpP"
                and self._source[at : at + 2] != "0x"
            )
        ):
            end += 1
        return end

    def _quoted(self, quote: str) -> None:
        """A Go string or character with its escapes."""
        source, at, text = self._source, self._at + 1, ""
        what = "quoted string" if quote == '"' else "character constant"
        while (char := source[at : at + 1]) != quote:
            if char in ("", "\n"):
                raise self._fault(self._at, f"unterminated {what}")
            if char == "\\":
                char, at = self._escape(at + 1)
            else:
                at += 1
            text += char
        if quote == "'" and len(text) != 1:
            raise self._fault(
                self._at, f"malformed character constant: {source[self._at : at + 1]}"
            )
        self._tokens.append(Token("string" if quote == '"' else "char", text, self._at))
        self._at = at + 1

    def _escape(self, at: int) -> tuple[str, int]:
        """The character that an escape stands for, and where the text goes on."""
        source, char = self._source, self._source[at : at + 1]
        if char in _ESCAPES:
            return _ESCAPES[char], at + 1
        length, base = (_HEX_LENGTHS.get(char, 3), 16 if char in _HEX_LENGTHS else 8)
        digits = source[at + (base == 16) : at + (base == 16) + length]
        try:
            return chr(int(digits, base)), at + (base == 16) + length
        except (ValueError, OverflowError):
            raise self._fault(self._at, "invalid syntax in quoted string") from None

    def _fault(self, at: int, text: str) -> TemplateError:
        return parse_error(self._source, at, text)
