"""`rcrun pod …`: what tells of pods."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.podlist import SeenPod
    from rcrun.storage.pods import Pod

COLUMNS = {
    "ID": "POD ID", "Id": "POD ID", "Name": "NAME", "Status": "STATUS", "Created": "CREATED", "InfraID": "INFRA ID",
    "InfraId": "INFRA ID", "ContainerIds": "IDS", "ContainerNames": "NAMES", "ContainerStatuses": "STATUS",
    "NumberOfContainers": "# OF CONTAINERS", "Cgroup": "CGROUP", "Namespace": "NAMESPACES", "Labels": "LABELS",
    "Networks": "NETWORKS", "Restarts": "RESTARTS",
}  # fmt: skip
SHOWN = ("ID", "Name", "Status", "Created", "InfraID")
SORTS = ["created", "id", "name", "number", "status"]
_LATEST = option("-l", "--latest", is_flag=True, help="The pod that was created last")


@command("ps")
@option("--ctr-ids", is_flag=True, help="Show the ids of the containers")
@option("--ctr-names", is_flag=True, help="Show the names of the containers")
@option("--ctr-status", is_flag=True, help="Show the states of the containers")
@option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches"
)
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@_LATEST
@option("--no-trunc", is_flag=True, help="Do not shorten ids")
@option("-n", "--noheading", is_flag=True, help="Leave the headers out")
@option(
    "--ns", "namespaces", is_flag=True, help="Show the cgroup and the namespaces that are shared"
)
@option("-q", "--quiet", is_flag=True, help="Print ids only")
@option(
    "--sort",
    type=SORTS,
    default="created",
    metavar="|".join(SORTS),
    help="In this order, not the newest first",
)
def list_pods(
    ctr_ids: bool,
    ctr_names: bool,
    ctr_status: bool,
    filters: tuple[str, ...],
    form: str | None,
    latest: bool,
    no_trunc: bool,
    noheading: bool,
    namespaces: bool,
    quiet: bool,
    sort: str,
) -> None:
    """List pods."""
    from rcrun.engine.podlist import listed

    found = listed(context.store(), filters, sort)[: 1 if latest else None]
    if quiet and not form:
        for seen in found:
            output.put(output.short_id(seen.pod.id, whole=no_trunc))
        return
    chosen = {"ContainerIds": ctr_ids, "ContainerNames": ctr_names, "ContainerStatuses": ctr_status}
    of_members = [name for name, is_chosen in chosen.items() if is_chosen] or ["NumberOfContainers"]
    shown = (*SHOWN, *of_members, *(("Cgroup", "Namespace") if namespaces else ()))
    rows = [_row(seen, form or "", whole=no_trunc) for seen in found]
    output.Listing(COLUMNS, shown, heading=not noheading).print(rows, form)


def _row(seen: SeenPod, form: str, *, whole: bool) -> Mapping[str, Any]:
    import time

    from rcrun.engine.podlist import cgroup_of, networks_of
    from rcrun.storage.containers import seconds_of
    from rcrun_cli.podmanrows import Row

    pod, record, both = (
        seen.pod,
        seen.pod.record,
        list(zip(seen.members, seen.statuses, strict=True)),
    )
    labels = dict(sorted((record.get("labels") or {}).items()))
    restarts = [int(each.record.get("restart_count") or 0) for each in seen.members]
    json_form = {
        "Cgroup": cgroup_of(seen),
        "Containers": [
            {"Id": each.id, "Names": each.name, "Status": status.word, "RestartCount": count}
            for (each, status), count in zip(both, restarts, strict=True)
        ],
        "Created": record["created"],
        "Id": pod.id,
        "InfraId": pod.infra_id,
        "Name": pod.name,
        "Namespace": "",
        "Networks": networks_of(seen),
        "Status": seen.state,
        "Labels": labels,
    }
    fields: dict[str, Any] = {
        **json_form,
        "ID": output.short_id(pod.id, whole=whole),
        "Id": output.short_id(pod.id, whole=whole),
        "Created": output.ago(time.time() - seconds_of(str(record["created"]))),
        "InfraID": output.short_id(pod.infra_id, whole=whole),
        "ContainerIds": ",".join(output.short_id(each.id, whole=whole) for each in seen.members),
        "ContainerNames": ",".join(each.name for each in seen.members),
        "ContainerStatuses": ",".join(status.word for status in seen.statuses),
        "NumberOfContainers": str(len(seen.members)),
        "Namespace": ",".join(record.get("share") or ()),
        "Networks": ",".join(networks_of(seen)),
        "Restarts": str(sum(restarts)),
    }
    if ".Label " in form:
        fields["Label"] = lambda key: labels.get(key, "")
    return Row(fields, json_form)


@command("inspect", failure_status=125)
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@_LATEST
@argument("pods", nargs=-1)
def inspect_pod(pods: tuple[str, ...], form: str | None, latest: bool) -> int:
    """Print all that is known of pods."""
    from rcrun.engine.podlist import inspect_object
    from rcrun.storage.pods import find

    names = pods or [_one("inspect", None, latest).id]
    return output.inspect_each(
        names, lambda name: inspect_object(find(context.store(), name)), form
    )


def _one(verb: str, name: str | None, latest: bool) -> Pod:
    from rcrun.storage.pods import every, find

    if bool(name) == latest:
        raise InvalidInput(f"pod {verb} needs a pod, or --latest", f"see rcrun pod {verb} --help")
    if name:
        return find(context.store(), name)
    newest = every(context.store())[:1]
    if not newest:
        raise NotFound("there is no pod")
    return newest[0]


@command("top", interspersed=False)
@option("-l", "--latest", is_flag=True, help="Of the last created pod; no name comes then")
@argument("words", nargs=-1, metavar="POD [PS-OPTION|COLUMN]...")
def top_pod(latest: bool, words: tuple[str, ...]) -> None:
    """Print the processes of all containers of a pod, as rcrun top has them."""
    from rcrun.engine.top import top
    from rcrun.errors import WrongState
    from rcrun.storage.containers import status

    pod = _one("top", None if latest else next(iter(words), None), latest)
    options = words if latest else words[1:]
    titles: Any = ()
    rows: list[list[str]] = []
    for container in pod.members():
        if status(container).is_running and not (container.record.get("joins") or {}).get("pid"):
            podman = context.settings.personality == "podman"
            titles, found = top(container, options, podman=podman)
            rows += found  # those of a pid namespace that is shared are seen from its owner
    if not titles:
        raise WrongState(f'pod "{pod.name}" is not running', f"rcrun pod start {pod.name}")
    output.print_table(titles, rows)


@command("stats")
@option("-a", "--all", "everything", is_flag=True, help="Show all pods")
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@_LATEST
@option("--no-reset", is_flag=True, help="Print each look below the one before")
@option("--no-stream", is_flag=True, help="Look once and end")
@argument("pods", nargs=-1)
def pod_stats(
    pods: tuple[str, ...],
    everything: bool,
    form: str | None,
    latest: bool,
    no_reset: bool,
    no_stream: bool,
) -> None:
    """Print what the containers of pods use; without names, of those pods that run."""
    from rcrun_cli.podstats import show

    if bool(pods) + everything + latest > 1:
        raise InvalidInput("name pods, or give one of --all and --latest")
    chosen = (
        [_one("stats", None, True)] if latest else [_one("stats", name, False) for name in pods]
    )
    clears = not (no_reset or no_stream or form == "json") and output.is_terminal(1)
    show(chosen, form, clears=clears, once=no_stream)


@command("logs")
@option("--color", is_flag=True, help="Give each container a colour")
@option("-c", "--container", metavar="CONTAINER", help="Only of this container of the pod")
@option("-f", "--follow", is_flag=True, help="Go on until the containers end")
@_LATEST
@option(
    "-n", "--names", is_flag=True, help="Begin each line with the name of its container, not its id"
)
@option("--since", metavar="TIME", help="Only what is younger: a time, or 10m for ten minutes ago")
@option("--tail", default="all", metavar="LINES", help="Only the last lines", show_default=True)
@option("-t", "--timestamps", is_flag=True, help="Begin each line with its time")
@option("--until", metavar="TIME", help="Only what is older")
@argument("pod", required=False)
def pod_logs(
    pod: str | None,
    container: str | None,
    color: bool,
    names: bool,
    timestamps: bool,
    latest: bool,
    **asked: Any,
) -> None:
    """Print what the containers of a pod have written, each line with its container."""
    from rcrun.storage.containers import find
    from rcrun.storage.pods import is_infra
    from rcrun_cli.commands.logs import bounds
    from rcrun_cli.manylogs import print_all

    whole = _one("logs", pod, latest)
    members = [each for each in whole.members() if not is_infra(each)]
    if container:
        chosen = find(context.store(), container)
        members = [each for each in members if each.id == chosen.id]
        if not members:
            raise NotFound(f'container "{container}" is not in pod "{whole.name}"')
    print_all(
        members, bounds(**asked), names=names, color=color, timestamps=timestamps, details=False
    )
