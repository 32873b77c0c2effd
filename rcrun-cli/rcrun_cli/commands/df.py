"""`rcrun system df`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.df import Kind, Usage

COLUMNS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Total": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "RawSize": "SIZE",
    "Reclaimable": "RECLAIMABLE",
    "RawReclaimable": "RECLAIMABLE",
}
SHOWN = ("Type", "TotalCount", "Active", "Size", "Reclaimable")


@command()
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("-v", "--verbose", is_flag=True, help="Every image, container and volume")
def df(form: str | None, verbose: bool) -> None:
    """Print how much room images, containers and volumes take."""
    from rcrun.engine.df import Usage as Looked

    if form and verbose:
        raise InvalidInput("--verbose cannot be combined with --format", "leave one of them out")
    usage = Looked(context.store())
    if verbose:
        _print_all(usage)
        return
    output.Listing(COLUMNS, SHOWN).print([_row(kind) for kind in usage.summary()], form)


def _row(kind: Kind) -> dict[str, Any]:
    from rcrun.formats.size import decimal

    share = f" ({100 * kind.reclaimable // kind.size}%)" if kind.size else ""
    return {
        "Type": kind.name,
        "TotalCount": str(kind.total),
        "Total": kind.total,
        "Active": str(kind.active),
        "Size": decimal(kind.size),
        "RawSize": kind.size,
        "Reclaimable": decimal(kind.reclaimable) + share,
        "RawReclaimable": kind.reclaimable,
    }


def _print_all(usage: Usage) -> None:
    output.put("Images space usage:\n")
    headers = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE"]
    output.print_table([*headers, "CONTAINERS"], _image_rows(usage))
    output.put("\nContainers space usage:\n")
    headers = ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS"]
    output.print_table([*headers, "NAMES"], _container_rows(usage))
    output.put("\nLocal Volumes space usage:\n")
    output.print_table(["VOLUME NAME", "LINKS", "SIZE"], _volume_rows(usage))


def _image_rows(usage: Usage) -> list[list[str]]:
    import time

    from rcrun.engine.images import rows as image_rows
    from rcrun.formats.size import decimal
    from rcrun_cli.commands.images import repository

    found = []
    for use in usage.images:
        sizes = [decimal(size, 4) for size in (use.size, use.shared, use.size - use.shared)]
        for row in image_rows([use.image], shown=repository, now=time.time()):
            names = [row["Repository"], row["Tag"], output.short_id(row["ID"])]
            found.append([*names, row["CreatedSince"], *sizes, str(use.containers)])
    return found


def _container_rows(usage: Usage) -> list[list[str]]:
    import time

    from rcrun.engine import ps
    from rcrun.formats.size import decimal
    from rcrun.storage.containers import seconds_of

    found = []
    for seen, size in usage.containers:
        container = seen.container
        named = [m for m in container.record.get("mounts", []) if m["type"] == "volume"]
        found.append(
            [
                output.short_id(container.id),
                ps.shown_image(container),
                output.shortened(ps.command_text(container)),
                str(len(named)),
                decimal(size),
                output.ago(time.time() - seconds_of(str(container.record["created"]))),
                seen.status.word,
                container.name,
            ]
        )
    return found


def _volume_rows(usage: Usage) -> list[list[str]]:
    from rcrun.formats.size import decimal

    return [
        [str(record["name"]), str(links), decimal(size)] for record, size, links in usage.volumes
    ]
