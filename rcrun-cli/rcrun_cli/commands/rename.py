"""`rcrun rename`."""

from __future__ import annotations

from rcrun.engine.eventlog import renamed
from rcrun.formats import names
from rcrun.storage.claims import rename as rename_container
from rcrun.storage.containers import find
from rcrun_cli import context
from rcrun_cli.declare import argument, command


@command()
@argument("container")
@argument("name")
def rename(container: str, name: str) -> None:
    """Give a container another name."""
    found = find(context.store(), container)
    old = found.name
    rename_container(found, names.check(name.removeprefix("/"), "container"))
    renamed(found, old)
    if (found.record.get("network") or {}).get("mode") == "bridge":
        from rcrun.engine.networkchange import rename_in_networks

        rename_in_networks(context.engine(), found.id)
    if found.record.get("pod"):
        from rcrun.engine.podhosts import renew

        renew(found.store, found.record["pod"]["id"], started=found)
