"""What a start does about the network: the process that makes it, the bridges that it joins, what it may inside."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, StepFailed
from rcrun.paths import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.engine.bridge import Joining
    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container

    Records = list[list[str]]
    Planned = tuple[Records, list[int]]


TRIES = 3
SENDING = "4096 16384 262144"  # bytes: at least, at first, at most


def bridges_of(context: Context, container: Container) -> Joining | None:
    if (container.record.get("network") or {}).get("mode") != "bridge":
        return None
    from rcrun.engine.bridge import Joining

    return Joining(context, container)


def on_bridge_or_not(
    plan_of: Callable[[Context, Container, Spec, Records], Planned],
    context: Context,
    container: Container,
    spec: Spec,
    settings: Records,
) -> Planned:
    """Who is on a bridge without having asked for one has a network of its own where none can be made."""
    try:
        return plan_of(context, container, spec, settings)
    except (HostLacks, StepFailed) as error:
        network = container.record.get("network") or {}
        if network.get("mode") != "bridge" or network.get("chosen", True):
            raise
        from rcrun.engine.ownnetwork import leave_bridge

        leave_bridge(context, container, error)
        return plan_of(context, container, spec, settings)


def with_free_ports(
    launch: Callable[[Context, Container, Spec], None],
    context: Context,
    container: Container,
    spec: Spec,
) -> None:
    """A port that was chosen for the container is free at that moment, and may be somebody's before its proxy listens."""
    before = dict(container.record)
    for _ in range(TRIES):
        try:
            return launch(context, container, spec)
        except StepFailed as error:
            if not has_lost_a_choice(container, error):
                raise
            leave_bridges(context, container)
            container.record = {**before, "network": container.record["network"]}
    return launch(context, container, spec)


def has_lost_a_choice(container: Container, error: StepFailed) -> bool:
    ports = (container.record.get("network") or {}).get("ports") or ()
    by_helper = error.step in ("helper", "helper-else")
    is_taken = by_helper and error.message.endswith("port is already allocated")
    return is_taken and any(not port["host_port"] or port.get("host_last") for port in ports)


def helper_settings(context: Context, container: Container) -> Records:
    """The network's process; its ports on the host are settled now, and kept for ps and inspect."""
    network: dict[str, Any] = container.record.get("network") or {}
    if network.get("mode") not in ("pasta", "slirp4netns"):
        return []
    from rcrun.network import helpers
    from rcrun.network.route import own_addresses

    helpers.require_tun()
    if network.get("ports"):
        from rcrun.network.ports import settle

        network["bound"] = settle(network["ports"])
    search = context.search
    around = helpers.Surroundings(
        lambda name: find_program(name, search),
        own_addresses(),
        as_root=context.identity.kind == "root",
        forwards=_asks_forwarder(container),
        options=context.network_options,
        preferred=context.preferred_network,
    )
    records = helpers.helper_records(network, container.live_dir, around)
    if not network.get("chosen") and not around.programs("pasta"):
        _say_no_pasta(context)
    return [["await-helpers"], *records] if network.get("ports") else records


def _asks_forwarder(container: Container) -> bool:
    """By its own resolv.conf, else by the host's, which a bundle may bind."""
    from rcrun.files import read_text
    from rcrun.network.resolv import asks_forwarder

    own = read_text(container.path("resolv.conf"))
    return asks_forwarder(own or read_text("/etc/resolv.conf"))


def _say_no_pasta(context: Context) -> None:
    """Once a boot."""
    try:
        os.close(os.open(f"{context.store.live_dir}/no-pasta", os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return
    context.warn(
        "pasta is not installed: slirp4netns makes the network, which is slower",
        "run: sudo apt-get install passt",
    )


def with_open_network(plan: Records) -> Records:
    """In a network of its own anybody may use any port and `ping`, as docker has it; --sysctl can say otherwise.

    The kernel compares groups by their numbers outside. What waits to be sent is limited: pasta drops what the host's
    socket has no room for, and a sender with megabytes on the way then waits for its timer again and again.
    """
    if ["loopback"] not in plan or ["pivot"] not in plan:
        return plan
    maps = [record[2:] for record in plan if record[0] == "gidmap"]
    groups = "0 2147483647"
    if maps:
        rows = [tuple(map(int, maps[0][at : at + 3])) for at in range(0, len(maps[0]), 3)]
        first, last = min(rows, key=_outside), max(rows, key=_outside)
        low, high = first[0], last[0] + last[2] - 1
        groups = f"{low} {high}" if low <= high else f"{high} {high}"
    at = plan.index(["pivot"]) + 1
    ports = ["sysctl", "net/ipv4/ip_unprivileged_port_start", "0", "optional"]
    ping = ["sysctl", "net/ipv4/ping_group_range", groups, "optional"]
    sending = ["sysctl", "net/ipv4/tcp_wmem", SENDING, "optional"]
    return [*plan[:at], ports, ping, sending, *_late_helpers(plan), *plan[at:]]


def _late_helpers(plan: Records) -> Records:
    """Who joins a user namespace is closed to those in it, and so to pasta, until it is in its own root."""
    kinds = {tuple(record[:2]) for record in plan}
    is_late = ("join", "user") in kinds and any(kind[0] == "helper" for kind in kinds)
    return [["network"]] if is_late else []


def _outside(row: tuple[int, ...]) -> int:
    return row[1]


def leave_bridges(context: Context, container: Container) -> None:
    """After a start that failed: what has become an interface is given up by the room itself."""
    if (container.record.get("network") or {}).get("mode") == "bridge":
        from rcrun.engine.bridge import release

        release(context, container)
