"""Regular expressions that judge texts of others: whether one occurs, in time that grows with the text alone.

A hostile text can keep `re` busy for hours where a pattern repeats what repeats. Here every place of the pattern that can
be reached is followed at once (Thompson's way), so there is nothing to come back to. The language is POSIX's extended
one and what RE2, which podman asks, has beside it: `\\d \\w \\s`, `(?:…)`, `(?i)` in front.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    # `chars`: text holds one of them, or with `not` none; `begin`, `end`; `split` and `jump` to numbers; `found`
    Step = tuple[str, frozenset[str] | tuple[int, ...]]
    # what one part of a pattern becomes when it begins at a number
    Part = list[Step]

MOST_STEPS = 10_000
MOST_REPEATS = 1000  # as RE2 has it
_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_CLASSES = {
    "alnum": _LOWER + _UPPER + _DIGITS, "alpha": _LOWER + _UPPER, "blank": " \t", "digit": _DIGITS, "lower": _LOWER,
    "cntrl": "".join(map(chr, [*range(32), 127])), "graph": _LOWER + _UPPER + _DIGITS + _PUNCTUATION,
    "print": _LOWER + _UPPER + _DIGITS + _PUNCTUATION + " ", "punct": _PUNCTUATION, "space": " \t\n\r\f\v",
    "upper": _UPPER, "word": _LOWER + _UPPER + _DIGITS + "_", "xdigit": _DIGITS + "abcdefABCDEF",
}  # fmt: skip
_ESCAPES = {"d": _CLASSES["digit"], "w": _CLASSES["word"], "s": " \t\n\r\f"}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_REPEATS = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}


class Pattern:
    """InvalidInput names what of it is not understood."""

    __slots__ = ("_folds", "_steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._folds = text.startswith("(?i)")
        reader = _Reader(text, 4 if self._folds else 0, folds=self._folds)
        try:
            self._steps = [*reader.alternatives(), ("found", ())]
        except RecursionError:
            raise reader.fault("its groups are too deep") from None
        if reader.at < len(text):
            raise reader.fault('a ")" closes nothing')

    def occurs_in(self, text: str) -> bool:
        """Anywhere: a pattern that means the whole text says `^…$`."""
        if self._folds:
            text = text.lower()
        steps, waiting = self._steps, set[int]()
        for at in range(len(text) + 1):
            reached = self._reached({*waiting, 0}, first=at == 0, last=at == len(text))
            if len(steps) - 1 in reached:
                return True
            if at < len(text):
                waiting = {each + 1 for each in reached if _takes(steps[each], text[at])}
        return False

    def _reached(self, begun: set[int], *, first: bool, last: bool) -> set[int]:
        """With all that comes before the next letter."""
        found: set[int] = set()
        todo = list(begun)
        while todo:
            at = todo.pop()
            if at in found:
                continue
            found.add(at)
            kind, to = self._steps[at]
            if kind in ("jump", "split"):
                todo += [at + each for each in to]  # type: ignore[operator]
            elif (kind == "begin" and first) or (kind == "end" and last):
                todo.append(at + 1)
        return found


def _takes(step: Step, letter: str) -> bool:
    kind, letters = step
    return letter in letters if kind == "chars" else kind == "not" and letter not in letters


class _Reader:
    def __init__(self, text: str, at: int, *, folds: bool) -> None:
        self.text = text
        self.at = at
        self._folds = folds

    def fault(self, reason: str) -> InvalidInput:
        return InvalidInput(f'invalid pattern "{self.text}": {reason}')

    def _peek(self, word: str) -> bool:
        return self.text.startswith(word, self.at)

    def _take(self, word: str) -> bool:
        is_there = self._peek(word)
        self.at += len(word) if is_there else 0
        return is_there

    def _next(self, whole: str) -> str:
        if self.at >= len(self.text):
            raise self.fault(f"{whole} does not end")
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self) -> Part:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        made = parts.pop()
        while parts:  # split over the first one and its jump behind the rest
            first = parts.pop()
            made = [("split", (1, len(first) + 2)), *first, ("jump", (len(made) + 1,)), *made]
        return self._checked(made)

    def _sequence(self) -> Part:
        made: Part = []
        while self.at < len(self.text) and not self._peek("|") and not self._peek(")"):
            part = self._one()
            for least, most in self._repeats():
                part = self._checked(_repeated(part, least, most))
            made += part
        return made

    def _checked(self, part: Part) -> Part:
        if len(part) > MOST_STEPS:
            raise self.fault("it is too long with its repetitions")
        return part

    def _one(self) -> Part:
        letter = self._next("it")
        if letter == "(":
            if self._peek("?") and not self._take("?:"):
                raise self.fault('a group that begins with "(?" is not supported')
            made = self.alternatives()
            if not self._take(")"):
                raise self.fault('a "(" is not closed')
            return made
        if letter in "*+?":
            raise self.fault(f'there is nothing for "{letter}" to repeat')
        if letter == "[":
            return [self._set()]
        if letter in "^$":
            return [("begin" if letter == "^" else "end", ())]
        if letter == ".":
            return [("not", frozenset("\n"))]
        return [self._escape() if letter == "\\" else self._chars(letter)]

    def _chars(self, letters: str, *, negated: bool = False) -> Step:
        return "not" if negated else "chars", frozenset(letters.lower() if self._folds else letters)

    def _escape(self) -> Step:
        letter = self._next("an escape")
        if letter.lower() in _ESCAPES:
            return self._chars(_ESCAPES[letter.lower()], negated=letter.isupper())
        return self._chars(self._plain(letter))

    def _plain(self, letter: str) -> str:
        if letter.isalnum() and letter not in _CONTROLS:
            raise self.fault(f'"\\{letter}" is not supported')
        return _CONTROLS.get(letter, letter)

    def _set(self) -> Step:
        negated, letters, is_first = self._take("^"), "", True
        while is_first or not self._peek("]"):
            letters += self._member()
            is_first = False
        self.at += 1
        return self._chars(letters, negated=negated)

    def _member(self) -> str:
        if self._take("[:"):
            name, closed, _ = self.text[self.at :].partition(":]")
            if not closed or name not in _CLASSES:
                raise self.fault(f'there is no class "{name[:10]}"')
            self.at += len(name) + 2
            return _CLASSES[name]
        first = self._next('a "["')
        if first == "\\":
            first = self._next("an escape")
            if first in _ESCAPES:
                return _ESCAPES[first]
            first = self._plain(first)
        if not self._peek("-") or self._peek("-]"):
            return first
        self.at += 1
        last = self._next('a "["')
        last = self._plain(self._next("an escape")) if last == "\\" else last
        if last < first:
            raise self.fault(f'"{first}-{last}" is no range')
        return "".join(map(chr, range(ord(first), ord(last) + 1)))

    def _repeats(self) -> Iterator[tuple[int, int]]:
        """Least and most, -1: any number; whether few or many are preferred is nothing to who asks for one at all."""
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter in _REPEATS:
                self.at += 1
                yield _REPEATS[letter]
            elif letter == "{":
                found = self._counts()
                if found is None:
                    return
                yield found
            else:
                return
            self._take("?")

    def _counts(self) -> tuple[int, int] | None:
        """`{2}`, `{2,}`, `{2,5}`; None: a brace that is a letter."""
        inside, closed, _ = self.text[self.at + 1 :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not low.isdecimal() or not (high == "" or high.isdecimal()):
            return None
        least = int(low)
        most = int(high) if high else -1 if comma else least
        if max(least, most) > MOST_REPEATS or 0 <= most < least:
            raise self.fault(f'"{{{inside}}}" is no number of repetitions')
        self.at += len(inside) + 2
        return least, most


def _repeated(part: Part, least: int, most: int) -> Part:
    if len(part) * max(least, most, 1) > MOST_STEPS:
        return [part[0]] * (MOST_STEPS + 1) if part else []
    made = part * least
    if most < 0:
        return [*made, ("split", (1, len(part) + 2)), *part, ("jump", (-len(part) - 1,))]
    left = most - least
    for number in range(left):  # each may be followed by none
        made += [("split", (1, (len(part) + 1) * (left - number))), *part]
    return made
