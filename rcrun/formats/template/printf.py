"""Go's fmt verbs: `%-10s`, `%q`, `%5.1f`, `%v`, and its complaints inside the text (`%!d(string=hi)`)."""

from __future__ import annotations

from rcrun.formats.template.values import float_text, text_of, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any


def sprint(values: Sequence[Any]) -> str:
    """fmt.Sprint: a space between two operands that are no strings."""
    text = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            text += " "
        text += text_of(value)
    return text


def sprintln(values: Sequence[Any]) -> str:
    return " ".join([text_of(value) for value in values]) + "\n"


def sprintf(form: str, values: Sequence[Any]) -> str:
    text = ""
    rest = iter(values)
    at = 0
    while at < len(form):
        start = form.find("%", at)
        if start < 0:
            text += form[at:]
            break
        text += form[at:start]
        verb = _Verb(form, start + 1, rest)
        text += verb.text(rest)
        at = verb.end
    extra = list(rest)
    if extra:
        text += f"%!(EXTRA {', '.join(map(_typed_text, extra))})"
    return text


def _typed_text(value: Any) -> str:
    return "<nil>" if value is None else f"{type_name(value)}={text_of(value)}"


class _Verb:
    """One `%…` with its flags, width and precision."""

    __slots__ = ("end", "flags", "letter", "precision", "trouble", "width")

    def __init__(self, form: str, at: int, values: Iterator[Any]) -> None:
        self.trouble = ""
        start = at
        while form[at : at + 1] in tuple("-+# 0"):
            at += 1
        self.flags = form[start:at]
        width, at = self._number(form, at, values, "WIDTH")
        if width is not None and width < 0:
            self.flags, width = self.flags + "-", -width
        self.width = width or 0
        self.precision: int | None = None
        if form[at : at + 1] == ".":
            precision, at = self._number(form, at + 1, values, "PREC")
            self.precision = precision or 0
        self.letter = form[at : at + 1]
        self.end = at + 1

    def _number(
        self, form: str, at: int, values: Iterator[Any], what: str
    ) -> tuple[int | None, int]:
        if form[at : at + 1] == "*":
            value = next(values, None)
            if type(value) is int and abs(value) <= 1_000_000:
                return value, at + 1
            self.trouble += f"%!(BAD{what})"
            return None, at + 1
        start = at
        while form[at : at + 1].isdecimal():
            at += 1
        return (min(int(form[start:at]), 1_000_000) if at > start else None), at

    def text(self, values: Iterator[Any]) -> str:
        if self.letter == "":
            return self.trouble + "%!(NOVERB)"
        if self.letter == "%":
            return self.trouble + "%"
        for value in values:
            return self.trouble + self.format(value)
        return f"{self.trouble}%!{self.letter}(MISSING)"

    def format(self, value: Any) -> str:
        """Lists and maps are formatted element by element, as fmt does."""
        if self.letter == "T":
            return self._pad(type_name(value))
        if self.letter == "v" and "#" in self.flags:
            return self._pad(_go_syntax(value))
        if isinstance(value, (list, tuple)):
            return f"[{' '.join([self.format(item) for item in value])}]"
        if isinstance(value, dict):
            items = [f"{self.format(key)}:{self.format(value[key])}" for key in sorted(value)]
            return f"map[{' '.join(items)}]"
        formatter = _formatter(self, value)
        if formatter is None:
            return f"%!{self.letter}({self._misused(value)})"
        return formatter(value)

    def _misused(self, value: Any) -> str:
        """The value as %v with the same flags would have it, behind its type."""
        if value is None:
            return "<nil>"
        letter, self.letter = self.letter, "v"
        flags, self.flags = self.flags, self.flags.replace("#", "")
        formatter = _formatter(self, value)
        text = formatter(value) if formatter is not None else text_of(value)
        self.letter, self.flags = letter, flags
        return f"{type_name(value)}={text}"

    def _pad(self, text: str, *, zeros: bool = False) -> str:
        if "-" in self.flags:
            return text.ljust(self.width)
        if zeros and "0" in self.flags:
            sign = text[:1] if text[:1] in ("+", "-", " ") else ""
            return sign + text[len(sign) :].rjust(self.width - len(sign), "0")
        return text.rjust(self.width)

    def _sign(self, negative: bool) -> str:
        return "-" if negative else "+" if "+" in self.flags else " " if " " in self.flags else ""

    def plain(self, value: Any) -> str:
        return self._pad(text_of(value))

    def string(self, value: str) -> str:
        return self._pad(value if self.precision is None else value[: self.precision])

    def quoted(self, value: str) -> str:
        text = value if self.precision is None else value[: self.precision]
        raw = "#" in self.flags and "`" not in text and text.isprintable()
        return self._pad(f"`{text}`" if raw else quote(text, ascii_only="+" in self.flags))

    def quoted_character(self, value: int) -> str:
        text = (
            quote(chr(value) if 0 <= value < 0x110000 else "\ufffd")
            .replace('\\"', '"')
            .replace("'", "\\'")
        )
        return self._pad(f"'{text[1:-1]}'")

    def hexadecimal(self, value: str) -> str:
        data = value.encode()[: self.precision]
        digits = data.hex(" ") if " " in self.flags else data.hex()
        return self._pad(digits.upper() if self.letter == "X" else digits)

    def integer(self, value: int) -> str:
        form = {"v": "d", "O": "o"}.get(self.letter, self.letter)
        digits = format(abs(value), form)
        if self.precision is not None:
            digits = digits.rjust(self.precision, "0")
        prefixes = {"b": "0b", "o": "0", "x": "0x", "X": "0X"} if "#" in self.flags else {}
        prefix = "0o" if self.letter == "O" else prefixes.get(self.letter, "")
        text = self._sign(value < 0) + prefix + digits
        return self._pad(text, zeros=self.precision is None)

    def character(self, value: int) -> str:
        return self._pad(chr(value) if 0 <= value < 0x110000 else "\ufffd")

    def code_point(self, value: int) -> str:
        is_shown = "#" in self.flags and 0 <= value < 0x110000
        shown = f" '{chr(value)}'" if is_shown else ""
        return self._pad(f"U+{value:04X}{shown}")

    def floating(self, value: float) -> str:
        if self.letter == "v" or (self.letter in "gG" and self.precision is None):
            text = float_text(abs(value))
            text = text.upper() if self.letter == "G" else text
        else:
            letter = self.letter.replace("F", "f")
            precision = 6 if self.precision is None else self.precision
            text = format(abs(value), f".{precision}{letter}")
        return self._pad(self._sign(value < 0) + text, zeros=True)


def _formatter(verb: _Verb, value: Any) -> Callable[[Any], str] | None:
    """How this verb prints a value of this type; None where Go complains."""
    letter = verb.letter
    if isinstance(value, bool):
        return verb.plain if letter in "vt" else None
    if isinstance(value, int):
        table = {"c": verb.character, "q": verb.quoted_character, "U": verb.code_point}
        return table.get(letter) or (verb.integer if letter in "vdboOxX" else None)
    if isinstance(value, float):
        return verb.floating if letter in "vgGeEfF" else None
    if isinstance(value, str):
        table_of_strings = {"x": verb.hexadecimal, "X": verb.hexadecimal, "q": verb.quoted}
        return table_of_strings.get(letter) or (verb.string if letter in "vs" else None)
    if value is None:
        return verb.plain if letter == "v" else None
    return verb.plain if letter in "vs" else None


def quote(text: str, *, ascii_only: bool = False) -> str:
    """strconv.Quote, strconv.QuoteToASCII."""
    names = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
             '"': '\\"', "\\": "\\\\"}  # fmt: skip
    return '"' + "".join([names.get(char) or _shown(char, ascii_only) for char in text]) + '"'


def _shown(char: str, ascii_only: bool) -> str:
    code = ord(char)
    if char.isprintable() and (code < 0x80 or not ascii_only):
        return char
    return (
        f"\\x{code:02x}"
        if code < 0x80
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def _go_syntax(value: Any) -> str:
    """%#v."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, (list, tuple)):
        return f"{type_name(value)}{{{', '.join([_go_syntax(item) for item in value])}}}"
    if isinstance(value, dict):
        items = [f"{_go_syntax(key)}:{_go_syntax(value[key])}" for key in sorted(value)]
        return f"{type_name(value)}{{{', '.join(items)}}}"
    return text_of(value)
