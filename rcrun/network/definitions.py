"""The networks that containers share: a file each, `networks/NAME.json` of the store, in the shape that podman has."""

from __future__ import annotations

import zlib

from rcrun.errors import NotFound
from rcrun.files import Lock, read_json, subdirectories, write_json
from rcrun.formats.networkflag import DEFAULT, canonical
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.paths import Store

    Definition = dict[str, Any]

# The one that is always there has the same id everywhere; podman's.
DEFAULT_ID = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9"
BUILT_IN = ("none", "host")
DEFAULT_MTU = 65520  # of pasta, and of slirp4netns as we start it


def folder(store: Store) -> str:
    return store.path("networks")


def room_dir(store: Store) -> str:
    """Of the live state: stores that share one have networks of the same names and subnets, and rooms of their own."""
    return f"{store.live_dir}/network-{zlib.crc32(store.root_dir.encode()):08x}"


def path_of(store: Store, name: str) -> str:
    return f"{folder(store)}/{name}.json"


def changing(store: Store) -> Lock:
    """Held by who makes, changes or removes networks: never by one who starts a container on one that is there.

    The default network is made under it when it is first asked for: before, for who holds it would wait for himself.
    """
    make_private_dir(folder(store))
    return Lock(f"{folder(store)}/lock")


def load(store: Store, name: str) -> Definition:
    """By its whole name; NotFound."""
    name = canonical(name)
    found = read(path_of(store, name)) if name and "/" not in name else None
    if found is None and name == DEFAULT:
        from rcrun.network.subnets import make_default

        found = make_default(store)
    if found is None:
        raise NotFound(f"no such network: {name}", f"rcrun network create {name}")
    return found


def read(path: str) -> Definition | None:
    try:
        found = read_json(path)
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("id") and found.get("name") else None


def save(store: Store, definition: Definition) -> None:
    make_private_dir(folder(store))
    write_json(path_of(store, definition["name"]), definition)


def every(store: Store) -> list[Definition]:
    """The default one first, the others by name."""
    default = load(store, DEFAULT)
    return [default, *[each for each in every_plain(store) if each["name"] != DEFAULT]]


def every_plain(store: Store) -> list[Definition]:
    """Those that have a file."""
    names = sorted(name for name in subdirectories(folder(store)) if name.endswith(".json"))
    read_all = (read(f"{folder(store)}/{name}") for name in names)
    return [each for each in read_all if each is not None]


def key(definition: Definition) -> str:
    """What it is called in the live state: no name can be in the way of another file there."""
    return str(definition["id"])[:12]


def gateways(definition: Definition) -> list[str]:
    """The bridge's own addresses with their prefixes."""
    return [
        f"{row['gateway']}/{row['subnet'].partition('/')[2]}"
        for row in definition["subnets"]
        if row.get("gateway")
    ]


def mtu(definition: Definition) -> int:
    """That of the way out: with smaller packets, what goes to the host is ten times slower."""
    return int((definition.get("options") or {}).get("mtu") or DEFAULT_MTU)


def is_isolated(definition: Definition) -> bool:
    """As docker has it, networks do not reach each other; podman's option can say otherwise."""
    return (definition.get("options") or {}).get("isolate") != "false"
