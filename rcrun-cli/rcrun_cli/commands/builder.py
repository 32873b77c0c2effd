"""`rcrun builder prune`, and the words of `buildx` that mean something without a builder."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.builders import Builder

# What tools are told that look whether docker's can do what they want.
BUILDX = "v0.29.1"
BUILDKIT = "v0.25.1"


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

    what = "all build cache" if everything else "all dangling build cache"
    if not force and not output.confirmed(f"This will remove {what}."):
        return 0
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


@command("version")
def version() -> None:
    """Print what `docker buildx version` would."""
    from rcrun.version import VERSION

    if context.settings.personality == "docker":  # tools read docker's number, to know what it can
        output.put(f"github.com/docker/buildx {BUILDX} rcrun-{VERSION}")
    else:
        output.put(f"rcrun build {VERSION}")


@command("create")
@option("--name", default="", metavar="NAME", help="Its name; one is made up where none is given")
@option("--driver", default="docker-container", metavar="DRIVER", help="Docker's word, for lists")
@option("--use", "used", is_flag=True, help="Builds take it that name none")
@option("--append", is_flag=True, help="It may be there")
@option("--bootstrap", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--leave", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--driver-opt", multiple=True, hidden=True, metavar="VALUE", help="For scripts; no effect")
@option("--buildkitd-flags", hidden=True, metavar="FLAGS", help="For scripts; no effect")
@option("--buildkitd-config", hidden=True, metavar="FILE", help="For scripts; no effect")
@option("--config", hidden=True, metavar="FILE", help="For scripts; no effect")
@option("--node", hidden=True, metavar="NAME", help="For scripts; no effect")
@option("--platform", multiple=True, hidden=True, metavar="LIST", help="For scripts; no effect")
@argument("endpoint", required=False)
def create_builder(
    endpoint: str | None, name: str, driver: str, used: bool, append: bool, **ignored: Any
) -> None:
    """Give the builder another name: docker/setup-buildx-action and scripts make one."""
    from rcrun.engine import builders

    output.put(builders.create(context.store(), name, driver, use=used, append=append))


@command("use")
@option("--default", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--global", "everywhere", is_flag=True, hidden=True, help="For scripts; no effect")
@argument("name")
def use_builder(name: str, default: bool, everywhere: bool) -> None:
    """Have builds take the builder of this name."""
    from rcrun.engine import builders

    builders.use(context.store(), name)


@command("rm")
@option("--all-inactive", "everything", is_flag=True, help="All names but the current one")
@option("-f", "--force", is_flag=True, help="Do not ask")
@option("--keep-state", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--keep-daemon", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--builder", metavar="NAME", hidden=True, help="The name, too")
@argument("names", nargs=-1)
def remove_builders(
    names: tuple[str, ...], everything: bool, force: bool, builder: str | None, **ignored: Any
) -> int:
    """Take names of the builder away; what builds have kept stays."""
    from rcrun.engine import builders

    store = context.store()
    if everything:
        known = builders.every(store)
        names = tuple(
            each.name for each in known if not each.is_current and each.name != builders.DEFAULT
        )
    elif not names:
        names = (builders.find(store, builder or "").name,)

    def removed(name: str) -> None:
        builders.remove(store, name)
        output.tell(f"{name} removed")

    return output.each(names, removed, quiet=True)


@command("stop")
@option("--builder", metavar="NAME", hidden=True, help="The name, too")
@argument("names", nargs=-1)
def stop_builders(names: tuple[str, ...], builder: str | None) -> None:
    """Docker's word: nothing runs when no build does."""
    from rcrun.engine import builders

    for name in names or (builder or "",):
        builders.find(context.store(), name)


@command("ls")
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("--no-trunc", is_flag=True, hidden=True, help="For scripts; no effect")
def builders(form: str | None, no_trunc: bool) -> None:
    """List the names of the builder."""
    from rcrun.engine.builders import every

    rows = [
        _row(each, marked=form is None or form.startswith("table"))
        for each in every(context.store())
    ]
    output.Listing(COLUMNS, SHOWN).print(rows, form)


COLUMNS = {
    "Name": "NAME/NODE", "DriverEndpoint": "DRIVER/ENDPOINT", "Driver": "DRIVER", "Status": "STATUS",
    "Buildkit": "BUILDKIT", "Platforms": "PLATFORMS", "Current": "CURRENT", "LastActivity": "LAST ACTIVITY",
}  # fmt: skip
SHOWN = ("Name", "DriverEndpoint", "Status", "Buildkit", "Platforms")


def _row(builder: Builder, *, marked: bool) -> dict[str, Any]:
    return {
        "Name": builder.name + "*" * (marked and builder.is_current),
        "DriverEndpoint": builder.driver,
        "Driver": builder.driver,
        "Status": "running",
        "Buildkit": BUILDKIT,
        "Platforms": _platform(),
        "Current": builder.is_current,
        "LastActivity": "",
    }


def _platform() -> str:
    from rcrun.storage.images import wanted

    return f"linux/{wanted('')[0]}"


@command("inspect")
@option("--bootstrap", is_flag=True, help="For scripts; no effect")
@option("--builder", metavar="NAME", hidden=True, help="The name, too")
@argument("name", required=False)
def inspect_builder(name: str | None, builder: str | None, bootstrap: bool) -> None:
    """Print what there is to know of the builder, as docker's is read by tools."""
    from rcrun.engine.builders import find

    found = find(context.store(), name or builder or "")
    for line in (
        f"Name:          {found.name}",
        f"Driver:        {found.driver}",
        "",
        "Nodes:",
        f"Name:             {found.name}",
        "Endpoint:         rcrun",
        "Status:           running",
        f"BuildKit version: {BUILDKIT}",
        f"Platforms:        {_platform()}",
    ):
        output.put(line)


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
