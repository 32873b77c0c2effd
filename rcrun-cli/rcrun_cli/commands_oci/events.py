"""rcrun-oci events."""

from __future__ import annotations

import sys

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option


@command()
@option("--stats", is_flag=True, help="Print what the container uses now, and end")
@option("--interval", default="5s", metavar="DURATION", help="How often to print what it uses")
@argument("container", metavar="CONTAINER")
def events(container: str, stats: bool, interval: str) -> None:
    """Print what a container uses, and its OOM and pids events, one JSON document a line."""
    import json

    from rcrun.errors import InvalidInput
    from rcrun.formats.duration import parse
    from rcrun.runtime import events as watching

    seconds = parse(interval) / 1e9
    if seconds <= 0:
        raise InvalidInput(f'invalid interval "{interval}": it must be greater than 0')
    found = oci.container(container)
    path = watching.path_of(found)
    if stats:
        rows = iter([watching.statistics(found.id, path)])
    else:
        rows = watching.events(found.id, path, seconds)
    for row in rows:
        sys.stdout.write(json.dumps(row, separators=(",", ":")) + "\n")
        sys.stdout.flush()
