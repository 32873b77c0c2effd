"""Versions as semver.org has them, and constraints: `>=1.2, <2 || 3.x`, `~1.2`, `^1.2`, `1.2 - 1.4`."""

from __future__ import annotations

import re

from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    Version = tuple[int, int, int, tuple[object, ...]]

_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_ONE = re.compile(
    r"(=|==|!=|<=|=<|>=|=>|<|>|~>|~|\^)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(-[0-9A-Za-z.-]+)?(?:\+\S*)?"
)
_RANGE = re.compile(r"(\S+)\s+-\s+(\S+)")
_LAST: tuple[object, ...] = ((2,),)  # without a pre-release: after all of them


def _version(text: str) -> Version:
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise Fault(f'"{text}" is no version')
    numbers = [int(part or 0) for part in found.groups()[:3]]
    return numbers[0], numbers[1], numbers[2], _pre(found[4])


def _pre(text: str | None) -> tuple[object, ...]:
    if not text:
        return _LAST
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in text.split("."))


def satisfies(version: str, constraint: str) -> bool:
    found = _version(version)
    return any(_all(found, part) for part in constraint.split("||"))


def _all(version: Version, text: str) -> bool:
    text = _RANGE.sub(r">=\1 <=\2", text)
    if not _ONE.search(text) or re.sub(r"[\s,]", "", _ONE.sub("", text)):
        raise Fault(f'"{text.strip()}" is no constraint of versions')
    return all(_one(version, found) for found in _ONE.finditer(text))


def _one(version: Version, found: re.Match[str]) -> bool:
    sign, *parts, pre = found.groups()
    known = []
    for part in parts:
        if part is None or not part.isdecimal():
            break
        known.append(int(part))
    # A pre-release is taken only where the constraint names one.
    if version[3] != _LAST and not pre:
        return False
    padded = known + [0] * (3 - len(known))
    lowest = padded[0], padded[1], padded[2], _pre(pre and pre[1:])
    above = _above(sign, known)
    within = version >= lowest and (above is None or version[:3] < above)
    if sign in (None, "=", "==", "~", "~>", "^"):
        return version == lowest if len(known) == 3 and sign in (None, "=", "==") else within
    if sign == "!=":
        return not (version == lowest if len(known) == 3 else within)
    if sign in (">=", "=>"):
        return version >= lowest
    if sign == "<":
        return version < lowest
    if sign == ">":
        return version > lowest if len(known) == 3 else above is not None and version[:3] >= above
    return version <= lowest if len(known) == 3 else above is None or version[:3] < above


def _above(sign: str | None, known: list[int]) -> tuple[int, ...] | None:
    """The first version beyond what the numbers leave open; None: there is none."""
    if not known:
        return None
    kept = min(len(known), 2) if sign in ("~", "~>") else len(known)
    if sign == "^":
        kept = next((at + 1 for at, part in enumerate(known) if part), len(known))
    return tuple([*known[: kept - 1], known[kept - 1] + 1, 0, 0][:3])
