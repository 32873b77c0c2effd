"""Containers put on networks and taken off, at once if they run; networks changed, and made again where they were lost."""

from __future__ import annotations

import time

from rcrun.engine import bridge, networks
from rcrun.engine.events_network import tell
from rcrun.engine.room import Room, interfaces_of, launch_work, work_in
from rcrun.errors import AlreadyExists, InvalidInput, NotFound, RcrunError, WrongState
from rcrun.formats import cidr, networkflag
from rcrun.network import definitions
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import every, find, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.network.definitions import Definition
    from rcrun.storage.containers import Container, Status

SECONDS_FOR_OLD_LINKS = 2


def connect(
    context: Context,
    network: str,
    text: str,
    asked: Mapping[str, str | None],
    aliases: Sequence[str],
    options: Sequence[str],
) -> None:
    definition = networks.find(context.store, network)
    container = find(context.store, text)
    with ContainerLock(container):
        container = find(context.store, container.id)  # as it is now that nobody changes it
        if _has_none(container):
            _leave_none(container)
        _require_bridges(container)
        _refuse_second(container, definition)
        wanted = _wanted(definition, asked, aliases, options)
        record = container.record["network"]
        record["networks"].append(wanted)
        record["chosen"] = True
        now = status(container)
        if now.is_running:
            _join_live(context, container, now, definition, wanted)
        container.save()
    tell(context, "connect", definition, container)


def _has_none(container: Container) -> bool:
    return (container.record.get("network") or {}).get("mode") == "none"


def _leave_none(container: Container) -> None:
    """A container that runs has a network namespace that belongs to a user namespace which the room has no rights over."""
    if status(container).is_running:
        raise WrongState(
            f'container "{container.name}" runs with the network "none", which nobody can change before it has ended',
            f"rcrun stop {container.name}, then connect it and start it again",
        )
    before = container.record["network"]
    on_bridges: dict[str, Any] = {
        "mode": bridge.MODE,
        "networks": [],
        "endpoints": {},
        "resolv": {"servers": [], "search": [], "options": []},
    }
    container.record["network"] = {**before, **on_bridges}


def _require_bridges(container: Container) -> None:
    network = container.record.get("network") or {}
    if network.get("mode") != bridge.MODE:
        raise InvalidInput(
            f'container "{container.name}" has the network "{network.get("mode")}", which is not shared',
            "make the container with --network NAME, a network of rcrun network create",
        )


def _refuse_second(container: Container, definition: Definition) -> None:
    if any(each["name"] == definition["name"] for each in container.record["network"]["networks"]):
        raise AlreadyExists(
            f'container "{container.name}" is already connected to network "{definition["name"]}"'
        )


def _wanted(
    definition: Definition,
    asked: Mapping[str, str | None],
    aliases: Sequence[str],
    options: Sequence[str],
) -> dict[str, Any]:
    found = networkflag.parse(
        ":".join([definition["name"], ",".join(f"driver-opt={word}" for word in options)])
    )
    found["aliases"] = list(dict.fromkeys(aliases))
    if asked.get("ip"):
        found["ip"] = cidr.checked_address(str(asked["ip"]), "--ip", 32)
    if asked.get("ip6"):
        found["ip6"] = cidr.checked_address(str(asked["ip6"]), "--ip6", 128)
    if asked.get("mac"):
        found["mac"] = networkflag.checked_mac(str(asked["mac"]), "--mac-address")
    return found


def _join_live(
    context: Context,
    container: Container,
    now: Status,
    definition: Definition,
    wanted: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
) -> None:
    """The interface in a container that runs; `before`: the endpoint that it had, whose looks it keeps."""
    joining = bridge.Joining(context, container)
    record = container.record["network"]
    place = [each["name"] for each in record["networks"]].index(definition["name"])
    taken = _interfaces(now)
    name = (before or {}).get("interface") or wanted.get("interface") or _free_name(taken)
    if name in taken:
        raise InvalidInput(f'container "{container.name}" has an interface "{name}" already')
    joining.room.left = (now.pid, now.pid_start)  # its last network may have been the room's, too
    joining.room.enter(joining.definitions)
    endpoint = bridge.new_endpoint(definition, wanted, name)
    try:
        bridge.take_addresses(
            joining.room, container.id, definition, wanted, before or {}, endpoint
        )
        record["endpoints"][definition["name"]] = endpoint
        joining.publish_all()
        words = bridge.interface_words(definition, endpoint, place)
        room = joining.room
        step = ["connect", str(now.pid), str(now.pid_start), *words]
        launch_work(work_in({"pid": room.pid, "start": room.start}, [step]))
    except BaseException:
        record["endpoints"].pop(definition["name"], None)
        joining.room.claims(definition).release(endpoint["veth"])
        raise
    finally:
        joining.room.lock.release()
    _write_files(context, container)


def _interfaces(now: Status) -> set[str]:
    return interfaces_of(now.pid)


def _free_name(taken: set[str]) -> str:
    number = 0
    while f"eth{number}" in taken:
        number += 1
    return f"eth{number}"


def _write_files(context: Context, container: Container) -> None:
    joining = bridge.Joining(context, container)
    bridge.write_hosts(container, container.record["network"]["endpoints"])
    bridge.write_resolv(context, container, joining.definitions)


def disconnect(context: Context, network: str, text: str, *, force: bool = False) -> None:
    if network == "none":
        _disconnect_none(context, text)
        return
    try:
        definition = networks.find(context.store, network)
        container = find(context.store, text)
        with ContainerLock(container):
            container = find(context.store, container.id)
            _leave(context, container, definition)
    except NotFound:
        if force:
            return
        raise
    tell(context, "disconnect", definition, container)


def _disconnect_none(context: Context, text: str) -> None:
    """docker wants it before such a container is connected to something."""
    container = find(context.store, text)
    with ContainerLock(container):
        container = find(context.store, container.id)
        if not _has_none(container):
            raise WrongState(f'container "{container.name}" is not connected to network "none"')
        _leave_none(container)
        container.save()


def _leave(context: Context, container: Container, definition: Definition) -> None:
    record = container.record.get("network") or {}
    kept = [each for each in record.get("networks") or () if each["name"] != definition["name"]]
    if len(kept) == len(record.get("networks") or ()):
        raise WrongState(
            f'container "{container.name}" is not connected to network "{definition["name"]}"'
        )
    joining = bridge.Joining(context, container)
    record["networks"] = kept
    endpoint = record["endpoints"].pop(definition["name"], None)
    if endpoint is not None and status(container).is_running and joining.room.find():
        room = joining.room
        steps = [["link-delete", endpoint["veth"]]]
        launch_work(work_in({"pid": room.pid, "start": room.start}, steps))
        room.claims(definition).release(endpoint["veth"])
        left = bridge.Joining(context, container)
        left.room.find()
        left.publish_all()
    container.save()
    if status(container).is_running:
        _write_files(context, container)


def rename_in_networks(context: Context, container_id: str) -> None:
    """Its siblings find it under the name that it has now."""
    container = find(context.store, container_id)
    with ContainerLock(container):
        joining = bridge.Joining(context, container)
        if status(container).is_running and joining.room.find():
            joining.publish_all()


# Again.


def reload(
    context: Context, texts: Sequence[str], *, everything: bool = False
) -> Iterator[tuple[str, RcrunError | None]]:
    """The id of each container whose networks are as they should be now, or why they are not."""
    for text in [each.id for each in every(context.store)] if everything else texts:
        try:
            container = find(context.store, text)
            if everything and not _runs_on_bridges(container):
                continue
            with ContainerLock(container):
                _reload(context, find(context.store, container.id))
            yield container.id, None
        except RcrunError as error:
            yield text, error


def _runs_on_bridges(container: Container) -> bool:
    return bridge.is_on_bridges(container) and status(container).is_running


def _reload(context: Context, container: Container) -> None:
    now = status(container)
    _require_bridges(container)
    if not now.is_running:
        raise WrongState(f'container "{container.name}" is not running')
    joining = bridge.Joining(context, container)
    joining.room.enter(joining.definitions)
    joining.room.lock.release()
    record = container.record["network"]
    for definition, wanted in zip(joining.definitions, record["networks"], strict=True):
        endpoint = record["endpoints"].get(definition["name"]) or {}
        if endpoint.get("veth") in joining.room.veths():
            continue
        _await_end_of(now, endpoint.get("interface", ""))
        _join_live(context, container, now, definition, wanted, endpoint)
    container.save()


def _await_end_of(now: Status, interface: str) -> None:
    """The kernel takes its time to take a lost network apart, and the interface that it had in the container."""
    until = time.monotonic() + SECONDS_FOR_OLD_LINKS
    while interface in _interfaces(now) and time.monotonic() < until:
        time.sleep(0.02)


def update(context: Context, text: str, *, add: Sequence[str], drop: Sequence[str]) -> None:
    name = networks.find(context.store, text)["name"]
    with definitions.changing(context.store):
        definition = definitions.load(context.store, name)
        servers = list(definition.get("network_dns_servers") or ())
        for each in drop:
            address = cidr.checked_address(each, "--dns-drop")
            if address not in servers:
                raise NotFound(f'network "{definition["name"]}" has no name server {address}')
            servers.remove(address)
        servers += [cidr.checked_address(each, "--dns-add") for each in add]
        definition["network_dns_servers"] = list(dict.fromkeys(servers))
        definitions.save(context.store, definition)
        room = Room(context)
        with room.kept():
            if room.find():
                room.change_servers(definition)
