"""A unit of systemd in the making: the file's own sections, and what all kinds of files add to them. Pure."""

from __future__ import annotations

from rcrun.engine.quadlet import names
from rcrun.engine.quadlet.keys import REFUSED, RULES, SECTIONS
from rcrun.errors import InvalidInput
from rcrun.formats import unitfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rcrun.formats.unitfile import Line, Unit

_DEPENDENCIES = (
    "After", "Before", "BindsTo", "Conflicts", "OnFailure", "OnSuccess", "PartOf", "PropagatesReloadTo",
    "PropagatesStopTo", "ReloadPropagatedFrom", "Requires", "Requisite", "StopPropagatedFrom", "Upholds", "Wants",
)  # fmt: skip
NETWORK_UNIT = (
    "network-online.target"  # of the host; what waits for it for a user is a unit of ours
)
WAITING_UNIT = "rcrun-wait-network-online.service"


class Around:
    """What the files do not say: the command, for whom, and the units that there are.

    `command` are the words that start rcrun; `store_dir` must be mounted; `environment` lines are added to each unit.
    """

    __slots__ = ("command", "environment", "exists", "is_user", "store_dir", "units")

    def __init__(
        self,
        command: Sequence[str],
        *,
        is_user: bool,
        store_dir: str,
        units: Mapping[str, Unit],
        environment: Sequence[str] = (),
        exists: Callable[[str], bool] = lambda path: True,
    ) -> None:
        self.command = list(command)
        self.is_user = is_user
        self.store_dir = store_dir
        self.units = units
        self.environment = list(environment)
        self.exists = exists


class Service:
    """`add` and `set_missing` change its sections; the converters of the kinds do, and nobody after them."""

    __slots__ = ("around", "name", "section", "sections", "unit")

    def __init__(self, unit: Unit, around: Around) -> None:
        self.unit = unit
        self.around = around
        self.section = names.section_of(unit)
        self.name = f"{names.service_name(unit)}.service"
        self.sections: dict[str, list[Line]] = {}
        _check_keys(unit, self.section)
        for name, lines in unit.sections.items():
            renamed = f"X-{name}" if name in (self.section, "Quadlet") else name
            self.sections.setdefault(renamed, []).extend(self._translated(name, lines))
        self._add_common()

    def _translated(self, section: str, lines: Sequence[Line]) -> list[Line]:
        """Dependencies name units; files of Quadlet stand for theirs."""
        if section != "Unit":
            return list(lines)
        return [
            (key, " ".join(self._unit_of(word) for word in value.split()))
            if key in _DEPENDENCIES else (key, value)
            for key, value in lines
        ]  # fmt: skip

    def _unit_of(self, word: str) -> str:
        if word.rpartition(".")[2] not in SECTIONS or "." not in word:
            return word
        return f"{names.service_name(self._other(word))}.service"

    def _other(self, name: str) -> Unit:
        if name not in self.around.units:
            raise InvalidInput(f'there is no file "{name}"')
        return self.around.units[name]

    def _add_common(self) -> None:
        if self.unit.truth("Quadlet", "DefaultDependencies", True):
            network = WAITING_UNIT if self.around.is_user else NETWORK_UNIT
            first = [("Wants", network), ("After", network)]
            self.sections["Unit"] = [*first, *self.sections.get("Unit", [])]
        if self.unit.path:
            self.add("Unit", "SourcePath", _path(self.unit.path))
        if self.around.store_dir:
            self.add("Unit", "RequiresMountsFor", unitfile.quoted(_path(self.around.store_dir)))
        for line in self.around.environment:
            self.add("Service", "Environment", unitfile.quoted(line.replace("%", "%%")))

    # ---- sections

    def add(self, section: str, key: str, value: str) -> None:
        self.sections.setdefault(section, []).append((key, value))

    def set_missing(self, section: str, key: str, value: str) -> None:
        if self.last(section, key) is None:
            self.add(section, key, value)

    def replace(self, section: str, key: str, value: str) -> None:
        lines = [line for line in self.sections.get(section, []) if line[0] != key]
        self.sections[section] = [*lines, (key, value)]

    def last(self, section: str, key: str) -> str | None:
        values = [value for each, value in self.sections.get(section, ()) if each == key]
        return values[-1] if values else None

    def add_command(self, key: str, words: Sequence[str], prefix: str = "") -> None:
        ours = [unitfile.literal(word) for word in self.around.command]
        modules = self.unit.every(self.section, "ContainersConfModule")
        before = [
            *[f"--module={name}" for name in modules],
            *self.unit.arguments(self.section, "GlobalArgs"),
        ]
        whole = unitfile.joined([*ours, *before, *words])
        self.add("Service", key, prefix + whole)

    # ---- what keys say

    def value(self, key: str) -> str:
        return self.unit.last(self.section, key) or ""

    def options(self, *, before: Sequence[str] = ()) -> list[str]:
        """What the plain rules of the section make of its keys."""
        words = list(before)
        for key, (how, option) in RULES[self.section].items():
            for value in self._values(key, how):
                words += _option(option, value)
        return words

    def _values(self, key: str, how: str) -> list[str | None]:
        unit, section = self.unit, self.section
        if how == "last":
            value = unit.last(section, key)
            return [value] if value else []
        if how == "each":
            return [value.strip() for value in unit.every(section, key)]
        if how == "words":
            return list(unit.words(section, key))
        if how == "args":
            return list(unit.arguments(section, key))
        if how == "pairs":
            found = unitfile.pairs(unit.every(section, key))
            return [name if value is None else f"{name}={value}" for name, value in found.items()]
        if how == "flag":
            truth = unit.truth(section, key)
            return [] if truth is None else [None if truth else "false"]
        if how == "truth":
            unit.truth(section, key)  # InvalidInput
        return []

    def extra_arguments(self) -> list[str]:
        return self.unit.arguments(self.section, "PodmanArgs")

    # ---- other files

    def need(self, name: str, how: str = "Requires") -> str:
        """Depend on another file's unit; the name of what that makes."""
        other = self._other(name)
        service = f"{names.service_name(other)}.service"
        self.add("Unit", how, service)
        self.add("Unit", "After", service)
        made = names.resource_name(other)
        if not made:
            raise InvalidInput(f'"{name}" does not say what it is called')
        return made

    def image(self, text: str) -> str:
        return self.need(text) if text.endswith((".image", ".build")) else text

    def source(self, text: str, kinds: tuple[str, ...]) -> str:
        """Of a mount: a path, which must be mounted before, the name of a volume, or a file of Quadlet."""
        if text.startswith("."):
            text = self.absolute(text)
        if text.startswith("/"):
            self.add("Unit", "RequiresMountsFor", unitfile.quoted(text))
            return text
        return self.need(text) if text.endswith(kinds) else text

    def absolute(self, path: str) -> str:
        """From the file's own directory; what begins with a specifier is systemd's to know."""
        if path.startswith("/") or (path.startswith("%") and not path.startswith("%%")):
            return path
        return _joined(_path(self.unit.path.rpartition("/")[0]), path)

    def add_networks(self) -> list[str]:
        words: list[str] = []
        for value in self.unit.every(self.section, "Network"):
            name, colon, rest = value.partition(":")
            if name.endswith(".network"):
                value = self.need(name) + colon + rest
            elif name.endswith(".container"):
                if colon:
                    raise InvalidInput(
                        f'Network="{value}": a network that is another container\'s takes no options'
                    )
                value = f"container:{self.need(name)}"
            words += ["--network", value]
        return words

    def add_volumes(self) -> list[str]:
        words: list[str] = []
        for value in self.unit.every(self.section, "Volume"):
            source, colon, rest = value.partition(":")
            if colon and not source:
                raise InvalidInput(f'Volume="{value}" has no source')
            words += ["--volume", f"{self.source(source, ('.volume',))}:{rest}" if colon else value]
        return words

    def as_one_shot(self, *, remains: bool = True) -> None:
        self.set_missing("Service", "SyslogIdentifier", "%N")
        self.set_missing("Service", "Type", "oneshot")
        if remains:
            self.set_missing("Service", "RemainAfterExit", "yes")


def _check_keys(unit: Unit, section: str) -> None:
    for name in (section, "Quadlet"):
        for key in unit.keys(name):
            if key in REFUSED.get(name, {}):
                raise InvalidInput(f"{key}= in [{name}] is not supported: {REFUSED[name][key]}")
            if key not in RULES[name]:
                raise InvalidInput(f'there is no key "{key}" in [{name}]{_guess(key, RULES[name])}')


def _guess(key: str, known: Mapping[str, object]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, 1)
    return f': is it "{close[0]}"?' if close else ""


def _option(option: str, value: str | None) -> list[str]:
    if value is None:
        return [option]
    if option.endswith(("=", ":")):
        return [f"{option}{value}"]
    return [f"{option}=false"] if value == "false" and option in _FLAGS else [option, value]


_FLAGS = {option for rules in RULES.values() for how, option in rules.values() if how == "flag"}


def _path(path: str) -> str:
    """One that we found: systemd is to see no specifier in it."""
    return path.replace("%", "%%")


def _joined(folder: str, path: str) -> str:
    import posixpath

    return posixpath.normpath(f"{folder}/{path}")
