"""Physical lines → logical ones: directives, comments, continuations, here-documents."""

from __future__ import annotations

from rcrun.formats.containerfile.faults import Fault
from rcrun.formats.containerfile.words import raw_words, unquoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTIVES = ("syntax", "escape", "check")
BYTE_ORDER_MARK = "\ufeff"
ESCAPES = ("\\", "`")
_WITH_HEREDOCS = ("RUN", "COPY", "ADD")
_BLANKS = " \t"


class Heredoc:
    """`content` as it stands; `expands` unless the delimiter was quoted."""

    __slots__ = ("content", "expands", "name")

    def __init__(self, name: str, content: str, expands: bool) -> None:
        self.name = name
        self.content = content
        self.expands = expands


class Line:
    """One instruction: `first` and `last` are the physical lines; `text` has no line ends outside of here-documents."""

    __slots__ = ("first", "heredocs", "last", "text")

    def __init__(self, first: int, last: int, text: str, heredocs: list[Heredoc]) -> None:
        self.first = first
        self.last = last
        self.text = text
        self.heredocs = heredocs

    @property
    def keyword(self) -> str:
        return self.text.split(None, 1)[0].upper()

    @property
    def rest(self) -> str:
        parts = self.text.split(None, 1)
        return parts[1].rstrip() if len(parts) > 1 else ""


class Source:
    """The whole text: its directives, and its logical lines."""

    def __init__(self, text: str) -> None:
        self.physical = text.removeprefix(BYTE_ORDER_MARK).removesuffix("\n").split("\n")
        self.directives = dict(_directives(self.physical))
        self.escape = self.directives.get("escape", ESCAPES[0])
        if self.escape not in ESCAPES:
            raise Fault(f'invalid escape "{self.escape}"', 1, "it is \\ or `")
        self.lines = list(self._lines())

    def _lines(self) -> Iterator[Line]:
        at = 0
        while at < len(self.physical):
            first, text, at = self._logical(at)
            if text.strip():
                heredocs, at = self._heredocs(text, at)
                yield Line(first, at, text.strip(), heredocs)

    def _logical(self, at: int) -> tuple[int, str, int]:
        """The number of the first line, it with those that continue it (comments and empty lines do not end it), and
        where the next one begins."""
        pieces: list[str] = []
        first = at + 1
        goes_on = True
        while goes_on and at < len(self.physical):
            line = self.physical[at]
            at += 1
            bare = line.strip(_BLANKS + "\r")
            if bare.startswith("#") or (pieces and not bare):
                continue
            first = first if pieces else at
            piece, goes_on = self._continued(line.rstrip("\r"))
            pieces.append(piece if pieces else piece.lstrip(_BLANKS))
        return first, "".join(pieces), at

    def _continued(self, line: str) -> tuple[str, bool]:
        """Without the escape at its end; two of them stand for one that does not continue."""
        bare = line.rstrip(_BLANKS)
        if bare.endswith(self.escape) and not bare.endswith(self.escape * 2):
            return bare[:-1], True
        return line, False

    def _heredocs(self, text: str, at: int) -> tuple[list[Heredoc], int]:
        words = text.split(None, 1)
        keyword = words[0].upper()
        rest = words[1] if len(words) > 1 else ""
        if keyword == "ONBUILD" and rest:
            keyword, _, rest = rest.partition(" ")
            keyword = keyword.upper()
        if keyword not in _WITH_HEREDOCS or "<<" not in rest:
            return [], at
        found = []
        for mark in heredoc_marks(rest, self.escape):
            content, at = self._content(mark, text, at)
            found.append(Heredoc(unquoted(mark.name), content, unquoted(mark.name) == mark.name))
        return found, at

    def _content(self, mark: Mark, text: str, at: int) -> tuple[str, int]:
        name = unquoted(mark.name)
        lines: list[str] = []
        while at < len(self.physical):
            line = self.physical[at]
            at += 1
            shown = line.lstrip("\t") if mark.chomps else line
            if shown == name:
                return "".join(f"{each}\n" for each in lines), at
            lines.append(shown)
        raise Fault(f'the here-document "{name}" has no end', len(self.physical))


class Mark:
    """`<<NAME`, `<<-NAME` or `<<"NAME"` in an instruction."""

    __slots__ = ("chomps", "name", "word")

    def __init__(self, word: str, name: str, chomps: bool) -> None:
        self.word = word
        self.name = name
        self.chomps = chomps


def heredoc_marks(text: str, escape: str = "\\") -> list[Mark]:
    """In their order; a mark is a word of its own, as for BuildKit."""
    found = []
    for word in raw_words(text, escape):
        bare = word.lstrip("0123456789")
        if not bare.startswith("<<") or bare.startswith("<<<"):
            continue
        name = bare[2:]
        chomps = name.startswith("-")
        name = name[1:] if chomps else name
        if name and "<" not in name:
            found.append(Mark(word, name, chomps))
    return found


def _directives(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`# name=value` above everything else; the first line that is something else ends them."""
    seen = set()
    for number, line in enumerate(lines, 1):
        name, equals, value = line.strip().removeprefix("#").partition("=")
        name = name.strip().lower()
        if not line.lstrip().startswith("#") or not equals or name not in DIRECTIVES:
            return
        if name in seen:
            raise Fault(f'the directive "{name}" is given twice', number)
        seen.add(name)
        yield name, value.strip()
