"""Words of an instruction: split, unquoted, and with `$VARIABLES` of every form that BuildKit's frontend knows."""

from __future__ import annotations

from rcrun.formats.containerfile.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")
_SPECIAL = frozenset("0123456789@*#?-$!")
_BLANKS = " \t\n\r"
MOST_NESTED = 50


def raw_words(text: str, escape: str = "\\") -> list[str]:
    """Split at blanks outside of quotes; quotes and escapes stay."""
    found: list[str] = []
    current, quote, at = "", "", 0
    while at < len(text):
        character = text[at]
        if character == escape and quote != "'" and at + 1 < len(text):
            current += text[at : at + 2]
            at += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _BLANKS:
            if current:
                found.append(current)
            current, at = "", at + 1
            continue
        current += character
        at += 1
    return [*found, current] if current else found


def unquoted(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"":
        return word[1:-1]
    return word.replace("\\", "")


class Expander:
    """`lookup` gives a variable's value, None when it is not set; `used` gathers the names that were asked for."""

    def __init__(self, variables: Mapping[str, str], *, escape: str = "\\", line: int = 0) -> None:
        self.variables = variables
        self.escape = escape
        self.line = line
        self.used: set[str] = set()

    def word(self, text: str) -> str:
        """One word, whatever blanks it holds: quotes taken away, variables put in."""
        return _Reader(self, text).until("")

    def words(self, text: str) -> list[str]:
        """Split at blanks; a variable that holds blanks becomes several words unless it is quoted."""
        return _Reader(self, text).split()

    def unescaped(self, text: str) -> str:
        """Variables alone: quotes stay, as in a here-document."""
        return _Reader(self, text, keeps_quotes=True).until("")

    def lookup(self, name: str) -> str | None:
        self.used.add(name)
        return self.variables.get(name)

    def fault(self, text: str) -> Fault:
        return Fault(text, self.line)


class _Reader:
    def __init__(self, expander: Expander, text: str, *, keeps_quotes: bool = False) -> None:
        self.expander = expander
        self.text = text
        self.at = 0
        self.keeps_quotes = keeps_quotes
        self.depth = 0

    def split(self) -> list[str]:
        found: list[str] = []
        current, is_open = "", False
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in _BLANKS:
                if is_open or current:
                    found.append(current)
                current, is_open = "", False
                self.at += 1
            elif character == "$":
                pieces = _pieces(self._dollar())
                current += pieces[0]
                for piece in pieces[1:]:
                    if current or is_open:
                        found.append(current)
                    current, is_open = piece, False
            else:
                is_open = is_open or character in "'\""
                current += self._plain()
        return [*found, current] if current or is_open else found

    def until(self, end: str) -> str:
        """Up to one of the characters of `end`, which is taken; with an empty `end` to the end."""
        value = ""
        while self.at < len(self.text):
            character = self.text[self.at]
            if end and character in end:
                self.at += 1
                return value
            value += self._dollar() if character == "$" else self._plain()
        if end:
            raise self.expander.fault(f'"{self.text}" has no closing "{end}"')
        return value

    def _plain(self) -> str:
        """One character, or a quoted piece."""
        character = self.text[self.at]
        if self.keeps_quotes:
            return self._kept()
        if character == "'":
            return self._single_quoted()
        if character == '"':
            return self._double_quoted()
        self.at += 1
        if character == self.expander.escape:
            following = self.text[self.at : self.at + 1]
            self.at += 1
            return following or character
        return character

    def _kept(self) -> str:
        """In a here-document only `\\$` and `\\\\` are escapes."""
        character = self.text[self.at]
        self.at += 1
        if character == self.expander.escape and self.text[self.at : self.at + 1] in (
            "$",
            self.expander.escape,
        ):
            self.at += 1
            return self.text[self.at - 1]
        return character

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self.expander.fault(f"a single quote is not closed: {self.text}")
        value = self.text[self.at + 1 : end]
        self.at = end + 1
        return value

    def _double_quoted(self) -> str:
        self.at += 1
        value = ""
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == '"':
                self.at += 1
                return value
            if character == "$":
                value += self._dollar()
                continue
            self.at += 1
            if character == self.expander.escape:
                following = self.text[self.at : self.at + 1]
                if following in ('"', "$", self.expander.escape):
                    character, self.at = following, self.at + 1
            value += character
        raise self.expander.fault(f"a double quote is not closed: {self.text}")

    # ---- variables

    def _dollar(self) -> str:
        following = self.text[self.at + 1 : self.at + 2]
        if following == "{":
            self.at += 2
            self.depth += 1
            if self.depth > MOST_NESTED:
                raise self.expander.fault("variables are nested too deeply")
            value = self._braced()
            self.depth -= 1
            return value
        self.at += 1
        name = self._name()
        if not name:
            return "$"
        return self.expander.lookup(name) or ""

    def _name(self) -> str:
        start = self.at
        if self.text[self.at : self.at + 1] in _LETTERS:
            while self.text[self.at : self.at + 1] in _LETTERS | _DIGITS and self.at < len(
                self.text
            ):
                self.at += 1
        elif self.text[self.at : self.at + 1] in _SPECIAL and self.at < len(self.text):
            self.at += 1
        return self.text[start : self.at]

    def _braced(self) -> str:
        name = self._name()
        if not name:
            raise self.expander.fault(f'bad substitution in "{self.text}"')
        operator = self.text[self.at : self.at + 1]
        self.at += 1
        if operator == "}":
            return self.expander.lookup(name) or ""
        value = self.expander.lookup(name)
        if operator == ":":
            operator = self.text[self.at : self.at + 1]
            self.at += 1
            if operator not in ("+", "-", "?") or not operator:
                raise self._unknown(f":{operator}")
            return self._chosen(name, value or None, operator)
        if operator in ("+", "-", "?") and operator:
            return self._chosen(name, value, operator)
        if operator in ("#", "%", "/") and operator:
            return self._trimmed(value or "", operator)
        raise self._unknown(operator)

    def _unknown(self, operator: str) -> Fault:
        if not operator:
            return self.expander.fault(f'"{self.text}" has no closing "}}"')
        return self.expander.fault(f'unsupported modifier "{operator}" in "{self.text}"')

    def _chosen(self, name: str, value: str | None, operator: str) -> str:
        word = self.until("}")
        if operator == "+":
            return word if value is not None else ""
        if value is not None:
            return value
        if operator == "?":
            raise self.expander.fault(f"{name}: {word or 'not allowed to be unset'}")
        return word

    def _trimmed(self, value: str, operator: str) -> str:
        doubled = self.text[self.at : self.at + 1] == operator
        self.at += doubled
        if operator == "/":
            pattern = self._pattern("/}")
            replacement = self.until("}") if self.text[self.at - 1] == "/" else ""
            return _replaced(value, pattern, replacement, every=doubled)
        pattern = self._pattern("}")
        if operator == "#":
            return _without_prefix(value, pattern, longest=doubled)
        return _without_suffix(value, pattern, longest=doubled)

    def _pattern(self, end: str) -> str:
        """With its escapes, which keep `*` and `?` from meaning anything."""
        value = ""
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in end:
                self.at += 1
                return value
            if character == "$":
                value += self._dollar()
            elif character == self.expander.escape:
                value += "\\" + self.text[self.at + 1 : self.at + 2]
                self.at += 2
            elif character in "'\"":
                value += "".join(f"\\{each}" for each in self._plain())
            else:
                value += character
                self.at += 1
        raise self.expander.fault(f'"{self.text}" has no closing "}}"')


def _pieces(text: str) -> list[str]:
    """At blanks, with an empty piece where it begins or ends with one."""
    pieces: list[str] = []
    current = ""
    for character in text:
        if character in _BLANKS:
            if current or not pieces:
                pieces.append(current)
            current = ""
        else:
            current += character
    return [*pieces, current]


# ---- patterns of the shell: `*`, `?`, and `\` before what stands for itself


def _matcher(pattern: str) -> Callable[[str], bool]:
    import re

    made, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and at + 1 < len(pattern):
            at += 1
            made += re.escape(pattern[at])
        else:
            made += {"*": ".*", "?": "."}.get(character, re.escape(character))
        at += 1
    compiled = re.compile(made, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    matches = _matcher(pattern)
    counts = range(len(value) + 1)
    for count in reversed(counts) if longest else counts:
        if matches(value[:count]):
            return value[count:]
    return value


def _without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    matches = _matcher(pattern)
    starts = range(len(value) + 1)
    for start in starts if longest else reversed(starts):
        if matches(value[start:]):
            return value[:start]
    return value


def _replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """The first, or all; each as long as it can be."""
    if not pattern:
        return value
    matches = _matcher(pattern)
    made, at = "", 0
    while at < len(value):
        end = next((end for end in range(len(value), at, -1) if matches(value[at:end])), 0)
        if not end:
            made, at = made + value[at], at + 1
            continue
        made, at = made + replacement, end
        if not every:
            break
    return made + value[at:]
