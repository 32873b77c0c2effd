"""`--set PATTERN.KEY=VALUE`: what is typed changes targets after all that files say."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.bake import words
from rcrun.formats.bake.target import JOINED, KINDS, MAPPINGS
from rcrun.formats.bake.types import primitive
from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.bake.target import Attributes

_SPELLINGS = {"platform": "platforms", "secrets": "secret"}
_ENTRIES: dict[str, Callable[[str], Any]] = {
    "attest": words.attest,
    "output": words.output,
    "policy": words.policy,
    "secret": words.secret,
    "ssh": words.ssh,
}
_CACHES = ("cache-from", "cache-to")
_LISTS = ("tags", "platforms", "no-cache-filter", "ulimits", "annotations", "entitlements")
# Given once more they come besides, with `+=` or without.
_ALWAYS_MORE = ("annotations", "entitlements", "attest")
_TEXTS = ("context", "dockerfile", "target", "call", "shm-size", "network")
_USUAL = "write PATTERN.KEY=VALUE: --set '*.platform=linux/arm64'"


class Override:
    __slots__ = ("appends", "key", "name", "pattern", "text", "value")

    def __init__(self, text: str) -> None:
        left, equals, value = text.partition("=")
        self.text = text
        self.appends = left.endswith("+")
        parts = left.removesuffix("+").split(".", 2)
        if len(parts) < 2:
            raise InvalidInput(f'--set "{text}" names no target', _USUAL)
        self.pattern = parts[0]
        self.key = parts[1]
        self.name = parts[2] if len(parts) > 2 else ""
        self.value: str | None = value if equals else None
        if self.value is None and self.key != "args":
            raise InvalidInput(f'--set "{text}" has no value', _USUAL)
        self._check()

    def _check(self) -> None:
        if (
            self.key in ("args", "contexts", "labels", "extra-hosts", "resources", "secret")
            and not self.name
        ):
            hint = f"write PATTERN.{self.key}.NAME=VALUE"
            raise InvalidInput(f'--set "{self.text}": "{self.key}" needs a name', hint)
        known = {*KINDS, *_SPELLINGS, "push", "load"} - {
            "inherits",
            "description",
            "dockerfile-inline",
        }
        if self.key not in known:
            shown = ", ".join(sorted(known))
            raise InvalidInput(
                f'--set "{self.text}": there is no "{self.key}"', f"use one of {shown}"
            )

    def changed(self, said: Attributes, first: bool) -> Attributes:
        """`first`: what lists have is replaced by it, unless it is `+=`."""
        try:
            return _changed(said, self, first)
        except Fault as fault:
            raise InvalidInput(f'--set "{self.text}": {fault.text}', fault.hint) from fault


def _changed(said: Attributes, override: Override, first: bool) -> Attributes:
    key, value = _SPELLINGS.get(override.key, override.key), override.value or ""
    if override.key == "secret":
        return {**said, "secret": _other_source(said.get("secret", []), override.name, value)}
    if key in MAPPINGS:
        return {**said, key: {**said.get(key, {}), override.name: value}}
    if key in ("push", "load"):
        change = pushed if key == "push" else loaded
        return {**said, "output": change(said.get("output", []), primitive(value, "bool"))}
    if key in ("pull", "no-cache"):
        return {**said, key: primitive(value, "bool")}
    if key in _TEXTS:
        return {**said, key: value}
    besides = override.appends or not first or key in _ALWAYS_MORE
    before = said.get(key, []) if besides else []
    if key in _LISTS:
        return {**said, key: [*before, value]}
    more = words.caches([value]) if key in _CACHES else words.entries(_ENTRIES[key], [value])
    return {**said, key: JOINED.get(key, words.unique)([*before, *more])}


def _other_source(secrets: Sequence[Any], name: str, text: str) -> list[Any]:
    if name not in [each.get("id") for each in secrets]:
        raise Fault(f'the target has no secret "{name}"')
    source = words.secret(text)
    if source.get("id", name) != name:
        raise Fault("a secret keeps its id")
    return [{**source, "id": name} if each.get("id") == name else each for each in secrets]


def pushed(outputs: Sequence[Any], push: bool) -> list[Any]:
    """Images are pushed, or not; where only the store, or nothing, is asked for, a push comes besides."""
    if not push:
        kept = [each for each in outputs if each["type"] != "registry"]
        return [{**each, "push": "false"} if each["type"] == "image" else each for each in kept]
    made = [{**each, "push": "true"} if each["type"] == "image" else each for each in outputs]
    if all(each["type"] == "docker" for each in made):
        made.append({"type": "image", "push": "true"})
    return made


def loaded(outputs: Sequence[Any], load: bool) -> list[Any]:
    """Kept in the store besides, unless files are asked for."""
    kinds = [each["type"] for each in outputs]
    in_store = any(each["type"] == "docker" and not each.get("dest") for each in outputs)
    others = any(kind not in ("docker", "image", "registry", "oci") for kind in kinds)
    if not load or in_store or others:
        return list(outputs)
    return [*outputs, {"type": "docker"}]


def by_target(
    overrides: Sequence[Override], names: Sequence[str], environ: Mapping[str, str]
) -> dict[str, list[Override]]:
    """Those of each target; a name that is there is no pattern."""
    from fnmatch import fnmatchcase

    found: dict[str, list[Override]] = {}
    for override in overrides:
        if override.value is None:
            if override.name not in environ:
                continue
            override.value = environ[override.name]
        pattern = override.pattern
        chosen = (
            [pattern]
            if pattern in names
            else [name for name in names if fnmatchcase(name, pattern)]
        )
        if not chosen:
            raise InvalidInput(f'--set "{override.text}": no target is like "{pattern}"')
        for name in chosen:
            found.setdefault(name, []).append(override)
    return found


def applied(said: Attributes, overrides: Sequence[Override]) -> Attributes:
    seen: set[str] = set()
    for override in overrides:
        said = override.changed(said, override.key not in seen)
        seen.add(override.key)
    return said
