"""What a target may say: how each attribute is read, and what two targets that say the same one make together."""

from __future__ import annotations

from rcrun.formats.bake import words
from rcrun.formats.bake.values import Fault, to_bool, to_dict, to_list, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    # Attributes that are said, by name; one that is null is not said.
    Attributes = dict[str, Any]


def _strings(value: Any) -> list[str]:
    return [to_text(each) for each in to_list(value) if each is not None]


def _mapping(value: Any) -> dict[str, str | None]:
    """Of null: it says nothing."""
    pairs = to_dict(value).items()
    return {key: None if each is None else to_text(each) for key, each in pairs}


def _list_of(make: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda value: words.entries(make, to_list(value))


# In the order in which they are printed.
KINDS: dict[str, Callable[[Any], Any]] = {
    "description": to_text,
    "inherits": _strings,
    "annotations": _strings,
    "attest": _list_of(words.attest),
    "context": to_text,
    "contexts": _mapping,
    "dockerfile": to_text,
    "dockerfile-inline": to_text,
    "args": _mapping,
    "labels": _mapping,
    "tags": _strings,
    "cache-from": lambda value: words.caches(to_list(value)),
    "cache-to": lambda value: words.caches(to_list(value)),
    "target": to_text,
    "secret": _list_of(words.secret),
    "ssh": _list_of(words.ssh),
    "platforms": _strings,
    "output": _list_of(words.output),
    "pull": to_bool,
    "no-cache": to_bool,
    "network": to_text,
    "no-cache-filter": _strings,
    "shm-size": to_text,
    "ulimits": _strings,
    "resources": _mapping,
    "call": to_text,
    "entitlements": _strings,
    "extra-hosts": _mapping,
    "policy": _list_of(words.policy),
}
GROUP_KINDS: dict[str, Callable[[Any], Any]] = {"description": to_text, "targets": _strings}
APPENDED = ("annotations", "no-cache-filter", "ulimits", "entitlements", "policy", "inherits")
MAPPINGS = ("args", "contexts", "labels", "extra-hosts", "resources")
# Two lists that become one, and how.
JOINED: dict[str, Callable[[Sequence[Any]], list[Any]]] = {
    "attest": words.by_key("type"),
    "cache-from": words.unique,
    "secret": words.by_key("id"),
    "ssh": words.by_key("id"),
}
_NORMAL: dict[str, Callable[[Sequence[Any]], list[Any]]] = {
    **JOINED,
    "cache-to": words.unique,
    "output": words.unique,
    **dict.fromkeys(
        ("annotations", "tags", "platforms", "no-cache-filter", "ulimits", "entitlements"),
        lambda values: words.unique([value for value in values if value]),
    ),
}


class Target:
    """`linked`: it is built because another one stands on it, and for nothing else."""

    __slots__ = ("linked", "name", "said")

    def __init__(self, name: str, said: Attributes, *, linked: bool = False) -> None:
        self.name = name
        self.said = said
        self.linked = linked


class Group:
    __slots__ = ("description", "name", "targets")

    def __init__(self, name: str, targets: Sequence[str], description: str = "") -> None:
        self.name = name
        self.targets = list(dict.fromkeys(targets))
        self.description = description


def decoded(name: str, value: Any, kinds: dict[str, Callable[[Any], Any]] = KINDS) -> Any:
    """The value of an attribute; None is nothing said."""
    if value is None:
        return None
    try:
        return kinds[name](value)
    except Fault as fault:
        raise Fault(f'"{name}": {fault.text}', fault.hint, fault.place) from fault


def merged(first: Attributes, second: Attributes) -> Attributes:
    made = dict(first)
    for name, value in second.items():
        if name in APPENDED:
            made[name] = [*made.get(name, ()), *value]
        elif name in JOINED:
            made[name] = JOINED[name]([*made.get(name, ()), *value])
        elif name in MAPPINGS:
            kept = {key: each for key, each in value.items() if each is not None}
            made[name] = {**made.get(name, {}), **kept}
        elif name != "description" or value:
            made[name] = value
    return made


def normalised(said: Attributes) -> Attributes:
    """Without what is empty or said twice."""
    made = dict(said)
    if made.get("network") == "host":
        made["entitlements"] = [*made.get("entitlements", ()), "network.host"]
    if "contexts" in made:
        made["contexts"] = {key: each for key, each in made["contexts"].items() if each}
    for name, normal in _NORMAL.items():
        if name in made:
            made[name] = normal(made[name])
    return made


def check_name(name: Any, place: str = "") -> str:
    import re

    try:
        name = to_text(name)
    except Fault as fault:
        raise fault.at(place) from fault
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", name):
        hint = "letters, digits, - and _ are possible; sanitize(NAME) makes them of others"
        raise Fault(f'"{name}" cannot be the name of a target', hint, place)
    return str(name)
