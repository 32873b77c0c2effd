"""`rcrun ps`."""

from __future__ import annotations

import time

from rcrun.engine import ps as engine
from rcrun.storage.containers import seconds_of
from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.storage.containers import Container

COLUMNS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "CreatedAt": "CREATED AT",
    "Created": "CREATED",
    "State": "STATE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
    "HealthStatus": "HEALTH",
    "Pid": "PID",
    "ExitCode": "EXIT CODE",
    "StartedAt": "STARTED",
    "AutoRemove": "AUTO REMOVE",
    "Pod": "POD ID",
    "PodName": "PODNAME",
}
SHOWN = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
SORTS = ["command", "created", "id", "image", "names", "runningfor", "size", "status"]


@command()
@option("-a", "--all", "everything", is_flag=True, help="Show those that do not run, too")
@option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches"
)
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option(
    "-n",
    "--last",
    type=int,
    default=-1,
    metavar="COUNT",
    help="Show the last created, in any state",
)
@option("-l", "--latest", is_flag=True, help="Show the last created one, in any state")
@option("--no-trunc", is_flag=True, help="Do not shorten ids and commands")
@option("--noheading", is_flag=True, help="Leave the headers out")
@option("--ns", "namespaces", is_flag=True, help="Show the namespaces of those that run")
@option("-p", "--pod", "with_pods", is_flag=True, help="Show the pods that they are in")
@option("-q", "--quiet", is_flag=True, help="Print ids only")
@option("-s", "--size", is_flag=True, help="Show how much the container has written")
@option("--sort", type=SORTS, metavar="|".join(SORTS), help="In this order, not the newest first")
@option(
    "--external", is_flag=True, hidden=True, help="For scripts: no other engine has containers here"
)
@option(
    "--sync", is_flag=True, hidden=True, help="For scripts: the states are always the real ones"
)
@option("-w", "--watch", type=int, metavar="SECONDS", help="Print it again and again")
def ps(
    everything: bool,
    filters: tuple[str, ...],
    form: str | None,
    last: int,
    latest: bool,
    no_trunc: bool,
    noheading: bool,
    namespaces: bool,
    with_pods: bool,
    quiet: bool,
    size: bool,
    sort: str | None,
    external: bool,
    sync: bool,
    watch: int | None,
) -> None:
    """List containers."""
    podman = context.settings.personality == "podman"
    if not (form or quiet or namespaces):
        form = context.docker_config().get("psFormat")

    def show() -> None:
        found = engine.listed(
            context.store(), everything=everything, last=1 if latest else last, filters=filters
        )
        if sort or podman:
            from rcrun_cli.psviews import ordered

            found = ordered(found, sort or "created")
        if quiet and not (form and podman):
            if form:
                output.warn("--format has no effect with --quiet")
            for seen in found:
                output.put(output.short_id(seen.container.id, whole=no_trunc))
        elif namespaces:
            from rcrun_cli.psviews import print_namespaces

            print_namespaces(found, form, whole=no_trunc, heading=not noheading)
        else:
            more = (
                *SHOWN,
                *(("Size",) if size else ()),
                *(("Pod", "PodName") if with_pods else ()),
            )
            _print(found, form, more, whole=no_trunc, heading=not noheading)

    if watch is None:
        show()
    else:
        from rcrun_cli.psviews import repeat

        repeat(show, watch)


def _print(
    found: Sequence[engine.Seen],
    form: str | None,
    shown: Sequence[str],
    *,
    whole: bool,
    heading: bool,
) -> None:
    now = time.time()
    asked = "Size" in shown or ".Size" in (form or "")
    rows = [_row(seen, now, form or "", size=asked, whole=whole) for seen in found]
    columns = COLUMNS
    if context.settings.personality == "podman":
        from rcrun_cli.podmanrows import PS_TITLES, ps_row

        columns = {**COLUMNS, **(PS_TITLES if form else {})}
        rows = [ps_row(seen, row, whole=whole) for seen, row in zip(found, rows, strict=True)]
    output.Listing(columns, shown, heading=heading).print(rows, form)


def _row(seen: engine.Seen, now: float, form: str, *, size: bool, whole: bool) -> Mapping[str, Any]:
    """Docker's fields."""
    container, status = seen.container, seen.status
    record = container.record
    created = seconds_of(str(record["created"]))
    mounts, labels = record.get("mounts", []), record.get("labels", {})
    command_text = engine.command_text(container)
    health = engine.health_word(seen)
    row = {
        "ID": output.short_id(container.id, whole=whole),
        "Names": container.name,
        "Image": _image_name(container),
        "Command": _command_text(command_text if whole else output.shortened(command_text)),
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created)),
        "Created": int(created),
        "RunningFor": output.ago(now - created),
        "Ports": engine.ports_text(container) if status.is_running else "",
        "State": status.word,
        "Status": output.status_text(
            status.word,
            started=status.started / 1e9,
            finished=status.finished / 1e9,
            exit_code=status.exit_code,
            now=now,
            health="health: starting" if health == "starting" else health,
        ),
        "Size": _size(container) if size else "",
        "Labels": _labels(labels),
        "Mounts": ",".join(filter(None, [_mount_text(mount, whole) for mount in mounts])),
        "LocalVolumes": str(sum(mount["type"] == "volume" for mount in mounts)),
        "Networks": ",".join(engine.network_names(container)),
        "Platform": "",
        "HealthStatus": health,
        "Pid": status.pid,
        "ExitCode": status.exit_code,
        "StartedAt": status.started // 1_000_000_000,
        "AutoRemove": bool(record.get("auto_remove")),
        **_pod(record.get("pod") or {}, whole),
    }
    if ".Label " in form:
        row["Label"] = lambda key: labels.get(key, "")
    return row


def _pod(pod: Mapping[str, Any], whole: bool) -> Mapping[str, str]:
    pod_id = str(pod.get("id") or "")
    return {"Pod": output.short_id(pod_id, whole=whole), "PodName": str(pod.get("name") or "")}


def _image_name(container: Container) -> str:
    """Podman writes references out."""
    whole = container.record.get("image") if output.trait("full_names") else ""
    return str(whole or engine.shown_image(container))


def _command_text(text: str) -> str:
    return f'"{text}"' if output.trait("quoted_command") else text


def _labels(labels: Mapping[str, str]) -> object:
    if output.trait("label_maps"):
        return labels
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _mount_text(mount: Mapping[str, Any], whole: bool) -> str:
    text = str(mount.get("name") or mount.get("source") or "")
    return text if whole else output.shortened(text, 15)


def _size(container: Container) -> str:
    from rcrun.formats.size import decimal

    written = engine.tree_size(container.path("upper"))
    whole = written + engine.layers_size(container)
    return f"{decimal(written, 3)} (virtual {decimal(whole, 3)})"
