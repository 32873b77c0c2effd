"""rcrun-oci ps."""

from __future__ import annotations

import sys

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option


@command(interspersed=False)
@option("-f", "--format", "form", type=["table", "json"], default="table", help="How to print")
@argument("container", metavar="CONTAINER")
@argument("args", nargs=-1, metavar="[PS-OPTION]...")
def ps(container: str, args: tuple[str, ...], form: str) -> None:
    """List the processes of a container, as ps(1) with these options shows them."""
    from rcrun.files import dump_json
    from rcrun.runtime.members import members, table

    found = oci.container(container)
    pids = members(found) if found.status() != "stopped" else []
    if form == "json":
        sys.stdout.write(dump_json(pids) + "\n")
    else:
        sys.stdout.write(table(pids, list(args)))
