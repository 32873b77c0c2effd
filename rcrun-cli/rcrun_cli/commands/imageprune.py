"""`rcrun image prune`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.rmi import Removed


@command("prune")
@option("-a", "--all", "everything", is_flag=True, help="All that no container was made of")
@option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches: dangling, label, label!, until",
)
@option(
    "--blobs", is_flag=True, help="Only drop the blobs of unpacked layers that can be had again"
)
@option("-f", "--force", is_flag=True, help="Do not ask")
@option(
    "--build-cache", is_flag=True, hidden=True, help="For scripts: builds keep none of their own"
)
@option(
    "--external", is_flag=True, hidden=True, help="For scripts: no other engine has containers here"
)
def prune_images(
    everything: bool,
    filters: tuple[str, ...],
    blobs: bool,
    force: bool,
    build_cache: bool,
    external: bool,
) -> int:
    """Remove the images without a name, or all that nobody needs."""
    if blobs:
        return _drop_blobs(everything or bool(filters))
    from rcrun.engine.imageprune import prune
    from rcrun.formats.size import decimal
    from rcrun_cli.dockerdefaults import prune_filters

    what = "all images without at least one container associated to them"
    if not force and not output.confirmed(
        f"This will remove {what if everything else 'all dangling images'}."
    ):
        return 0
    filters = prune_filters(filters)
    removed, size = prune(context.engine(), filters, everything=everything)
    if not output.trait("prune_summary"):
        for each in removed:
            output.put(each.deleted[0].removeprefix("sha256:"))
        return 0
    _print(removed)
    output.put(f"Total reclaimed space: {decimal(size, 4)}")
    return 0


def _drop_blobs(combined: bool) -> int:
    """Nothing is lost, so nobody is asked."""
    from rcrun.engine.dropping import drop
    from rcrun.errors import InvalidInput
    from rcrun.formats.size import decimal

    if combined:
        raise InvalidInput("--blobs removes no image: it cannot be combined with --all or --filter")
    dropped = drop(context.engine())
    for digest in dropped.digests:
        output.put(f"dropped: {digest}")
    for digest, reason in dropped.kept.items():
        output.tell(f"{digest} stays: {reason}")
    if output.trait("prune_summary"):
        output.put(f"Total reclaimed space: {decimal(dropped.size, 4)}")
    return 0


def _print(removed: list[Removed]) -> None:
    if not removed:
        return
    output.put("Deleted Images:")
    for each in removed:
        for name in each.untagged:
            output.put(f"untagged: {name}")
        for digest in each.deleted:
            output.put(f"deleted: {digest}")
    output.put("")
