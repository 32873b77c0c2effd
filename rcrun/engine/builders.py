"""The names of buildx's builders, which scripts make and use: each of them is the one that there is, and builds on this host."""

from __future__ import annotations

import os

from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.files import Lock, read_json_or_none, write_json
from rcrun.storage import layout
from rcrun.storage.images import wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.paths import Store

DEFAULT = "default"
_HERE = ("", "docker", "docker-container")
BINFMT = "/proc/sys/fs/binfmt_misc"
# Of an emulator's name, where the platform has another.
_PLATFORMS = {
    "aarch64": "arm64", "arm": "arm/v7", "i386": "386", "x86_64": "amd64", "loongarch64": "loong64", "mips64el": "mips64le",
}  # fmt: skip
_EMULATED = ("ppc64le", "riscv64", "s390x", "mips64", *_PLATFORMS)


class Builders:
    """All names, `default` first, and the one that is used where none is given."""

    __slots__ = ("current", "names")

    def __init__(self, names: list[str], current: str) -> None:
        self.names = [DEFAULT, *names]
        self.current = current if current in names else DEFAULT

    def find(self, name: str) -> str:
        if name and name not in self.names:
            raise NotFound(f"no such builder: {name}", f"rcrun buildx create --name {name}")
        return name or self.current


def all_of(store: Store) -> Builders:
    try:
        known: dict[str, Any] = read_json_or_none(store.path("builders.json")) or {}
    except ValueError:
        known = {}  # names are all that is lost
    return Builders(list(known.get("names") or []), str(known.get("current") or ""))


def create(store: Store, name: str, *, append: bool, use: bool) -> None:
    def put(builders: Builders) -> None:
        if name in builders.names:
            if not append:
                raise AlreadyExists(f'builder "{name}" exists', f"rcrun buildx use {name}")
        elif append:
            builders.find(name)
        else:
            builders.names.append(name)
        if use:
            builders.current = name

    _change(store, put)


def use(store: Store, name: str) -> None:
    def put(builders: Builders) -> None:
        builders.current = builders.find(name)

    _change(store, put)


def remove(store: Store, name: str) -> None:
    """The name; there is nothing else to be removed."""

    def put(builders: Builders) -> None:
        if builders.find(name) == DEFAULT:
            raise InvalidInput('the builder "default" is always there')
        builders.names.remove(name)

    _change(store, put)


def _change(store: Store, action: Callable[[Builders], None]) -> None:
    layout.init(store)
    with Lock(store.path("builders.lock")):
        builders = all_of(store)
        action(builders)
        names = builders.names[1:]
        record = {"names": names, "current": builders.current}
        write_json(store.path("builders.json"), record, durable=False)


def check_place(driver: str, endpoint: str) -> None:
    """InvalidInput for a builder that would be elsewhere."""
    if driver not in _HERE:
        raise InvalidInput(
            f'--driver "{driver}" is not possible: rcrun builds on this host, without a builder',
            "leave --driver out",
        )
    if "://" in endpoint and not endpoint.startswith("unix://"):
        raise InvalidInput(
            f'cannot build at "{endpoint}": rcrun has no daemon, it works on this host only',
            "log in there and run the same command: ssh HOST rcrun …",
        )


def platforms() -> list[str]:
    """This machine's, and those of the emulators that are registered."""
    own = wanted("")[0]
    try:
        words = {name.removeprefix("qemu-") for name in os.listdir(BINFMT)}
    except OSError:
        words = set()
    others = sorted({_PLATFORMS.get(word, word) for word in words & set(_EMULATED)})
    return [f"linux/{name}" for name in [own, *(each for each in others if each != own)]]
