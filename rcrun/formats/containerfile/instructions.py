"""Logical lines → instructions with their flags, gathered in stages; what each may have, and in which order."""

from __future__ import annotations

from rcrun.files import parse_json
from rcrun.formats.containerfile.faults import Fault
from rcrun.formats.containerfile.lines import Line, Source, heredoc_marks
from rcrun.formats.containerfile.words import raw_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.containerfile.lines import Heredoc

# Each with the flags that it may have: a value, a word alone (bool), or several.
VALUE, WORD, SEVERAL = "value", "word", "several"
INSTRUCTIONS: dict[str, dict[str, str]] = {
    "ADD": {
        "checksum": VALUE, "chmod": VALUE, "chown": VALUE, "exclude": SEVERAL, "keep-git-dir": WORD,
        "link": WORD, "unpack": WORD,
    },
    "ARG": {},
    "CMD": {},
    "COPY": {
        "chmod": VALUE, "chown": VALUE, "exclude": SEVERAL, "from": VALUE, "link": WORD, "parents": WORD,
    },
    "ENTRYPOINT": {},
    "ENV": {},
    "EXPOSE": {},
    "FROM": {"platform": VALUE},
    "HEALTHCHECK": {
        "interval": VALUE, "retries": VALUE, "start-interval": VALUE, "start-period": VALUE,
        "timeout": VALUE,
    },
    "LABEL": {},
    "MAINTAINER": {},
    "ONBUILD": {},
    "RUN": {"device": SEVERAL, "mount": SEVERAL, "network": VALUE, "security": VALUE},
    "SHELL": {},
    "STOPSIGNAL": {},
    "USER": {},
    "VOLUME": {},
    "WORKDIR": {},
}  # fmt: skip
_WITH_PAIRS = ("ENV", "LABEL")
_WITH_LISTS = ("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME")
_MAY_BE_EMPTY = ("CMD", "ENTRYPOINT")
_NOT_IN_ONBUILD = ("ONBUILD", "FROM", "MAINTAINER")
_STAGE_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz")
_STAGE_NAME = _STAGE_FIRST | frozenset("0123456789-_.")


class Instruction:
    """`rest` is what follows the flags, as it stands; `flags` hold their values, a word alone "true" or "false"."""

    __slots__ = ("escape", "flags", "heredocs", "line", "name", "rest")

    def __init__(self, line: Line, escape: str) -> None:
        self.line = line
        self.escape = escape
        self.name = line.keyword
        self.heredocs: list[Heredoc] = line.heredocs
        if self.name not in INSTRUCTIONS:
            raise Fault(
                f'unknown instruction "{line.text.split(None, 1)[0]}"',
                line.first,
                _meant(self.name),
            )
        if self.name in ("ONBUILD", "MAINTAINER"):
            self.flags, self.rest = dict[str, list[str]](), line.rest
        else:
            self.flags, self.rest = self._split_flags()
        if not self.rest and self.name not in _MAY_BE_EMPTY:
            raise self.fault(f"{self.name} needs an argument")

    def check(self) -> None:
        """A Fault for what no step could make sense of, before any step is made."""
        if self.name in _WITH_PAIRS:
            self.pairs()
        elif self.name in _WITH_LISTS:
            self.json()

    @property
    def text(self) -> str:
        """As people wrote it, in one line."""
        return f"{self.name} {self.line.rest}".rstrip()

    @property
    def first_line(self) -> int:
        return self.line.first

    def fault(self, text: str, hint: str | None = None) -> Fault:
        return Fault(text, self.line.first, hint)

    def flag(self, name: str) -> str:
        """Its value; empty when it is not given."""
        return (self.flags.get(name) or [""])[-1]

    def has(self, name: str) -> bool:
        return self.flag(name) == "true"

    def json(self) -> list[str] | None:
        """The list of the JSON form; None for any other form."""
        if not self.rest.startswith("["):
            return None
        try:
            value = parse_json(self.rest)
        except ValueError:
            return None
        if not isinstance(value, list):
            return None
        if not all(isinstance(word, str) for word in value):
            raise self.fault(f"the JSON form of {self.name} has strings alone: {self.rest}")
        return value

    def words(self) -> list[str]:
        """The list of the JSON form, else split at blanks; quotes and variables stay."""
        listed = self.json()
        return raw_words(self.rest, self.escape) if listed is None else listed

    def pairs(self) -> list[tuple[str, str]]:
        """Of ENV and LABEL: `KEY=VALUE …`, or the old `KEY VALUE`."""
        words = raw_words(self.rest, self.escape)
        if "=" not in words[0]:
            key, *values = self.rest.split(None, 1)
            if not values:
                raise self.fault(f'{self.name} needs a value for "{key}"', "write KEY=VALUE")
            return [(key, values[0].strip())]
        pairs = []
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not key:
                raise self.fault(f'"{word}" is not KEY=VALUE', "quote what holds blanks")
            pairs.append((key, value))
        return pairs

    def _split_flags(self) -> tuple[dict[str, list[str]], str]:
        known = INSTRUCTIONS[self.name]
        found: dict[str, list[str]] = {}
        rest = self.line.rest
        while rest.startswith("--"):
            word = raw_words(rest, self.escape)[0]
            rest = rest[len(word) :].lstrip()
            if word == "--":
                break
            name, equals, value = word[2:].partition("=")
            if name not in known:
                raise self.fault(f'{self.name} has no flag "--{name}"', _flags_hint(known))
            found.setdefault(name, []).append(self._flag_value(name, equals, value))
            if known[name] != SEVERAL and len(found[name]) > 1:
                raise self.fault(f"--{name} is given twice")
        return found, rest

    def _flag_value(self, name: str, equals: str, value: str) -> str:
        if INSTRUCTIONS[self.name][name] != WORD:
            if not value:
                raise self.fault(f"--{name} needs a value", f"write --{name}=VALUE")
            return value
        if equals and value.lower() not in ("true", "false"):
            raise self.fault(f'--{name} is true or false, not "{value}"')
        return value.lower() if equals else "true"


class Stage:
    """`base` and `platform` may hold variables; `name` is lower case, empty without AS."""

    __slots__ = ("base", "index", "instruction", "instructions", "name", "platform")

    def __init__(self, index: int, instruction: Instruction) -> None:
        words = raw_words(instruction.rest, instruction.escape)
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
            raise instruction.fault(
                "FROM takes an image, and a name after AS", "FROM IMAGE [AS NAME]"
            )
        self.index = index
        self.instruction = instruction
        self.base = words[0]
        self.platform = instruction.flag("platform")
        self.name = words[2].lower() if len(words) == 3 else ""
        self.instructions: list[Instruction] = []
        if self.name and not (self.name[0] in _STAGE_FIRST and _STAGE_NAME.issuperset(self.name)):
            raise instruction.fault(
                f'invalid name of a stage "{words[2]}"',
                "it begins with a letter, and holds letters, digits, - _ .",
            )


class Containerfile:
    """`arguments` are the ARGs before the first FROM."""

    __slots__ = ("arguments", "directives", "escape", "stages")

    def __init__(self, source: Source) -> None:
        self.directives = source.directives
        self.escape = source.escape
        self.arguments: list[Instruction] = []
        self.stages: list[Stage] = []

    def find(self, target: str) -> Stage:
        """By name or number; the last one for an empty text."""
        if not target:
            return self.stages[-1]
        for stage in reversed(self.stages):
            if stage.name and stage.name == target.lower():
                return stage
        if target.isdecimal() and int(target) < len(self.stages):
            return self.stages[int(target)]
        names = ", ".join(stage.name or str(stage.index) for stage in self.stages)
        raise Fault(f'there is no stage "{target}"', 0, f"the stages are {names}")


def parse(text: str) -> Containerfile:
    """Fault, with its line, for what is none."""
    source = Source(text)
    found = Containerfile(source)
    for line in source.lines:
        instruction = Instruction(line, source.escape)
        instruction.check()
        if instruction.name == "FROM":
            found.stages.append(Stage(len(found.stages), instruction))
        elif found.stages:
            if instruction.name == "ONBUILD":
                triggered(instruction)
            found.stages[-1].instructions.append(instruction)
        elif instruction.name == "ARG":
            found.arguments.append(instruction)
        else:
            raise instruction.fault(f"{instruction.name} stands before the first FROM")
    if not found.stages:
        raise Fault("there is no FROM", 1, "begin with FROM IMAGE, or FROM scratch")
    return found


def triggered(onbuild: Instruction) -> Instruction:
    """The instruction that an ONBUILD holds."""
    line = onbuild.line
    inner = Instruction(Line(line.first, line.last, onbuild.rest, line.heredocs), onbuild.escape)
    if inner.name in _NOT_IN_ONBUILD:
        raise onbuild.fault(f"{inner.name} cannot be a trigger of ONBUILD")
    return inner


def without_marks(instruction: Instruction) -> list[str]:
    """The words that are no marks of here-documents."""
    marks = {mark.word for mark in heredoc_marks(instruction.rest, instruction.escape)}
    return [word for word in instruction.words() if word not in marks]


def _meant(name: str) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(name, INSTRUCTIONS, 1)
    return f"did you mean {close[0]}?" if close else None


def _flags_hint(known: dict[str, str]) -> str | None:
    return f"it has {' '.join(f'--{name}' for name in known)}" if known else None
