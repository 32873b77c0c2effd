"""What stands in lists of a target: outputs, caches, secrets, agents, attestations; as `KEY=VALUE,…` or as objects."""

from __future__ import annotations

from rcrun.formats.bake.types import fields, primitive
from rcrun.formats.bake.values import Fault, kind, to_bool, to_list, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Entry = dict[str, Any]


def cache(value: Any) -> Entry:
    """A word alone is the reference of type=registry."""
    if isinstance(value, str):
        words = fields(value)
        if len(words) == 1 and "=" not in words[0]:
            return {"type": "registry", "ref": words[0]}
        value = _pairs(words)
    return _typed(_texts(value), "a cache")


def output(value: Any) -> Entry:
    """A word alone is a directory, or standard output."""
    if isinstance(value, str):
        words = fields(value)
        if len(words) == 1 and "=" not in value:
            return {"type": "tar" if value == "-" else "local", "dest": value}
        value = _pairs(words)
    return _typed(_texts(value), "an output")


def attest(value: Any) -> Entry:
    found = _pairs(fields(value), str) if isinstance(value, str) else dict(_object(value))
    disabled = found.pop("disabled", False)
    made: Entry = _typed(_texts(found), "an attestation")
    if primitive(disabled, "bool") if isinstance(disabled, str) else to_bool(disabled):
        made["disabled"] = True
    return made


def secret(value: Any) -> Entry:
    found = _texts(_pairs(fields(value)) if isinstance(value, str) else value)
    sort = found.pop("type", "")
    if sort not in ("", "file", "env"):
        raise Fault(f'a secret is of type file or env, not "{sort}"')
    source = found.pop("src", "") or found.pop("source", "")
    variable = found.pop("env", "")
    if sort == "env" and not variable:
        variable, source = source, ""
    made = {"id": found.pop("id", ""), "src": source, "env": variable}
    if found:
        raise Fault(f'a secret has no "{next(iter(found))}"', "it has id, src and env")
    return {key: each for key, each in made.items() if each}


def ssh(value: Any) -> Entry:
    if isinstance(value, str):
        name, equals, rest = value.partition("=")
        return {"id": name, "paths": rest.split(",")} if equals else {"id": name}
    found = dict(_object(value))
    paths = [to_text(path) for path in to_list(found.get("paths") or [])]
    made: Entry = {"id": to_text(found.get("id") or "")}
    return {**made, "paths": paths} if paths else made


def policy(value: Any) -> Entry:
    return _pairs(fields(value)) if isinstance(value, str) else dict(_object(value))


def entries(make: Callable[[Any], Entry], values: Sequence[Any]) -> list[Entry]:
    """Empty ones are what a condition leaves."""
    return [make(value) for value in values if value not in (None, "")]


def caches(values: Sequence[Any]) -> list[Entry]:
    """References alone may stand in one text."""
    found: list[Any] = []
    for value in values:
        found += fields(value) if isinstance(value, str) and "=" not in value else [value]
    return entries(cache, found)


def _pairs(words: Sequence[str], key_of: Callable[[str], str] = str.lower) -> Entry:
    made = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Fault(f'"{word}" is not KEY=VALUE')
        made[key.strip() if "annotation" in key else key_of(key.strip())] = value
    return made


def _object(value: Any) -> Entry:
    if not isinstance(value, dict):
        raise Fault(f"a string or an object is needed, not {kind(value)}")
    return value


def _texts(value: Any) -> Entry:
    return {key: to_text(each) for key, each in _object(value).items() if each is not None}


def _typed(found: Entry, what: str) -> Entry:
    if not found.get("type"):
        raise Fault(f"{what} needs a type", "write type=…")
    return found


# ---- lists of them


def unique(values: Sequence[Any]) -> list[Any]:
    made: list[Any] = []
    for value in values:
        if value not in made:
            made.append(value)
    return made


def by_key(key: str) -> Callable[[Sequence[Entry]], list[Entry]]:
    """The last one of a key, in the place of the first."""

    def made(values: Sequence[Entry]) -> list[Entry]:
        return list({value.get(key, ""): value for value in values}.values())

    return made


# ---- for the words of `build`


def written(entry: Entry) -> str:
    """`KEY=VALUE,…`, quoted as CSV where that is needed."""
    pairs = [(key, to_text(value)) for key, value in entry.items()]
    return ",".join(_field(f"{key}={value}") for key, value in pairs)


def _field(text: str) -> str:
    if "," in text or '"' in text:
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text


def written_ssh(entry: Entry) -> str:
    paths = ",".join(entry.get("paths", ()))
    return f"{entry['id']}={paths}" if paths else str(entry["id"])
