"""rcrun-oci list."""

from __future__ import annotations

import sys

from rcrun_cli import oci
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What runc writes, and in its order: scripts cut it out with less than a JSON parser.
FIELDS = ("ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner")
HEADER = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")


def in_order(state: dict[str, Any]) -> dict[str, Any]:
    return {**{name: state[name] for name in FIELDS}, **state}


@command("list")
@option("-q", "--quiet", is_flag=True, help="Print ids only")
@option("-f", "--format", "form", type=["table", "json"], default="table", help="How to print")
def list_(quiet: bool, form: str) -> None:
    """List the containers."""
    from rcrun.errors import NotFound
    from rcrun.files import dump_json
    from rcrun.runtime.state import containers

    if quiet:
        sys.stdout.write("".join(f"{found.id}\n" for found in containers(oci.settings.root)))
        return
    states = []
    for found in containers(oci.settings.root):
        try:
            states.append(in_order(found.oci_state()))
        except NotFound:
            continue  # deleted meanwhile
    if form == "json":
        sys.stdout.write(dump_json(states, ordered=False) + "\n")
        return
    rows = [HEADER, *(tuple(str(state[key.lower()]) for key in HEADER) for state in states)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write(" ".join(cells).rstrip() + "\n")
