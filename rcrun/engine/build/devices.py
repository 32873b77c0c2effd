"""RUN --device: devices by their CDI names, those that are there."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.containerfile.instructions import Instruction


def names_of(
    instruction: Instruction, allowed: Sequence[str], environ: Mapping[str, str]
) -> list[str]:
    """Of `--device=NAME[,required]`; one that is not required may be missing."""
    found = []
    for text in instruction.flags["device"]:
        name, *rest = text.split(",")
        keys = dict(pair.partition("=")[::2] for pair in rest)
        name = name.removeprefix("name=")
        if "=" not in name or set(keys) - {"required"}:
            raise instruction.fault(
                f'--device: "{text}" is not NAME[,required]', "a name is VENDOR/CLASS=DEVICE"
            )
        if "device" not in allowed and f"device={name}" not in allowed:
            raise instruction.fault(
                f'--device "{name}" is not allowed', f"rcrun build --allow device={name}"
            )
        if keys.get("required", "false") in ("", "true") or _is_there(name, environ):
            found.append(name)
    return found


class _Places:
    """As much of engine.facts.Facts as a look at the specifications takes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def list_dir(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except OSError:
            return []

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()


def _is_there(name: str, environ: Mapping[str, str]) -> bool:
    from rcrun.engine.config_cdi import specifications

    kind, _, device = name.partition("=")
    places: Any = _Places(environ)
    return any(
        spec["kind"] == kind and any(each["name"] == device for each in spec["devices"])
        for spec in specifications({}, places)
    )
