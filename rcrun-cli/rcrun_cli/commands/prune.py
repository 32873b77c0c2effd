"""`rcrun container prune`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option


@command("prune")
@option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches: label, until",
)
@option("-f", "--force", is_flag=True, help="Do not ask")
def prune_containers(filters: tuple[str, ...], force: bool) -> int:
    """Remove all containers that do not run."""
    from rcrun.engine.prune import prune
    from rcrun.formats.size import decimal
    from rcrun_cli.dockerdefaults import prune_filters

    if not force and not output.confirmed("This will remove all stopped containers."):
        return 0
    removed, size = prune(context.engine(), prune_filters(filters))
    if not output.trait("prune_summary"):
        for container_id in removed:
            output.put(container_id)
        return 0
    if removed:
        output.put("Deleted Containers:")
        for container_id in removed:
            output.put(container_id)
        output.put("")
    output.put(f"Total reclaimed space: {decimal(size, 4)}")
    return 0
