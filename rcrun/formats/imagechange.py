"""`--change` of import and commit: one Containerfile instruction changes an image's configuration."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.files import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from rcrun.formats.image import ContainerConfig

DEFAULT_SHELL = ["/bin/sh", "-c"]
_BLANKS = " \t"


def apply_all(config: ContainerConfig, instructions: Iterable[str]) -> ContainerConfig:
    """A new configuration; the one given stays as it is."""
    for text in instructions:
        config = apply(config, text)
    return config


def apply(config: ContainerConfig, text: str) -> ContainerConfig:
    keyword, _, rest = text.strip().partition(" ")
    change = _CHANGES.get(keyword.upper())
    if change is None:
        raise InvalidInput(
            f'cannot change an image by "{text}"',
            f"an instruction begins with one of {' '.join(sorted(_CHANGES))}",
        )
    if not rest.strip():
        raise InvalidInput(f'"{text}" needs a value')
    return change(config, rest.strip())


def words(text: str) -> list[str]:
    """Split at blanks; quotes and backslashes keep them, and are taken away."""
    found: list[str] = []
    current, quote, is_open = "", "", False
    rest = iter(text)
    for character in rest:
        if character == "\\" and quote != "'":
            following = next(rest, "")
            # Between double quotes a backslash stands for itself except before what it protects.
            keep = quote == '"' and following not in ('"', "\\", "$")
            current, is_open = current + ("\\" if keep else "") + following, True
        elif quote:
            if character == quote:
                quote = ""
            else:
                current += character
        elif character in "'\"":
            quote, is_open = character, True
        elif character in _BLANKS:
            if is_open:
                found.append(current)
            current, is_open = "", False
        else:
            current, is_open = current + character, True
    if quote:
        raise InvalidInput(f"a quote is not closed: {text}")
    return [*found, current] if is_open else found


def _command(text: str, shell: list[str]) -> list[str]:
    """The JSON form as it is, anything else as a line for the shell."""
    if text.startswith("["):
        try:
            value = parse_json(text)
        except ValueError:
            value = None
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            return value
    return [*shell, text]


def _pairs(text: str) -> dict[str, str]:
    """`KEY=VALUE …`, or the old `KEY VALUE`."""
    parts = words(text)
    if not parts or "=" not in parts[0]:
        key, _, value = text.partition(" ")
        if not value.strip():
            raise InvalidInput(f'"{text}" is not KEY=VALUE')
        return {key: value.strip()}
    pairs = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise InvalidInput(f'"{part}" is not KEY=VALUE')
        pairs[key] = value
    return pairs


def _list(text: str) -> list[str]:
    if text.startswith("["):
        return _command(text, [])
    return words(text)


def _cmd(config: ContainerConfig, text: str) -> ContainerConfig:
    return {**config, "Cmd": _command(text, config.get("Shell") or DEFAULT_SHELL)}


def _entrypoint(config: ContainerConfig, text: str) -> ContainerConfig:
    return {**config, "Entrypoint": _command(text, config.get("Shell") or DEFAULT_SHELL)}


def _env(config: ContainerConfig, text: str) -> ContainerConfig:
    pairs = _pairs(text)
    kept = [entry for entry in config.get("Env") or [] if entry.partition("=")[0] not in pairs]
    return {**config, "Env": [*kept, *(f"{key}={value}" for key, value in pairs.items())]}


def _label(config: ContainerConfig, text: str) -> ContainerConfig:
    return {**config, "Labels": {**(config.get("Labels") or {}), **_pairs(text)}}


def _expose(config: ContainerConfig, text: str) -> ContainerConfig:
    from rcrun.formats.port import parse_exposed

    ports: dict[str, dict[str, Any]] = dict(config.get("ExposedPorts") or {})
    for word in words(text):
        ports.update({f"{port}/{protocol}": {} for port, protocol in parse_exposed(word)})
    return {**config, "ExposedPorts": ports}


def _volume(config: ContainerConfig, text: str) -> ContainerConfig:
    volumes = {**(config.get("Volumes") or {}), **{path: {} for path in _list(text)}}
    return {**config, "Volumes": volumes}


def _workdir(config: ContainerConfig, text: str) -> ContainerConfig:
    import posixpath

    path = "".join(words(text)) if text[:1] in "'\"" else text
    return {
        **config,
        "WorkingDir": posixpath.normpath(
            posixpath.join("/", config.get("WorkingDir") or "/", path)
        ),
    }


def _user(config: ContainerConfig, text: str) -> ContainerConfig:
    return {**config, "User": text}


def _stop_signal(config: ContainerConfig, text: str) -> ContainerConfig:
    from rcrun.formats.signals import parse

    parse(text)  # says what is wrong with it
    return {**config, "StopSignal": text}


def _health_check(config: ContainerConfig, text: str) -> ContainerConfig:
    """`[--interval=30s …] CMD …`, or NONE."""
    from rcrun.formats import duration

    check: dict[str, Any] = {}
    option, _, rest = text.partition(" ")
    while option.startswith("--"):
        name, _, value = option.partition("=")
        member = _HEALTH_OPTIONS.get(name)
        if member is None:
            raise InvalidInput(f'HEALTHCHECK has no option "{name}"')
        check[member] = _count(value) if member == "Retries" else duration.parse(value)
        option, _, rest = rest.strip().partition(" ")
    if option.upper() == "NONE" and not rest:
        return {**config, "Healthcheck": {"Test": ["NONE"]}}
    if option.upper() != "CMD" or not rest.strip():
        raise InvalidInput(
            f'"{text}" is no health check', "HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE"
        )
    test = _command(rest.strip(), ["CMD-SHELL"])
    check["Test"] = test if test[0] == "CMD-SHELL" else ["CMD", *test]
    return {**config, "Healthcheck": check}


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InvalidInput(f'"{text}" is no number of retries')
    return int(text)


_HEALTH_OPTIONS = {
    "--interval": "Interval",
    "--timeout": "Timeout",
    "--start-period": "StartPeriod",
    "--start-interval": "StartInterval",
    "--retries": "Retries",
}


def _on_build(config: ContainerConfig, text: str) -> ContainerConfig:
    return {**config, "OnBuild": [*(config.get("OnBuild") or []), text]}


def _shell(config: ContainerConfig, text: str) -> ContainerConfig:
    if not text.startswith("["):
        raise InvalidInput("SHELL needs the JSON form", 'SHELL ["/bin/sh", "-c"]')
    return {**config, "Shell": _command(text, [])}


_CHANGES: dict[str, Callable[[ContainerConfig, str], ContainerConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
