"""`.dockerignore` and `--exclude`: Go's filepath.Match with `**`, and `!` for what comes back (moby/patternmatcher)."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from re import Pattern


class Ignored:
    """Asked with paths beneath the root, `/` between their parts; a pattern that a directory fits, fits what is in it."""

    __slots__ = ("_patterns", "has_exceptions")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [(not word.startswith("!"), _compiled(word)) for word in patterns]
        self.has_exceptions = not all(excludes for excludes, _ in self._patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def __call__(self, path: str) -> bool:
        """The last pattern that fits the path, or a directory that it is in, decides."""
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        for excludes, pattern in reversed(self._patterns):
            if any(pattern.fullmatch(each) for each in above):
                return excludes
        return False


def read(text: str) -> list[str]:
    """The patterns of a file: comments and empty lines are none, and `./` before a pattern means nothing."""
    found = []
    for line in text.removeprefix("\ufeff").splitlines():
        word = line.strip()
        if not word or line.startswith("#"):
            continue
        negated = word.startswith("!")
        bare = _clean(word[1:].strip() if negated else word)
        if bare:
            found.append(f"!{bare}" if negated else bare)
    return found


def _clean(pattern: str) -> str:
    """As Go's filepath.Clean, without a slash in front."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or ("." if pattern.strip("/") else "")


def _compiled(word: str) -> Pattern[str] | _Slow:
    import re

    try:
        pieces = list(_pieces(word.removeprefix("!")))
        if pieces.count(STAR) <= MOST_STARS and pieces.count(DEEP) + pieces.count(DEEP_DIR) <= 2:
            return re.compile("".join(pieces), re.DOTALL)
        return _Slow(
            [re.compile(each, re.DOTALL) if each not in _WILD else each for each in pieces]
        )
    except (re.error, IndexError):
        raise InvalidInput(f'invalid pattern "{word}"') from None


# What `*`, `**` and `**/` are as regular expressions.
STAR, DEEP, DEEP_DIR = "[^/]*", ".*", "(?:.*/)?"
_WILD = (STAR, DEEP, DEEP_DIR)
MOST_STARS = 3  # with more a regular expression may take longer than anybody lives


class _Slow:
    """A pattern with many stars: all the places in it that a path may have come to, character by character."""

    def __init__(self, pieces: list[Pattern[str] | str]) -> None:
        self.pieces = pieces

    def fullmatch(self, path: str) -> bool:
        places = self._onward({0})
        for character in path:
            arrived: set[int] = set()
            inside: set[int] = (
                set()
            )  # in the middle of what `**/` stands for, where it does not end
            for at in places:
                self._step(at, character, arrived, inside)
            places = self._onward(arrived) | inside
        return len(self.pieces) in places

    def _step(self, at: int, character: str, arrived: set[int], inside: set[int]) -> None:
        piece = self.pieces[at] if at < len(self.pieces) else None
        if isinstance(piece, str):
            if piece == DEEP_DIR:
                inside.add(at)
                if character == "/":
                    arrived.add(at + 1)
            elif piece == DEEP or character != "/":
                arrived.add(at)
        elif piece is not None and piece.fullmatch(character):
            arrived.add(at + 1)

    def _onward(self, places: set[int]) -> set[int]:
        """With those that a star may end at."""
        found = set(places)
        for at in places:
            while at < len(self.pieces) and isinstance(self.pieces[at], str):
                at += 1
                found.add(at)
        return found


def _pieces(pattern: str) -> Iterator[str]:
    import re

    at = 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at):
            while pattern[at : at + 1] == "*":
                at += 1
            is_folder = pattern[at : at + 1] == "/"
            at += is_folder
            yield DEEP_DIR if is_folder else DEEP
            continue
        if character == "\\":
            at += 1
            yield re.escape(pattern[at])
        elif character == "[":
            end = pattern.index("]", at + 2) if "]" in pattern[at + 2 :] else -1
            if end < 0:
                raise IndexError
            yield _class(pattern[at + 1 : end])
            at = end
        else:
            yield {"*": STAR, "?": "[^/]"}.get(character, re.escape(character))
        at += 1


def _class(inner: str) -> str:
    negated = inner.startswith("^")
    body = inner[1:] if negated else inner
    escaped = body.replace("\\", "\\\\").replace("[", "\\[")
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
