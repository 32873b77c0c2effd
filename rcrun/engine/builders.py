"""Names of builders, as `docker buildx create` makes them: all of them are this one, which is always there."""

from __future__ import annotations

import os

from rcrun import files
from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.formats import names
from rcrun.storage.claims import random_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.paths import Store

DEFAULT = "default"


class Builder:
    """Its name, and docker's word for what drives it; whether builds take it that name none."""

    __slots__ = ("driver", "is_current", "name")

    def __init__(self, name: str, driver: str, *, is_current: bool) -> None:
        self.name = name
        self.driver = driver
        self.is_current = is_current


class _Record:
    """Under its lock: `drivers` by name, and the current name. What changed is written at the end."""

    def __init__(self, store: Store) -> None:
        os.makedirs(store.path("build"), exist_ok=True)
        self._path = store.path("build", "builders")
        self._lock = files.Lock(f"{self._path}.lock")

    def __enter__(self) -> _Record:
        self._lock.acquire()
        self.drivers, self.current = _read(self._path)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                known = {"current": self.current, "drivers": self.drivers}
                files.write_json(self._path, known, durable=False)
        finally:
            self._lock.release()


def _read(path: str) -> tuple[dict[str, str], str]:
    try:
        record: Any = files.read_json_or_none(path) or {}
    except ValueError:
        record = {}
    drivers = dict(record.get("drivers") or {})
    current = record.get("current") or DEFAULT
    return drivers, current if current in drivers else DEFAULT


def every(store: Store) -> list[Builder]:
    drivers, current = _read(store.path("build", "builders"))
    rows = [*sorted(drivers.items()), (DEFAULT, "docker")]
    return [Builder(name, driver, is_current=name == current) for name, driver in rows]


def find(store: Store, name: str = "") -> Builder:
    """Of this name, else the current one."""
    for each in every(store):
        if each.name == name or (not name and each.is_current):
            return each
    raise NotFound(f'no builder "{name}" found')


def create(store: Store, name: str, driver: str, *, use: bool, append: bool) -> str:
    """The name, which is made up where none is given."""
    with _Record(store) as record:
        attempts = map(random_name, range(100))
        name = name or next(each for each in attempts if each not in record.drivers)
        if name == DEFAULT or (name in record.drivers and not append):
            raise AlreadyExists(
                f'existing instance for "{name}" but no append mode',
                f"rcrun buildx rm {name}, or another --name",
            )
        names.check(name, "builder name")
        record.drivers[name] = driver
        if use:
            record.current = name
    return name


def use(store: Store, name: str) -> None:
    with _Record(store) as record:
        if name != DEFAULT and name not in record.drivers:
            raise NotFound(f'no builder "{name}" found')
        record.current = name


def remove(store: Store, name: str) -> None:
    if name == DEFAULT:
        raise InvalidInput("failed to remove default: it is always there")
    with _Record(store) as record:
        if name not in record.drivers:
            raise NotFound(f'failed to remove {name}: no builder "{name}" found')
        del record.drivers[name]
