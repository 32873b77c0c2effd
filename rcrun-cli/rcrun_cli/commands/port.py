"""`rcrun port`."""

from __future__ import annotations

from rcrun.engine import ps
from rcrun.errors import NotFound
from rcrun.storage.containers import find, status
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command


@command()
@argument("container")
@argument("port", required=False)
def port(container: str, port: str | None) -> None:
    """Print where the ports of a container are on the host."""
    found = find(context.store(), container)
    published = ps.published(found) if status(found).is_running else []
    wanted = "" if port is None else port if "/" in port else f"{port}/tcp"
    lines = []
    for each in published:
        inside = f"{each['container_port']}/{each['protocol']}"
        for ip in ps.host_addresses(each):
            host = f"[{ip}]:{each['host_port']}" if ":" in ip else f"{ip}:{each['host_port']}"
            if not wanted:
                lines.append(f"{inside} -> {host}")
            elif wanted == inside:
                lines.append(host)
    if wanted and not lines:
        raise NotFound(f"no public port '{wanted}' published for {container}")
    for line in lines:
        output.put(line)
