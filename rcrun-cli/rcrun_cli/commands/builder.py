"""`rcrun builder prune`, which is `buildx prune` as well, and `buildx du`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("prune")
@option(
    "-a",
    "--all",
    "everything",
    is_flag=True,
    help="What images still have, too, and the caches of RUN --mount",
)
@option(
    "--filter", "filters", multiple=True, metavar="until=TIME", help="Only what was not used since"
)
@option("-f", "--force", is_flag=True, help="Do not ask")
@option("--keep-storage", metavar="SIZE", help="For scripts; no effect", hidden=True)
@option("--builder", metavar="NAME", help="For scripts; no effect", hidden=True)
@option("--verbose", is_flag=True, help="For scripts; no effect", hidden=True)
def prune_builds(everything: bool, filters: tuple[str, ...], force: bool, **ignored: Any) -> int:
    """Remove what builds have kept to be quick the next time."""
    from rcrun.engine.build.cache import prune
    from rcrun.formats.size import decimal
    from rcrun_cli.dockerdefaults import prune_filters

    what = "all build cache" if everything else "all dangling build cache"
    if not force and not output.confirmed(f"This will remove {what}."):
        return 0
    filters = prune_filters(filters, "until", "unused-for")  # what builds keep has no labels
    pruned = prune(context.engine(), everything=everything, until=_until(filters))
    for key in pruned.keys:
        output.put(key[:25])
    output.put(f"Total:\t{decimal(pruned.size, 4)}")
    return 0


def _until(filters: tuple[str, ...]) -> float | None:
    import time

    from rcrun.errors import InvalidInput
    from rcrun.formats.moment import parse

    found = None
    for word in filters:
        key, _, value = word.partition("=")
        if key not in ("until", "unused-for") or not value:
            raise InvalidInput(f'invalid filter "{word}"', "builder prune knows until")
        found = parse(value, time.time_ns()) / 1_000_000_000
    return found


@command("du")
@option("--verbose", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--builder", metavar="NAME", hidden=True, help="For scripts; no effect")
@option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    hidden=True,
    help="For scripts; no effect",
)
def disk_usage(verbose: bool, builder: str | None, filters: tuple[str, ...]) -> None:
    """Print how much room what builds have kept takes."""
    import time

    from rcrun.engine.build.cache import every
    from rcrun.formats.size import decimal

    kept = every(context.store())
    rows = [
        [
            each.key[:25],
            "false" if each.shared else "true",
            decimal(each.size),
            output.ago(time.time() - each.used),
        ]
        for each in kept
    ]
    if rows:
        output.print_table(["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"], rows)
    output.put(f"Reclaimable:\t{decimal(sum(each.size for each in kept if not each.shared))}")
    output.put(f"Total:\t\t{decimal(sum(each.size for each in kept))}")
