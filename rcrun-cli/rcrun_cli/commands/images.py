"""`rcrun images`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.images import Listed
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store

COLUMNS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Created": "CREATED",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
    "Labels": "LABELS",
    "Platform": "PLATFORM",
    "History": "HISTORY",
    "ReadOnly": "R/O",
}
PODMAN_COLUMNS = {
    "CreatedTime": "CREATED TIME",
    "Dangling": "DANGLING",
    "Id": "IMAGE ID",
    "Names": "NAMES",
    "ParentId": "PARENT ID",
    "RepoDigests": "REPO DIGESTS",
    "RepoTags": "REPO TAGS",
}
SHOWN = ("Repository", "Tag", "ID", "CreatedSince", "Size")
SORTS = ["created", "id", "repository", "size", "tag"]


@command()
@option("-a", "--all", "everything", is_flag=True, help="For scripts: all images are shown anyway")
@option("--digests", is_flag=True, help="Show the digests, too")
@option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches"
)
@table_options
@option("--no-trunc", is_flag=True, help="Do not shorten ids")
@option("--history", is_flag=True, help="Show all names of each image, too")
@option("--sort", type=SORTS, metavar="|".join(SORTS), help="In this order, not the newest first")
@option("--tree", is_flag=True, help="Show every image once, below its names")
@option("-q", "--quiet", is_flag=True, help="Print ids only")
@argument("pattern", required=False)
def images(
    pattern: str | None,
    everything: bool,
    digests: bool,
    filters: tuple[str, ...],
    form: str | None,
    noheading: bool,
    no_trunc: bool,
    history: bool,
    sort: str | None,
    tree: bool,
    quiet: bool,
) -> None:
    """List images, or those that a name or a pattern like `debian:*` fits."""
    import time

    from rcrun.engine import images as engine

    store = context.store()
    if not (form or quiet or tree):
        form = context.docker_config().get("imagesFormat")
    found = engine.listed(store, filters=filters, pattern=pattern or "")
    if tree:
        _print_tree(store, found, form, quiet=quiet, whole=no_trunc)
        return
    rows = engine.rows(found, digests=digests, shown=repository, now=time.time())
    if sort:
        from rcrun_cli.imageviews import ordered

        rows = ordered(rows, sort)
    if context.settings.personality == "podman":
        rows = _podman_rows(found, rows, form)
    for row in rows:
        row["ID"] = shown_id(row["ID"], whole=no_trunc)
        row["Size"] = output.size_text(row["Size"])
    if quiet and (not form or context.settings.personality == "podman"):
        for row in rows:
            output.put(row["ID"])
        return
    shown = [*SHOWN[:2], "Digest", *SHOWN[2:]] if digests else list(SHOWN)
    shown += ["History"] if history else []
    shown += ["ReadOnly"] if any(each.read_only for each in found) else []
    podman = context.settings.personality == "podman"
    columns = {**COLUMNS, **(PODMAN_COLUMNS if podman else {})}
    output.Listing(columns, shown, heading=not noheading).print(rows, form)


def _podman_rows(
    found: list[Listed], rows: list[dict[str, Any]], form: str | None
) -> list[dict[str, Any]]:
    from rcrun_cli.podmanrows import image_rows, once

    made = image_rows(found, rows)
    return list(once(made) if form == "json" else made)


def _print_tree(
    store: Store, found: list[Listed], form: str | None, *, quiet: bool, whole: bool
) -> None:
    if quiet or form:
        raise InvalidInput(f"--tree and {'--quiet' if quiet else '--format'} exclude each other")
    from rcrun_cli.imageviews import print_names

    print_names(store, found, whole=whole)


def repository(reference: Reference) -> str:
    """Docker hides its own domain, podman shows everything."""
    if output.trait("full_names"):
        return reference.repository
    return reference.familiar_repository


def shown_id(digest: str, *, whole: bool) -> str:
    return digest if whole else output.short_id(digest)
