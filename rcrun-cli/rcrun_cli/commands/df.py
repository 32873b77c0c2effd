"""`rcrun system df`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.df import Kind, Usage
    from rcrun.storage.containers import Container, Status

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

    usage = Looked(context.store())
    if verbose and form not in (None, "table"):
        output.print_value(_everything(usage), form)
        return
    if verbose:
        _print_all(usage)
        return
    output.Listing(COLUMNS, SHOWN).print([_row(kind) for kind in usage.summary()], form)


def _row(kind: Kind) -> dict[str, Any]:
    from rcrun.formats.size import decimal

    counted = int if output.trait("bare_ids") else str
    share = f" ({100 * kind.reclaimable // kind.size}%)" if kind.size else ""
    return {
        "Type": kind.name,
        "TotalCount": counted(kind.total),
        "Total": kind.total,
        "Active": counted(kind.active),
        "Size": decimal(kind.size),
        "RawSize": kind.size,
        "Reclaimable": decimal(kind.reclaimable) + share,
        "RawReclaimable": kind.reclaimable,
    }


def _print_all(usage: Usage) -> None:
    for title, columns, rows in (
        ("Images space usage:", IMAGE_COLUMNS, _image_rows(usage)),
        ("Containers space usage:", CONTAINER_COLUMNS, _container_rows(usage)),
        ("Local Volumes space usage:", VOLUME_COLUMNS, _volume_rows(usage)),
        (f"Build cache usage: {_cache_size(usage)}", CACHE_COLUMNS, _cache_rows(usage)),
    ):
        output.put(f"{title}\n")
        output.print_table(list(columns.values()), [[row[key] for key in columns] for row in rows])
        if columns is not CACHE_COLUMNS:
            output.put("")


def _everything(usage: Usage) -> dict[str, Any]:
    """What docker gives to a template with --verbose."""
    return {
        "Images": _image_rows(usage),
        "Containers": _container_rows(usage),
        "Volumes": _volume_rows(usage),
        "BuildCache": _cache_rows(usage),
    }


IMAGE_COLUMNS = {
    "Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE",
    "SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE", "Containers": "CONTAINERS",
}  # fmt: skip
CONTAINER_COLUMNS = {
    "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "LocalVolumes": "LOCAL VOLUMES", "Size": "SIZE",
    "RunningFor": "CREATED", "Status": "STATUS", "Names": "NAMES",
}  # fmt: skip
VOLUME_COLUMNS = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}
CACHE_COLUMNS = {
    "ID": "CACHE ID", "CacheType": "CACHE TYPE", "Size": "SIZE", "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED", "UsageCount": "USAGE", "Shared": "SHARED",
}  # fmt: skip


def _image_rows(usage: Usage) -> list[dict[str, Any]]:
    import time

    from rcrun.engine.images import rows as image_rows
    from rcrun.formats.size import decimal
    from rcrun_cli.commands.images import repository

    found = []
    for use in usage.images:
        for row in image_rows([use.image], shown=repository, now=time.time()):
            found.append(
                {
                    **row,
                    "ID": output.short_id(row["ID"]),
                    "Size": decimal(use.size, 4),
                    "VirtualSize": decimal(use.size, 4),
                    "SharedSize": decimal(use.shared, 4),
                    "UniqueSize": decimal(use.size - use.shared, 4),
                    "Containers": str(use.containers),
                }
            )
    return found


def _image(container: Container) -> str:
    """As podman the id."""
    from rcrun.engine.ps import shown_image

    if not output.trait("bare_ids"):
        return shown_image(container)
    return output.short_id(str(container.record.get("image_id") or ""))


def _command(container: Container) -> str:
    from rcrun.engine.ps import command_text

    text = output.shortened(command_text(container))
    return f'"{text}"' if output.trait("quoted_command") else text


def _container_rows(usage: Usage) -> list[dict[str, Any]]:
    import time

    from rcrun.engine import ps
    from rcrun.formats.size import decimal
    from rcrun.storage.containers import seconds_of

    found = []
    for seen, size in usage.containers:
        record, status = seen.container.record, seen.status
        named = [m for m in record.get("mounts", []) if m["type"] == "volume"]
        since = time.time() - seconds_of(str(record["created"]))
        found.append(
            {
                "ID": output.short_id(seen.container.id),
                "Image": _image(seen.container),
                "Command": _command(seen.container),
                "LocalVolumes": str(len(named)),
                "Size": decimal(size),
                "RunningFor": output.ago(since),
                "State": status.word,
                "Status": _status_text(status),
                "Names": seen.container.name,
                "Networks": ",".join(ps.network_names(seen.container)),
                "Labels": ",".join(f"{k}={v}" for k, v in sorted(record.get("labels", {}).items())),
            }
        )
    return found


def _status_text(status: Status) -> str:
    import time

    return output.status_text(
        status.word,
        started=status.started / 1e9,
        finished=status.finished / 1e9,
        exit_code=status.exit_code,
        now=time.time(),
    )


def _volume_rows(usage: Usage) -> list[dict[str, Any]]:
    from rcrun.formats.size import decimal
    from rcrun.storage.volumes import data_dir

    return [
        {
            "Name": str(record["name"]),
            "Links": str(links),
            "Size": decimal(size),
            "Driver": "local",
            "Scope": "local",
            "Mountpoint": data_dir(usage.store, str(record["name"])),
            "Labels": ",".join(f"{k}={v}" for k, v in sorted(record["labels"].items())),
        }
        for record, size, links in usage.volumes
    ]


def _cache_size(usage: Usage) -> str:
    from rcrun.formats.size import decimal

    return decimal(sum(kept.size for kept in usage.builds if not kept.shared))


def _cache_rows(usage: Usage) -> list[dict[str, Any]]:
    """How often a result was used is not known: at least once, when it was made."""
    import time

    from rcrun.formats.duration import words_of
    from rcrun.formats.size import decimal

    return [
        {
            "ID": kept.key[:12],
            "CacheType": "regular",
            "Size": decimal(kept.size),
            "CreatedSince": "",
            "LastUsedSince": f"{words_of(time.time() - kept.used)} ago",
            "UsageCount": "1",
            "Shared": str(kept.shared).lower(),
        }
        for kept in usage.builds
    ]
