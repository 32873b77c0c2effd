"""Platforms: `os/architecture[/variant]`, and which manifest of an index suits one."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# What uname and people say, in the words of images.
_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv8l": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
    "mips64": ("mips64le", ""),
}
# An image without a variant means this one.
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


class Platform:
    __slots__ = ("architecture", "os", "variant")

    def __init__(self, system: str, architecture: str, variant: str = "") -> None:
        self.os = system
        self.architecture = architecture
        self.variant = variant

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Platform) and _key(self) == _key(other)

    def __hash__(self) -> int:
        return hash(_key(self))


def _key(platform: Platform) -> tuple[str, str, str]:
    default = _DEFAULT_VARIANTS.get(platform.architecture, "")
    return platform.os, platform.architecture, platform.variant or default


def parse(text: str) -> Platform:
    """`linux/arm64/v8`, `linux/arm64`, `arm64`; names that uname uses are understood."""
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    if len(parts) > 3 or not all(part and _is_word(part) for part in parts):
        raise InvalidInput(f'"{text}" is no platform', "write it as linux/amd64 or linux/arm/v7")
    architecture, variant = _ALIASES.get(parts[1], (parts[1], ""))
    return Platform(parts[0], architecture, parts[2] if len(parts) == 3 else variant)


def _is_word(part: str) -> bool:
    return part.isascii() and part.replace("_", "").replace("-", "").replace(".", "").isalnum()


def of_machine(machine: str) -> Platform:
    """The platform of a host whose uname says `machine`."""
    architecture, variant = _ALIASES.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


def of_descriptor(descriptor: Mapping[str, Any]) -> Platform | None:
    """None for a descriptor that names no platform, or that is no image (an attestation)."""
    value = descriptor.get("platform")
    if not isinstance(value, dict) or value.get("architecture") in (None, "unknown"):
        return None
    return Platform(
        str(value.get("os", "")), str(value["architecture"]), str(value.get("variant") or "")
    )


def choose(descriptors: Iterable[Mapping[str, Any]], wanted: Platform) -> Mapping[str, Any] | None:
    """The best of an index for a platform; an index of one image without a platform means every platform."""
    entries = list(descriptors)
    best: Mapping[str, Any] | None = None
    best_rank = -1
    for entry in entries:
        platform = of_descriptor(entry)
        rank = -1 if platform is None else suitability(platform, wanted)
        if rank > best_rank:
            best, best_rank = entry, rank
    if best is None and len(entries) == 1 and not entries[0].get("platform"):
        return entries[0]
    return best


def suitability(offered: Platform, wanted: Platform) -> int:
    """-1: does not run there; otherwise higher is better. A machine runs what is made for its elders."""
    if (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return -1
    offered_level, wanted_level = _level(offered), _level(wanted)
    if offered_level == wanted_level:
        return 100
    return offered_level if 0 <= offered_level < wanted_level else -1


def _level(platform: Platform) -> int:
    """`v7` is 7; a variant that is no number compares with itself only."""
    _, architecture, variant = _key(platform)
    if not variant:
        return 0
    digits = variant.removeprefix("v")
    return int(digits) if digits.isdecimal() else 1000 + sum(map(ord, architecture + variant))


def offered(descriptors: Iterable[Mapping[str, Any]]) -> list[str]:
    """The platforms of an index, for a message."""
    found = (of_descriptor(descriptor) for descriptor in descriptors)
    return sorted({str(platform) for platform in found if platform is not None})
