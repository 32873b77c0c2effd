"""From all that a definition has to what is to be built: groups, what targets inherit, what they stand on."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun.formats.bake.overrides import Override, applied, by_target
from rcrun.formats.bake.target import Group, Target, merged, normalised
from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.formats.bake.target import Attributes

LINK = "target:"


class Choice:
    """What was chosen: targets by name, with those that they stand on, and groups."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.groups: dict[str, Group] = {}

    def in_order(self) -> list[Target]:
        """Each after those that it stands on."""
        made: dict[str, Target] = {}

        def take(name: str) -> None:
            for other in links_of(self.targets[name].said):
                take(other)
            made.setdefault(name, self.targets[name])

        for name in self.targets:
            take(name)
        return list(made.values())


def links_of(said: Attributes) -> list[str]:
    texts = [text for text in said.get("contexts", {}).values() if text.startswith(LINK)]
    return [text[len(LINK) :] for text in texts]


class Chooser:
    """`targets` and `groups` as files say them, those of the same name already one."""

    def __init__(
        self,
        targets: Sequence[Target],
        groups: Sequence[Group],
        overrides: Sequence[Override] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._targets = {target.name: target for target in targets}
        self._groups: dict[str, Group] = {}
        for group in groups:
            self._groups.setdefault(group.name, group)
        self._overrides = by_target(overrides, list(self._targets), environ or {})
        self._choice = Choice()

    def choose(self, words: Sequence[str]) -> Choice:
        names = [
            name for word in words or ["default"] for name in self._like(word.replace(".", "_"))
        ]
        names = list(dict.fromkeys(names))
        choice = self._choice
        for name in names:
            targets, groups = self._of_group(name, {})
            for each in dict.fromkeys(targets):
                if each not in choice.targets:
                    choice.targets[each] = Target(each, self.resolved(each))
            for each in dict.fromkeys(groups):
                choice.groups[each] = self._groups[each]
        self._fill_default(names)
        for target in list(choice.targets.values()):
            self._link(target, [])
        return choice

    def _like(self, pattern: str) -> list[str]:
        from fnmatch import fnmatchcase

        if not any(char in pattern for char in "*?[]"):
            return [pattern]
        found = [name for name in (*self._groups, *self._targets) if fnmatchcase(name, pattern)]
        if not found:
            raise NotFound(f'no target is like "{pattern}"', "rcrun buildx bake --list targets")
        return found

    def _of_group(
        self, name: str, seen: dict[str, tuple[list[str], list[str]]]
    ) -> tuple[list[str], list[str]]:
        """The targets of a group and of the groups in it, and these groups."""
        if name in seen:
            return seen[name]
        group = self._groups.get(name)
        if group is None:
            return [name], []
        seen[name] = [], []
        targets: list[str] = []
        groups = [name]
        for each in group.targets:
            inside, others = self._of_group(each, seen)
            targets += inside
            groups += others
        seen[name] = targets, groups
        return seen[name]

    def _fill_default(self, names: Sequence[str]) -> None:
        groups = self._choice.groups
        found = groups.get("default")
        others = [name for name in names if not (found and name == "default")]
        if found is None and not others:
            return
        targets = sorted({*(found.targets if found else ()), *others})
        groups["default"] = Group("default", targets, found.description if found else "")

    def resolved(self, name: str) -> Attributes:
        """With what it inherits and what was typed, and without what is not said."""
        said = dict(self._inherited(name, {}))
        said.pop("inherits", None)
        said.setdefault("context", ".")
        said["dockerfile"] = said.get("dockerfile") or "Dockerfile"
        return said

    def _inherited(self, name: str, seen: dict[str, Attributes]) -> Attributes:
        if name in seen:
            return seen[name]
        seen[name] = {}
        target = self._targets.get(name)
        if target is None:
            raise NotFound(f'there is no target "{name}"', "rcrun buildx bake --list targets")
        said: Attributes = {}
        for other in target.said.get("inherits", ()):
            said = merged(said, self._inherited(other, seen))
        said = merged(said, target.said)
        seen[name] = normalised(applied(said, self._overrides.get(name, ())))
        return seen[name]

    def _link(self, target: Target, above: Sequence[str]) -> None:
        """What it stands on is built, too, and what that needs is needed here."""
        above = [*above, target.name]
        for name in links_of(target.said):
            if name in above:
                raise Fault(f'target "{target.name}" stands on "{name}", which stands on it')
            other = self._choice.targets.get(name)
            if other is None:
                said = {**self.resolved(name), "output": [{"type": "cacheonly"}]}
                other = self._choice.targets[name] = Target(name, said, linked=True)
            self._link(other, above)
            needed = other.said.get("entitlements", [])
            if needed:
                own = target.said.get("entitlements", [])
                target.said["entitlements"] = list(dict.fromkeys([*own, *needed]))
            _check_platforms(target, other)


def _check_platforms(target: Target, other: Target) -> None:
    own, others = target.said.get("platforms", []), other.said.get("platforms", [])
    lacking = [each for each in own if each not in others]
    if len(own) > 1 and len(others) > 1 and lacking:
        raise InvalidInput(
            f'target "{target.name}" stands on "{other.name}", which is not built for {lacking[0]}'
        )
