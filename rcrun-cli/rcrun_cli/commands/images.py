"""`rcrun images`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.reference import Reference

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
}
SHOWN = ("Repository", "Tag", "ID", "CreatedSince", "Size")


@command()
@option("-a", "--all", "everything", is_flag=True, help="For scripts: all images are shown anyway")
@option("--digests", is_flag=True, help="Show the digests, too")
@option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches"
)
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("-n", "--noheading", is_flag=True, help="Leave the headers out")
@option("--no-trunc", is_flag=True, help="Do not shorten ids")
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
    quiet: bool,
) -> None:
    """List images, or those that a name or a pattern like `debian:*` fits."""
    import time

    from rcrun.engine import images as engine

    found = engine.listed(context.store(), filters=filters, pattern=pattern or "")
    rows = engine.rows(found, digests=digests, shown=repository, now=time.time())
    for row in rows:
        row["ID"] = shown_id(row["ID"], whole=no_trunc)
        row["Size"] = output.size_text(row["Size"])
    if quiet:
        for row in rows:
            output.put(row["ID"])
        return
    shown = [*SHOWN[:2], "Digest", *SHOWN[2:]] if digests else list(SHOWN)
    if noheading and not form:
        output.print_table([], [[str(row[name]) for name in shown] for row in rows])
        return
    output.Listing(COLUMNS, shown).print(rows, form)


def repository(reference: Reference) -> str:
    """Docker hides its own domain, podman shows everything."""
    if output.trait("full_names"):
        return reference.repository
    return reference.familiar_repository


def shown_id(digest: str, *, whole: bool) -> str:
    return digest if whole else output.short_id(digest)
