"""`rcrun volume …`: what is made, shown and taken away by name."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COLUMNS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Labels": "LABELS",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Links": "LINKS",
    "Size": "SIZE",
    "Status": "STATUS",
    "Anonymous": "ANONYMOUS",
    "CreatedAt": "CREATED AT",
    "MountCount": "MOUNT COUNT",
    "NeedsCopyUp": "NEEDS COPY UP",
    "Options": "OPTIONS",
}
SHOWN = ("Driver", "Name")


@command("create")
@option("-d", "--driver", default="local", metavar="DRIVER", help="Only `local`")
@option(
    "-o",
    "--opt",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="The driver's type, o, device",
)
@option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label")
@option("--ignore", is_flag=True, help="One that exists is no error, as podman")
@option("--name", "given", hidden=True, metavar="NAME", help="The name, as docker once took it")
@argument("name", required=False)
def create_volume(
    name: str | None,
    driver: str,
    options: tuple[str, ...],
    labels: tuple[str, ...],
    ignore: bool,
    given: str | None,
) -> None:
    """Make a volume, and print its name; a name is made up if none is given."""
    from rcrun.engine import volume
    from rcrun.engine.options import pairs

    if name and given:
        raise InvalidInput("conflicting options: either give NAME or --name")
    made = volume.create(
        context.engine(),
        name or given or "",
        driver=driver,
        labels=pairs(labels, "--label"),
        options=_driver_options(options),
        existing=ignore or output.trait("existing_volume"),
    )
    output.put(made)


def _driver_options(words: tuple[str, ...]) -> dict[str, str]:
    """`o` may come several times; its words add up."""
    from rcrun.engine.options import pairs

    found: dict[str, str] = {}
    for word in words:
        for key, value in pairs([word], "--opt").items():
            before = found.get(key)
            found[key] = f"{before},{value}" if key == "o" and before else value
    return found


@command("ls")
@option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches"
)
@table_options
@option("--no-trunc", is_flag=True, help="For scripts: names are never cut")
@option("-q", "--quiet", is_flag=True, help="Print names only")
def list_volumes(
    filters: tuple[str, ...], form: str | None, noheading: bool, no_trunc: bool, quiet: bool
) -> None:
    """List volumes."""
    from rcrun.engine import volume
    from rcrun.storage.volumes import users

    store = context.store()
    if not (form or quiet):
        form = context.docker_config().get("volumesFormat")
    found = volume.matching(store, filters)
    if quiet and not form:
        for record in found:
            output.put(record["name"])
        return
    used = users(store) if form else {}
    rows = [_row(volume.inspect_object(store, record, used), form or "") for record in found]
    output.Listing(COLUMNS, SHOWN, heading=not noheading).print(rows, form)


def _row(found: Mapping[str, Any], form: str) -> dict[str, Any]:
    """Docker's fields, which are texts; podman's JSON is that of inspect."""
    if form == "json" and not output.trait("json_lines"):
        return dict(found)
    labels = found["Labels"]
    row: dict[str, Any] = {
        **{key: found[key] for key in ("Driver", "Name", "Mountpoint", "Scope", "CreatedAt")},
        **{key: found[key] for key in ("Anonymous", "MountCount", "NeedsCopyUp")},
        "Labels": _pairs_text(labels),
        "Options": _pairs_text(found["Options"] or {}),
        **dict.fromkeys(("Availability", "Group", "Links", "Size", "Status"), "N/A"),
    }
    if ".Label " in form:
        row["Label"] = lambda key: labels.get(key, "")
    return row


def _pairs_text(pairs: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items()))


@command("inspect")
@option("-a", "--all", "everything", is_flag=True, help="Print all volumes")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@argument("volumes", nargs=-1)
def inspect_volume(volumes: tuple[str, ...], everything: bool, form: str | None) -> int:
    """Print all that is known of volumes."""
    from rcrun.engine.volume import inspect_object
    from rcrun.storage.volumes import every, load, users

    store = context.store()
    if everything:
        volumes = tuple(record["name"] for record in every(store))
    elif not volumes:
        raise InvalidInput("inspect needs at least one volume", "see rcrun volume inspect --help")
    used = users(store)
    return output.inspect_each(
        volumes, lambda name: inspect_object(store, load(store, name), used), form
    )


@command("rm")
@option("-f", "--force", is_flag=True, help="A missing one is no error")
@option("-a", "--all", "everything", is_flag=True, help="Remove all volumes")
@option(
    "-t",
    "--time",
    "seconds",
    type=int,
    hidden=True,
    metavar="SECONDS",
    help="For scripts: it has no effect",
)
@argument("volumes", nargs=-1)
def remove_volumes(
    volumes: tuple[str, ...], force: bool, everything: bool, seconds: int | None
) -> int:
    """Remove volumes that no container uses."""
    from rcrun.engine.volumerm import VolumeRemoval
    from rcrun.storage.volumes import every

    engine = context.engine()
    if everything:
        volumes = tuple(record["name"] for record in every(engine.store))
    elif not volumes:
        raise InvalidInput("rm needs at least one volume", "see rcrun volume rm --help")
    # As podman, -f takes the containers along; as docker it does not.
    with_users = force and output.trait("rm_takes_users")
    removal = VolumeRemoval(engine, force=force, with_users=with_users)
    status = output.each_removed(volumes, lambda name: name if removal.take(name) else "")
    removal.finish()
    return status


@command("prune")
@option("-a", "--all", "everything", is_flag=True, help="Remove named ones, too")
@option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches: label, until, anonymous",
)
@option("-f", "--force", is_flag=True, help="Do not ask")
def prune_volumes(filters: tuple[str, ...], everything: bool, force: bool) -> int:
    """Remove the volumes without a name that no container uses."""
    from rcrun.engine.volumerm import prune
    from rcrun.formats.size import decimal
    from rcrun_cli.dockerdefaults import prune_filters

    kind = "" if everything else "anonymous "
    warning = f"This will remove {'all ' * everything}{kind}local volumes not used by at least one container."
    if not force and not output.confirmed(warning):
        return 0
    filters = prune_filters(filters)
    removed, size = prune(context.engine(), everything=everything, filters=filters)
    if not output.trait("prune_summary"):
        for name in removed:
            output.put(name)
        return 0
    if removed:
        output.put("Deleted Volumes:")
        for name in removed:
            output.put(name)
        output.put("")
    output.put(f"Total reclaimed space: {decimal(size, 4)}")
    return 0


@command("exists", failure_status=125)
@argument("volume")
def exists_volume(volume: str) -> int:
    """Say nothing; the exit status is 0 if the volume is here, and 1 if it is not."""
    from rcrun.storage.volumes import find

    return 0 if find(context.store(), volume) is not None else 1
