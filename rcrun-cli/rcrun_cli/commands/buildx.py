"""The words of docker's buildx: there is one builder, which needs no making, under any name that a script gives it."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option, several, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rcrun.engine.builders import Builders

# Whose options and files `build` has, for scripts that look whether theirs are there.
LIKE_BUILDX = "v0.19.3"
COLUMNS = {
    "Name": "NAME/NODE",
    "DriverEndpoint": "DRIVER/ENDPOINT",
    "Status": "STATUS",
    "Platforms": "PLATFORMS",
}

_builder = option("--builder", metavar="NAME", help="The same as NAME")
_no_effect = several(
    option("--bootstrap", is_flag=True, hidden=True, help="For scripts; no effect"),
    option("--buildkitd-flags", metavar="FLAGS", hidden=True, help="For scripts; no effect"),
    option("--buildkitd-config", "--config", "config", metavar="FILE", hidden=True, help="For scripts; no effect"),
    option("--driver-opt", multiple=True, metavar="OPTION", hidden=True, help="For scripts; no effect"),
    option("--leave", is_flag=True, hidden=True, help="For scripts; no effect"),
    option("--node", metavar="NAME", hidden=True, help="For scripts; no effect"),
    option("--platform", multiple=True, metavar="PLATFORM", hidden=True, help="For scripts; no effect"),
)  # fmt: skip


@command("create")
@option("--name", metavar="NAME", help="Under this name; one is made up if nothing is said")
@option("--append", is_flag=True, help="It is there already")
@option("--use", is_flag=True, help="It is the one that builds where none is named")
@option("--driver", default="", metavar="DRIVER", help="docker or docker-container, for scripts")
@_no_effect
@argument("endpoint", required=False)
def create_builder(
    name: str | None, append: bool, use: bool, driver: str, endpoint: str | None, **_: Any
) -> None:
    """Give the builder a name, and print it."""
    from rcrun.engine import builders
    from rcrun.storage.claims import random_name

    builders.check_place(driver, endpoint or "")
    name = name or random_name(0)
    builders.create(context.store(), name, append=append, use=use)
    output.put(name)


@command("use")
@option("--default", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--global", "everywhere", is_flag=True, hidden=True, help="For scripts; no effect")
@_builder
@argument("name", required=False)
def use_builder(name: str | None, builder: str | None, **_: Any) -> None:
    """Take this name for the builder where none is given."""
    from rcrun.engine import builders

    builders.use(context.store(), name or builder or builders.DEFAULT)


@command("rm")
@option("--all-inactive", is_flag=True, help="Remove all names")
@option("-f", "--force", is_flag=True, help="Do not ask")
@option("--keep-daemon", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--keep-state", is_flag=True, hidden=True, help="For scripts; no effect")
@_builder
@argument("names", nargs=-1, metavar="NAME…")
def remove_builders(
    names: Sequence[str], all_inactive: bool, force: bool, builder: str | None, **_: Any
) -> int:
    """Remove names of the builder; what builds have kept stays."""
    from rcrun.engine import builders

    store = context.store()
    if all_inactive:
        if not force and not output.confirmed("This will remove all inactive builders."):
            return 0
        names = builders.all_of(store).names[1:]

    def removed(name: str) -> str:
        builders.remove(store, name)
        return f"{name} removed"

    chosen = [*names, *([builder] if builder else [])]
    if not chosen and not all_inactive:
        chosen = [builders.all_of(store).current]
    return output.each_removed(chosen, removed, missing_ok=force)


@command("stop")
@_builder
@argument("name", required=False)
def stop_builder(name: str | None, builder: str | None) -> None:
    """Say nothing: nothing runs between builds."""
    from rcrun.engine import builders

    builders.all_of(context.store()).find(name or builder or "")


@command("ls")
@table_options
@option("--no-trunc", is_flag=True, hidden=True, help="For scripts; no effect")
def builders_list(form: str | None, noheading: bool, no_trunc: bool) -> None:
    """List the names of the builder, and for each what builds."""
    from rcrun.engine import builders

    found = builders.all_of(context.store())
    platforms = builders.platforms()
    if form == "json":
        rows = [_builder_row(name, found, platforms) for name in found.names]
    else:
        rows = [row for name in found.names for row in _rows(name, found, platforms)]
    output.Listing(COLUMNS, list(COLUMNS), heading=not noheading).print(rows, form)


def _rows(name: str, found: Builders, platforms: Sequence[str]) -> Iterator[dict[str, Any]]:
    current = name == found.current
    shown = f"{name}*" if current else name
    yield {
        "Name": shown,
        "DriverEndpoint": "rcrun",
        "Status": "",
        "Platforms": "",
        "Current": current,
    }
    yield {
        "Name": f" \\_ {_node_of(name)}",
        "DriverEndpoint": " \\_ local",
        "Status": "running",
        "Platforms": ", ".join(platforms),
        "Current": current,
    }


def _builder_row(name: str, found: Builders, platforms: Sequence[str]) -> dict[str, Any]:
    node = {
        "Name": _node_of(name),
        "Endpoint": "local",
        "Status": "running",
        "Platforms": list(platforms),
    }
    return {"Name": name, "Driver": "rcrun", "Current": name == found.current, "Nodes": [node]}


def _node_of(name: str) -> str:
    return name if name == "default" else f"{name}0"


@command("inspect")
@option("--bootstrap", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--timeout", metavar="DURATION", hidden=True, help="For scripts; no effect")
@_builder
@argument("name", required=False)
def inspect_builder(name: str | None, builder: str | None, **_: Any) -> None:
    """Print what there is to know of the builder."""
    from rcrun.engine import builders

    found = builders.all_of(context.store()).find(name or builder or "")
    output.put(f"Name:   {found}")
    output.put("Driver: rcrun")
    output.put("\nNodes:")
    output.put(f"Name:      {_node_of(found)}")
    output.put("Endpoint:  local")
    output.put("Status:    running")
    output.put(f"Platforms: {', '.join(builders.platforms())}")


@command("version")
def version() -> None:
    """Print the buildx whose options these are, and what builds."""
    from rcrun.version import VERSION

    output.put(f"rcrun/buildx {LIKE_BUILDX} rcrun-{VERSION}")
