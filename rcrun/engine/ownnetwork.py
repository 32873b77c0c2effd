"""A network of the container's own in the place of the default bridge, where no bridge can be made: cold."""

from __future__ import annotations

from rcrun.engine.bridge import release, write_hosts, write_resolv
from rcrun.engine.config_network import own_network
from rcrun.engine.facts import no_bridges
from rcrun.errors import StepFailed
from rcrun.files import write_file
from rcrun.network.pasta import ADDRESS
from rcrun.paths import find_program, make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.errors import RcrunError
    from rcrun.storage.containers import Container

# What a kernel without bridges, packet filters or their translation of addresses refuses; the next containers need not try.
_OF_THE_KERNEL = ("link-kind", "bridge", "netfilter", "local-mark")


def leave_bridge(context: Context, container: Container, error: RcrunError) -> None:
    """Its record and its files as if it had been made with a network of its own.

    What keeps pasta from a room may keep it from the container, too: then its own start says so.
    """
    if isinstance(error, StepFailed) and error.step in _OF_THE_KERNEL:
        make_private_dir(context.store.live_dir)
        write_file(no_bridges(context.store), f"{error.message}\n".encode(), durable=False)
    release(context, container)
    before = container.record["network"]
    search = context.search
    container.record["network"] = {
        "mode": own_network(lambda name: find_program(name, search), context.preferred_network),
        "chosen": False,
        "options": [],
        "ports": before["ports"],
        "aliases": before["aliases"],
        "resolv": before["resolv"],
        "own_names": before.get("own_names"),
    }
    write_hosts(container, {"": {"addresses": [f"{ADDRESS}/24"]}})
    write_resolv(context, container, [])
