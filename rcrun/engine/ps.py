"""The list of containers as `ps` filters it, and what their records tell."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.storage.containers import every, find, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.containers import Container

STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")


class Seen:
    """A container with its status at one moment."""

    __slots__ = ("container", "status")

    def __init__(self, container: Container) -> None:
        self.container = container
        self.status = status(container)


def listed(
    store: Store, *, everything: bool = False, last: int = -1, filters: Sequence[str] = ()
) -> list[Seen]:
    """The newest first: those that run; with `everything`, `last` or a filter for a status, the others too."""
    asked = _parsed(filters)
    looked = [seen for seen in map(Seen, every(store)) if seen.status.word != "removing"]
    found = [seen for seen in looked if _passes(store, seen, asked)]
    if last > 0:
        return found[:last]
    if everything or last == 0 or "status" in asked or "exited" in asked:
        return found
    return [seen for seen in found if seen.status.is_running]


# Filters.


def _parsed(filters: Sequence[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for word in filters:
        key, equals, value = word.partition("=")
        if key.endswith("!") and equals:
            key = key[:-1] + "!"
        if not equals or key not in _FILTERS:
            raise InvalidInput(
                f'invalid filter "{word}"',
                f"filters are written KEY=VALUE; keys: {' '.join(_FILTERS)}",
            )
        if key == "status" and value not in STATUSES:
            raise InvalidInput(f'invalid filter "{word}": statuses are {" ".join(STATUSES)}')
        asked.setdefault(key, []).append(value)
    return asked


def _passes(store: Store, seen: Seen, asked: Mapping[str, list[str]]) -> bool:
    """Every key must hold; of a key's values one must, of labels all."""
    for key, values in asked.items():
        matches = [_FILTERS[key](store, seen, value) for value in values]
        if not (all(matches) if key in ("label", "label!") else any(matches)):
            return False
    return True


def _has_id(store: Store, seen: Seen, value: str) -> bool:
    return seen.container.id.startswith(value)


def _has_name(store: Store, seen: Seen, value: str) -> bool:
    import re

    try:
        return re.search(value.removeprefix("/"), seen.container.name) is not None or (
            re.search(value, f"/{seen.container.name}") is not None
        )
    except re.error as error:
        raise InvalidInput(f'invalid filter "name={value}": {error}') from error


def _has_label(store: Store, seen: Seen, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    labels = seen.container.record.get("labels", {})
    return key in labels and (not equals or labels[key] == wanted)


def _lacks_label(store: Store, seen: Seen, value: str) -> bool:
    return not _has_label(store, seen, value)


def _has_status(store: Store, seen: Seen, value: str) -> bool:
    return seen.status.word == value


def _has_exited(store: Store, seen: Seen, value: str) -> bool:
    if not value.isdigit():
        raise InvalidInput(f'invalid filter "exited={value}": an exit code is a number')
    return seen.status.word == "exited" and seen.status.exit_code == int(value)


def _has_ancestor(store: Store, seen: Seen, value: str) -> bool:
    record = seen.container.record
    image_id = str(record.get("image_id") or "").removeprefix("sha256:")
    wanted = value.removeprefix("sha256:")
    if len(wanted) >= 4 and image_id.startswith(wanted):
        return True
    from rcrun.formats.reference import parse

    try:
        return str(parse(value)) == record.get("image")
    except InvalidInput:
        return False


def _is_before(store: Store, seen: Seen, value: str) -> bool:
    return str(seen.container.record["created"]) < str(find(store, value).record["created"])


def _is_since(store: Store, seen: Seen, value: str) -> bool:
    return str(seen.container.record["created"]) > str(find(store, value).record["created"])


def _has_volume(store: Store, seen: Seen, value: str) -> bool:
    mounts = seen.container.record.get("mounts", [])
    return any(value in (mount.get("name"), mount["destination"]) for mount in mounts)


def _has_network(store: Store, seen: Seen, value: str) -> bool:
    return network_name(seen.container) == value


def _publishes(store: Store, seen: Seen, value: str) -> bool:
    port, _, protocol = value.partition("/")
    return any(
        str(p["container_port"]) == port and p["protocol"] == (protocol or "tcp")
        for p in published(seen.container)
    )


_FILTERS = {
    "id": _has_id,
    "name": _has_name,
    "label": _has_label,
    "label!": _lacks_label,
    "status": _has_status,
    "exited": _has_exited,
    "ancestor": _has_ancestor,
    "before": _is_before,
    "since": _is_since,
    "volume": _has_volume,
    "network": _has_network,
    "publish": _publishes,
}


# What a container's record tells.


def shown_image(container: Container) -> str:
    """What was typed, as far as the record tells; the id for an image without a name."""
    record = container.record
    return str(record.get("image_typed") or record.get("image") or record.get("image_id") or "")


def command_text(container: Container) -> str:
    """As docker joins it: quotes around words with a space, but not around the first."""
    record = container.record
    words = [*(record.get("entrypoint") or []), *(record.get("command") or [])]
    return " ".join([*words[:1], *[f"'{word}'" if " " in word else word for word in words[1:]]])


def published(container: Container) -> list[dict[str, Any]]:
    """As they are bound on the host while it runs."""
    network = container.record.get("network") or {}
    ports: list[dict[str, Any]] = network.get("bound") or []
    return ports


def host_addresses(port: Mapping[str, Any]) -> list[str]:
    """Both families where none was asked for."""
    return [port["host_ip"]] if port["host_ip"] else ["0.0.0.0", "::"]


def ports_text(container: Container) -> str:
    """As docker has it: by port; neighbours with the same number outside are a range, other numbers come last."""
    groups: dict[str, list[int]] = {}
    done, mappings = [], []
    for number, ip, host_port, protocol in sorted(_places(container)):
        place = f"[{ip}]:" if ":" in ip else f"{ip}:" if ip else ""
        if place and host_port != number:
            mappings.append(f"{place}{host_port}->{number}/{protocol}")
        else:
            done += _joined(groups, f"{place}@/{protocol}", number)
    return ", ".join([*done, *[_range_text(*group) for group in groups.items()], *mappings])


def _places(container: Container) -> list[tuple[int, str, int, str]]:
    """Port, address and port on the host, protocol; without an address for one that is exposed only."""
    places = [
        (port["container_port"], ip, port["host_port"], port["protocol"])
        for port in published(container)
        for ip in host_addresses(port)
    ]
    taken = {f"{place[0]}/{place[3]}" for place in places}
    words = [
        text.partition("/") for text in container.record.get("exposed") or [] if text not in taken
    ]
    return [*places, *[(int(number), "", 0, protocol) for number, _, protocol in words]]


def _joined(groups: dict[str, list[int]], key: str, number: int) -> list[str]:
    """Put a port into its group; the text of the range that it does not continue."""
    group = groups.get(key)
    if group is not None and group[1] + 1 == number:
        group[1] = number
        return []
    groups[key] = [number, number]
    return [] if group is None else [_range_text(key, group)]


def _range_text(key: str, group: list[int]) -> str:
    place, protocol = key.split("@")
    text = "-".join([str(number) for number in dict.fromkeys(group)])
    return f"{place}{text}->{text}{protocol}" if place else f"{text}{protocol}"


def network_name(container: Container) -> str:
    return str((container.record.get("network") or {}).get("mode") or "none")


def layers_size(container: Container) -> int:
    """Bytes of the image's files, as they were counted when its layers were unpacked."""
    from rcrun.files import read_json_or_none

    total = 0
    for path in (container.record.get("rootfs") or {}).get("lowers") or []:
        layer = read_json_or_none(container.store.path(os.path.dirname(path), "layer.json"))
        total += layer["size"] if layer else 0
    return total


def tree_size(path: str) -> int:
    """Bytes of the files that we may look at; a container may nest directories as deep as it likes."""
    total = 0
    waiting = [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # closed to us, removed meanwhile, or too deep to be named
    return total
