"""`.dockerignore` and `--exclude`: Go's filepath.Match with `**`, and `!` for what comes back (moby/patternmatcher)."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
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


def _compiled(word: str) -> Pattern[str]:
    import re

    pattern = word.removeprefix("!")
    try:
        return re.compile(_expression(pattern), re.DOTALL)
    except (re.error, IndexError):
        raise InvalidInput(f'invalid pattern "{word}"') from None


def _expression(pattern: str) -> str:
    import re

    made, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern[at : at + 1] == "/":
                at += 1
                made += "(?:.*/)?"
            else:
                made += ".*"
            continue
        if character == "\\":
            at += 1
            made += re.escape(pattern[at])
        elif character == "[":
            end = pattern.index("]", at + 2) if "]" in pattern[at + 2 :] else -1
            if end < 0:
                raise IndexError
            made += _class(pattern[at + 1 : end])
            at = end
        else:
            made += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
        at += 1
    return made


def _class(inner: str) -> str:
    negated = inner.startswith("^")
    body = inner[1:] if negated else inner
    escaped = body.replace("\\", "\\\\").replace("[", "\\[")
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
