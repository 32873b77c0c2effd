"""What targets ask for and nobody has granted: the host's network and devices, and for a remote definition files of this host."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rcrun.formats.bake.overrides import Override
    from rcrun.formats.bake.target import Attributes, Target
    from rcrun_cli.bakefiles import Place

_KEYS = ("device", "fs", "fs.read", "fs.write", "image", "image.load", "image.push")
_WORDS = ("network.host", "security.insecure", "ssh", "device", "buildx.local.delete")


def check(targets: Sequence[Target], place: Place, words: Sequence[str]) -> None:
    for word in words:
        if word not in _WORDS and word.partition("=")[0] not in _KEYS:
            shown = ", ".join((*_WORDS, *(f"{key}=…" for key in _KEYS)))
            raise InvalidInput(f'--allow "{word}" is not possible', f"use one of {shown}")
    granted = {*words, *(each.value for each in place.granted if each.key == "entitlements")}
    for target in targets:
        for needed in target.said.get("entitlements", ()):
            if needed not in granted and needed.partition("=")[0] not in granted:
                raise InvalidInput(
                    f'target "{target.name}" asks for {needed}', f"grant it: --allow {needed}"
                )
    if place.is_remote and place.environ.get("BUILDX_BAKE_ENTITLEMENTS_FS", "1") not in (
        "0",
        "false",
    ):
        _check_files(targets, place, words)


def _check_files(targets: Sequence[Target], place: Place, words: Sequence[str]) -> None:
    """Files below the working directory are always granted, and what was typed itself."""
    here = {"read": ["."], "write": ["."]}
    for word in words:
        key, _, value = word.partition("=")
        for sort in ("read", "write"):
            if key in ("fs", f"fs.{sort}"):
                here[sort].append(value)
    for override in place.granted:
        for sort, path in _paths(_as_said(override)):
            here[sort].append(path)
    for target in targets:
        for sort, path in _paths(target.said):
            if not _within(path, here[sort]):
                raise InvalidInput(
                    f'target "{target.name}" of "{place.url}" wants to {sort} "{path}"',
                    f"grant it: --allow fs.{sort}={path}",
                )


def _as_said(override: Override) -> Attributes:
    try:
        return override.changed({override.key: [{"id": override.name}]}, True)
    except InvalidInput:
        return {}


def _within(path: str, granted: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    for each in granted:
        root = os.path.realpath(each)
        if each == "*" or real == root or real.startswith(f"{root.rstrip('/')}/"):
            return True
    return False


def _paths(said: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The files of this host that a target names, and whether it reads or writes them."""
    keys = (
        ("secret", "src", "read"),
        ("cache-from", "src", "read"),
        ("cache-to", "dest", "write"),
        ("output", "dest", "write"),
    )
    for name, key, sort in keys:
        for entry in said.get(name) or ():  # type: ignore[attr-defined]
            if entry.get(key) and entry[key] != "-":
                yield sort, entry[key]
    for entry in said.get("ssh") or ():  # type: ignore[attr-defined]
        for path in entry.get("paths", ()):
            yield "read", path
    contexts = said.get("contexts") or {}
    for text in (said.get("context"), said.get("dockerfile"), *contexts.values()):  # type: ignore[attr-defined]
        if isinstance(text, str) and text.startswith("cwd://"):
            yield "read", text[len("cwd://") :] or "."
