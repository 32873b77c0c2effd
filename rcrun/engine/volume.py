"""Volumes as they are made, listed, filtered and inspected."""

from __future__ import annotations

import os
import time

from rcrun.engine.eventlog import emit
from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.formats import names, volumeoptions
from rcrun.storage import volumes
from rcrun.storage.containers import now_text, seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.paths import Store
    from rcrun.storage.containers import Container
    from rcrun.storage.volumes import Record

    Users = Mapping[str, list[Container]]
    Filter = Callable[[Store, Record, Users, str], bool]


def create(
    context: Context,
    name: str,
    *,
    driver: str = "local",
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    existing: bool = True,
) -> str:
    """Its name. One that is there is left as it is, and without `existing` an error."""
    volumeoptions.check_driver(driver)
    volumeoptions.parse(options or {})
    anonymous = not name
    name = names.check(name, "volume") if name else os.urandom(32).hex()
    made = volumes.make(
        context.store,
        name,
        now_text(),
        labels=labels,
        options=options,
        anonymous=anonymous,
        needs_copy_up=True,
        discard=_discard,
    )
    if not made and not existing:
        raise AlreadyExists(
            f'the volume name "{name}" is already in use', f"see rcrun volume inspect {name}"
        )
    if made:
        emit(context.store, "volume", "create", name, {"driver": "local"})
    return name


def _discard(path: str) -> None:
    """All in it is ours."""
    from rcrun.storage.trees import remove_tree

    remove_tree(path)


def inspect_object(store: Store, record: Record, used: Users | None = None) -> dict[str, Any]:
    """What docker tells of a volume, with what podman adds."""
    used = volumes.users(store) if used is None else used
    name = record["name"]
    return {
        "CreatedAt": record["created"],
        "Driver": "local",
        "Labels": dict(record["labels"]),
        "Mountpoint": volumes.data_dir(store, name),
        "Name": name,
        "Options": dict(record["options"]) or None,
        "Scope": "local",
        "Anonymous": bool(record["anonymous"]),
        "MountCount": len(used.get(name, [])),
        "NeedsCopyUp": bool(record["needs_copy_up"]),
        "NeedsChown": False,
        "LockNumber": 0,
    }


# Filters: those of one key are alternatives, but labels must all be there, as with podman and docker.


def matching(
    store: Store, filters: Sequence[str], *, known: Sequence[str] | None = None
) -> list[Record]:
    """The volumes that pass, sorted by name."""
    asked: dict[str, list[str]] = {}
    for word in filters:
        key, equals, value = word.partition("=")
        if key == "label" and value.startswith("!"):
            key, value = "label!", value[1:]
        if key not in _FILTERS or not equals or (known and key not in known):
            keys = " ".join(known or _FILTERS)
            raise InvalidInput(
                f'invalid filter "{word}"', f"filters are written KEY=VALUE; keys: {keys}"
            )
        asked.setdefault(key, []).append(value)
    used: Users = volumes.users(store) if "dangling" in asked else {}
    return [
        record
        for record in volumes.every(store)
        if all(_passes(store, record, used, key, values) for key, values in asked.items())
    ]


def _passes(store: Store, record: Record, used: Users, key: str, values: Sequence[str]) -> bool:
    found = [_FILTERS[key](store, record, used, value) for value in values]
    return all(found) if key in ("label", "label!") else any(found)


def _has_name(store: Store, record: Record, used: Users, value: str) -> bool:
    import re

    try:
        return re.search(value, record["name"]) is not None
    except re.error as error:
        raise InvalidInput(f'invalid filter "name={value}": {error}') from error


def _has_label(store: Store, record: Record, used: Users, value: str) -> bool:
    return _has_pair(record["labels"], value)


def _lacks_label(store: Store, record: Record, used: Users, value: str) -> bool:
    return not _has_pair(record["labels"], value)


def _has_option(store: Store, record: Record, used: Users, value: str) -> bool:
    return _has_pair(record["options"], value)


def _has_pair(pairs: Mapping[str, str], value: str) -> bool:
    key, equals, wanted = value.partition("=")
    return key in pairs and (not equals or pairs[key] == wanted)


def _has_driver(store: Store, record: Record, used: Users, value: str) -> bool:
    return value == "local"


def _is_dangling(store: Store, record: Record, used: Users, value: str) -> bool:
    return (record["name"] not in used) == truth("dangling", value)


def _is_anonymous(store: Store, record: Record, used: Users, value: str) -> bool:
    return bool(record["anonymous"]) == truth("anonymous", value)


def truth(key: str, value: str) -> bool:
    if value.lower() not in ("true", "1", "t", "false", "0", "f"):
        raise InvalidInput(f'invalid filter "{key}={value}": it is true or false')
    return value.lower() in ("true", "1", "t")


def _is_since(store: Store, record: Record, used: Users, value: str) -> bool:
    since = volumes.load(store, value)["created"]
    return bool(seconds_of(record["created"]) > seconds_of(since))


def _is_until(store: Store, record: Record, used: Users, value: str) -> bool:
    from rcrun.formats import moment

    return seconds_of(record["created"]) < moment.parse(value, time.time_ns()) / 1e9


_FILTERS: dict[str, Filter] = {
    "after": _is_since,
    "anonymous": _is_anonymous,
    "dangling": _is_dangling,
    "driver": _has_driver,
    "label": _has_label,
    "label!": _lacks_label,
    "name": _has_name,
    "opt": _has_option,
    "scope": _has_driver,
    "since": _is_since,
    "until": _is_until,
}
