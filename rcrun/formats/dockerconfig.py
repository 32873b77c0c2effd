"""docker's config.json beyond credentials: formats of lists, keys that detach, proxies, filters of prunes, headers. Pure.

Members of the wrong kind are as if they were not there, and told of; names are found in any case, as Go reads JSON.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

FORMATS = (
    "imagesFormat", "networksFormat", "psFormat", "secretFormat", "statsFormat", "volumesFormat",
)  # fmt: skip
DEFAULT_HOST = "unix:///var/run/docker.sock"  # where docker's client goes when nobody says where
_TEXTS = (*FORMATS, "currentContext", "detachKeys")
_KINDS = {
    **dict.fromkeys(_TEXTS, "a text"),
    "HttpHeaders": "an object of texts",
    "proxies": "an object of objects of texts",
    "pruneFilters": "a list of texts",
}
_NAMES = {name.lower(): name for name in _KINDS}
_PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}
_OPPOSITES = {"label": "label!", "label!": "label"}
_META = "x-meta-"  # of all headers the daemon passes these on to the registry


def members(document: object) -> tuple[dict[str, Any], list[str]]:
    """What means something here, under its usual name, without what is empty; and what is wrong with the rest."""
    if not isinstance(document, dict):
        return {}, ["it does not hold a JSON object"]
    found, faults = {}, []
    for key, value in document.items():
        name = _NAMES.get(key.lower())
        if name is None or not value:
            continue
        if _is(_KINDS[name], value):
            found[name] = value
        else:
            faults.append(f'"{name}" is not {_KINDS[name]}')
    return found, faults


def _is(kind: str, value: object) -> bool:
    if kind == "a text":
        return isinstance(value, str)
    if kind == "a list of texts":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if not isinstance(value, dict):
        return False
    inner = "a text" if kind == "an object of texts" else "an object of texts"
    return all(each is None or _is(inner, each) for each in value.values())


def proxies(config: Mapping[str, Any], host: str) -> dict[str, str]:
    """Variables in capitals, as the entry for this engine has them, else the one called default."""
    entries = config.get("proxies") or {}
    entry = entries[host] if host in entries else entries.get("default")
    given = {key.lower(): value for key, value in (entry or {}).items()}
    values = {name: given.get(key.lower()) for key, name in _PROXIES.items()}
    return {name: value for name, value in values.items() if value}


def for_container(variables: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """Words of --env for both spellings, but for those that --env already has."""
    said = {word.partition("=")[0] for word in given}
    spelled = [(name, value) for key, value in variables.items() for name in (key, key.lower())]
    return [f"{name}={value}" for name, value in spelled if name not in said]


def for_build(variables: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Build arguments in both spellings, but for what --build-arg says in either."""
    said = {name.lower() for name in given}
    return {
        name: value
        for key, value in variables.items()
        if key.lower() not in said
        for name in (key, key.lower())
    }


def prune_filters(given: Sequence[str], kept: Sequence[str]) -> tuple[str, ...]:
    """The filters of a prune with those of the file, but for a label of which the command says the opposite."""
    found = list(given)
    for word in kept:
        key, equals, value = word.partition("=")
        opposite = f"{_OPPOSITES.get(key)}={value}"
        if equals and word not in found and opposite not in found:
            found.append(word)
    return tuple(found)


def registry_headers(config: Mapping[str, Any], custom: str) -> dict[str, str]:
    """What goes along to a registry; `custom` is DOCKER_CUSTOM_HEADERS, which stands in the place of the file's."""
    headers = _custom_headers(custom) if custom else config.get("HttpHeaders") or {}
    found = {}
    for name, value in headers.items():
        if name.lower().startswith(_META) and value:
            if not (
                name.replace("-", "").isalnum() and (name + value).isascii() and value.isprintable()
            ):
                raise InvalidInput(f'invalid HTTP header "{name}"')
            found[name] = value
    return found


def _custom_headers(text: str) -> dict[str, str]:
    import csv

    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidInput(
            f"invalid DOCKER_CUSTOM_HEADERS: {error}", "write NAME=VALUE,NAME=VALUE"
        ) from error
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name.strip() or not equals:
            raise InvalidInput(
                f'invalid DOCKER_CUSTOM_HEADERS "{word}"', "write NAME=VALUE,NAME=VALUE"
            )
        found[name.strip()] = value
    return found
