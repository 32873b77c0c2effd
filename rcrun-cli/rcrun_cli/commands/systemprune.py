"""`rcrun system prune`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.systemprune import Pruned


@command("prune")
@option("-a", "--all", "everything", is_flag=True, help="All images that no container was made of")
@option("--build", is_flag=True, help="For scripts: what builds keep always goes")
@option("--external", is_flag=True, help="Remove only what crashes left behind")
@option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches: label, label!, until",
)
@option("-f", "--force", is_flag=True, help="Do not ask")
@option("--volumes", "with_volumes", is_flag=True, help="Volumes without a name, too")
def prune_system(
    everything: bool,
    build: bool,
    external: bool,
    filters: tuple[str, ...],
    force: bool,
    with_volumes: bool,
) -> int:
    """Remove what nobody needs: stopped containers, networks, images, what builds kept, what crashes left behind."""
    from rcrun.engine import systemprune
    from rcrun.errors import InvalidInput
    from rcrun.formats.size import decimal
    from rcrun_cli.dockerdefaults import prune_filters

    if external and (everything or with_volumes or filters):
        raise InvalidInput("--external cannot be combined with --all, --volumes or --filter")
    if external:
        size = systemprune.sweep(context.engine())
    else:
        filters = prune_filters(filters)
        systemprune.check_filters(filters)
        if not force and not output.confirmed(_question(everything, with_volumes, filters)):
            return 0
        pruned = systemprune.prune_all(
            context.engine(), filters, everything=everything, with_volumes=with_volumes
        )
        _print(pruned)
        size = pruned.size
    output.put(f"Total reclaimed space: {decimal(size, 4)}")
    return 0


def _question(everything: bool, with_volumes: bool, filters: tuple[str, ...]) -> str:
    """Docker's, whose tests look for these lines."""
    lines = ["This will remove:", "  - all stopped containers"]
    lines.append("  - all networks not used by at least one container")
    if with_volumes:
        lines.append("  - all anonymous volumes not used by at least one container")
    images = "images without at least one container associated to them"
    lines.append(f"  - all {images if everything else 'dangling images'}")
    if not any(word.startswith("label") for word in filters):
        lines.append("  - unused build cache")
    if filters:
        lines += ["", "  Items to be pruned will be filtered with:"]
        lines += [f"  - {word}" for word in sorted(filters)]
    return "\n".join([*lines, ""])


def _print(pruned: Pruned) -> None:
    images = [f"untagged: {name}" for each in pruned.images for name in each.untagged]
    images += [f"deleted: {digest}" for each in pruned.images for digest in each.deleted]
    for title, lines in (
        ("Deleted Pods:", pruned.pods),
        ("Deleted Containers:", pruned.containers),
        ("Deleted Networks:", pruned.networks),
        ("Deleted Volumes:", pruned.volumes),
        ("Deleted Images:", images),
        ("Deleted build cache objects:", [key[:25] for key in pruned.builds]),
    ):
        if lines:
            output.put("\n".join([title, *lines, ""]))
