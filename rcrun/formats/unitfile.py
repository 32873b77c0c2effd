"""Unit files of systemd (systemd.syntax(7)): sections, lines, words in quotes, and a file's text again."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Line = tuple[str, str]  # a key and its value as it was written, continued lines joined

_BLANKS = " \t\n\r"
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_CODES = {"x": 2, "u": 4, "U": 8}  # how many hexadecimal digits follow
_YES = ("1", "yes", "y", "true", "t", "on")
_NO = ("0", "no", "n", "false", "f", "off")


class Unit:
    """`name` is the file's, with its ending; `sections` have their lines in order, as all files together gave them."""

    __slots__ = ("name", "path", "sections")

    def __init__(self, name: str, path: str, sections: dict[str, list[Line]]) -> None:
        self.name = name
        self.path = path
        self.sections = sections

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def kind(self) -> str:
        return self.name.rpartition(".")[2]

    def every(self, section: str, key: str) -> list[str]:
        """All values of a key; an empty one takes those before it away."""
        found: list[str] = []
        for each, value in self.sections.get(section, ()):
            if each == key:
                found = [*found, value] if value else []
        return found

    def raw(self, section: str, key: str) -> str | None:
        """The last value as it is written; None where the key is not there."""
        values = [value for each, value in self.sections.get(section, ()) if each == key]
        return values[-1] if values else None

    def last(self, section: str, key: str) -> str | None:
        """The last value, without quotes around the whole of it."""
        value = self.raw(section, key)
        if value and len(value) >= 2 and value[0] == value[-1] == '"':
            return value[1:-1]
        return value

    def words(self, section: str, key: str) -> list[str]:
        """Lists of names: quotes are taken off, backslashes stay."""
        return [word for value in self.every(section, key) for word in split(value, escapes=False)]

    def arguments(self, section: str, key: str) -> list[str]:
        """Words as ExecStart= has them, with escapes."""
        return [word for value in self.every(section, key) for word in split(value)]

    def truth(self, section: str, key: str, default: bool | None = None) -> bool | None:
        value = self.last(section, key)
        return default if value is None else boolean(value, key)

    def keys(self, section: str) -> list[str]:
        return list(dict.fromkeys(key for key, _ in self.sections.get(section, ())))

    def with_more(self, other: Unit) -> Unit:
        """With a drop-in behind it."""
        sections = {name: list(lines) for name, lines in self.sections.items()}
        for name, lines in other.sections.items():
            sections.setdefault(name, []).extend(lines)
        return Unit(self.name, self.path, sections)


def parse(text: str, name: str, path: str) -> Unit:
    sections: dict[str, list[Line]] = {}
    section = ""
    for number, line in _whole_lines(text):
        if line.startswith("[") and line.endswith("]") and len(line) > 2:
            section = line[1:-1]
            sections.setdefault(section, [])
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip() or not section:
            what = (
                "before the first section"
                if equals and not section
                else "neither KEY=VALUE nor [SECTION]"
            )
            raise InvalidInput(f'"{path}", line {number}: "{line}" is {what}')
        sections[section].append((key.rstrip(), value.lstrip()))
    return Unit(name, path, sections)


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments; one that ends with a backslash goes on in the next, with a blank between."""
    begun, first = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and not begun):
            continue  # comments may stand within a line that is continued
        first = first or number
        if line.endswith("\\"):
            begun += line[:-1].rstrip() + " "
            continue
        whole = (begun + line).strip()
        if whole:
            yield first, whole
        begun, first = "", 0
    if begun.strip():
        yield first, begun.strip()


def boolean(value: str, key: str) -> bool:
    word = value.strip().lower()
    if word not in _YES + _NO:
        raise InvalidInput(f'{key}="{value}" is neither yes nor no')
    return word in _YES


def pairs(values: Iterable[str]) -> dict[str, str | None]:
    """`KEY=VALUE` words as Environment= has them: the last of a key counts; None where a word is a key alone."""
    found: dict[str, str | None] = {}
    for value in values:
        for word in split(value):
            key, equals, text = word.partition("=")
            found[key] = text if equals else None
    return found


# ---- words


def split(text: str, *, escapes: bool = True) -> list[str]:
    """Words between blanks. Quotes hold words together and go; one that is never closed reaches to the end."""
    found: list[str] = []
    word: str | None = None
    quote, at = "", 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and escapes:
            piece, at = _unescape(text, at + 1)
            word = (word or "") + piece
            continue
        if letter == "\\":
            word = (word or "") + text[at : at + 2]
            at += 2
            continue
        at += 1
        if quote and letter != quote:
            word = (word or "") + letter
        elif letter in "\"'":
            quote = "" if quote else letter
            word = word or ""
        elif letter in _BLANKS:
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + letter
    return found if word is None else [*found, word]


def _unescape(text: str, at: int) -> tuple[str, int]:
    """What stands behind a backslash, and where it ends; what is no escape stays as it is, as systemd has it."""
    letter = text[at : at + 1]
    if letter in _ESCAPES and letter:
        return _ESCAPES[letter], at + 1
    length = _CODES.get(letter, 0)
    if length:
        return _code(text[at + 1 : at + 1 + length], 16, length, at + 1) or (f"\\{letter}", at + 1)
    if letter.isdigit():
        return _code(text[at : at + 3], 8, 3, at) or (f"\\{letter}", at + 1)
    return f"\\{letter}", at + 1


def _code(digits: str, base: int, length: int, at: int) -> tuple[str, int] | None:
    if len(digits) != length or not digits.isalnum():
        return None
    try:
        number = int(digits, base)
    except ValueError:
        return None
    return (chr(number), at + length) if 0 < number <= 0x10FFFF else None


def joined(words: Iterable[str]) -> str:
    """Words for ExecStart=, which `split` gives back; specifiers and variables stay systemd's business."""
    return " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    plain = (
        word
        and word != ";"
        and not any(letter in "\"'\\" or letter.isspace() or letter < " " for letter in word)
    )
    if plain:
        return word
    return '"' + "".join(_escaped(letter) for letter in word) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter == "\n":
        return "\\n"
    if letter == "\t":
        return "\\t"
    return f"\\x{ord(letter):02x}" if letter < " " or letter == "\x7f" else letter


def literal(text: str) -> str:
    """A text of ours, in which systemd is to find no specifiers and no variables."""
    return text.replace("%", "%%").replace("$", "$$")


def text_of(sections: dict[str, list[Line]], comment: str) -> str:
    parts = [f"# {comment}\n"]
    for name, lines in sections.items():
        parts.append(f"\n[{name}]\n" + "".join(f"{key}={value}\n" for key, value in lines))
    return "".join(parts)
