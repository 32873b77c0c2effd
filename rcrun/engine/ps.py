"""The list of containers as `ps` filters it, and what their records tell."""

from __future__ import annotations

import os

from rcrun.storage.containers import every, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.containers import Container


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
    found = [seen for seen in map(Seen, every(store)) if seen.status.word != "removing"]
    if filters:
        from rcrun.engine.psfilters import Filters

        asked = Filters(store, filters)
        found = [seen for seen in found if asked.pass_(seen)]
        everything = everything or asked.any_state
    if last > 0:
        return found[:last]
    if everything or last == 0:
        return found
    return [seen for seen in found if seen.status.is_up]


# What a container's record tells.


def health_word(seen: Seen) -> str:
    """starting, healthy, unhealthy; empty where nothing is checked."""
    if not seen.container.record.get("healthcheck"):
        return ""
    from rcrun.engine.healthfile import word_of

    return word_of(seen.container, seen.status)


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
    if network.get("mode") == "container" and container.record.get("pod"):
        network = _network_of_pod(container)
    ports: list[dict[str, Any]] = network.get("bound") or []
    return ports


def _network_of_pod(container: Container) -> dict[str, Any]:
    """Its ports are the infra container's."""
    from rcrun.storage.containers import load

    infra = load(container.store, str(container.record["network"].get("container")))
    found: dict[str, Any] = (infra.record.get("network") or {}) if infra is not None else {}
    return found


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


def network_names(container: Container) -> list[str]:
    """Of those that it shares with others; else the kind of its own."""
    network = container.record.get("network") or {}
    if network.get("mode") == "bridge":
        return [str(each["name"]) for each in network.get("networks") or ()]
    return [str(network.get("mode") or "none")]


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
