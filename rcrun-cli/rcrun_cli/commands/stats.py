"""`rcrun stats`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.stats import Sample, Watched

COLUMNS = {
    "Container": "CONTAINER",
    "ContainerID": "CONTAINER ID",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "CPU": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemUsageBytes": "MEM USAGE / LIMIT",
    "MemLimit": "MEM LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "NetInput": "NET INPUT",
    "NetOutput": "NET OUTPUT",
    "BlockIO": "BLOCK I/O",
    "BlockInput": "BLOCK INPUT",
    "BlockOutput": "BLOCK OUTPUT",
    "PIDs": "PIDS",
    "PIDS": "PIDS",
    "AvgCPU": "AVG CPU %",
    "CPUNano": "CPU NANO",
    "CPUSystemNano": "CPU SYSTEM NANO",
    "SystemNano": "SYSTEM NANO",
    "UpTime": "CPU TIME",
    "Up": "CPU TIME",
    "Duration": "DURATION",
}
SHOWN = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_PODMAN_COLUMNS = {
    **COLUMNS, "ID": "ID", "NetIO": "NET IO", "BlockIO": "BLOCK IO", "UpTime": "CPU TIME",
}  # fmt: skip
_DOCKER_JSON = ("BlockIO", "CPUPerc", "Container", *SHOWN)
_PODMAN_JSON = {
    "id": "ID", "name": "Name", "cpu_time": "UpTime", "cpu_percent": "CPUPerc", "avg_cpu": "AvgCPU",
    "mem_usage": "MemUsage", "mem_percent": "MemPerc", "net_io": "NetIO", "block_io": "BlockIO", "pids": "PIDs",
}  # fmt: skip
_CLEAR = "\033[H\033[J"
_FIRST_SECONDS = 1.0


@command()
@option("-a", "--all", "everything", is_flag=True, help="Show those that do not run, too")
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("-i", "--interval", type=int, metavar="SECONDS", help="Look again after so long")
@option("-l", "--latest", is_flag=True, help="Show the last created one")
@option("--no-reset", is_flag=True, help="Print each look below the one before")
@option("--no-stream", is_flag=True, help="Look once and end")
@option("--no-trunc", is_flag=True, help="Do not shorten ids")
@argument("containers", nargs=-1)
def stats(
    containers: tuple[str, ...],
    everything: bool,
    form: str | None,
    interval: int | None,
    latest: bool,
    no_reset: bool,
    no_stream: bool,
    no_trunc: bool,
) -> None:
    """Print what containers use of processors, memory, network and disks."""
    import time

    from rcrun.engine.stats import Watched
    from rcrun.errors import InvalidInput

    chosen = bool(containers) + everything + latest
    if chosen > 1:
        raise InvalidInput("name containers, or give one of --all and --latest")
    if interval is not None and interval < 1:
        raise InvalidInput(f'invalid --interval "{interval}": it is 1 or more')
    seconds = interval or (5 if context.settings.personality == "podman" else 1)
    form = form or context.docker_config().get("statsFormat")
    watched = Watched(context.store(), containers, everything=everything, latest=latest)
    clears = not no_reset and not no_stream and form != "json" and output.is_terminal(1)
    watched.sample()
    time.sleep(min(seconds, _FIRST_SECONDS))
    while True:
        rows = _print(watched, form, clears=clears, whole=no_trunc)
        if no_stream or (watched.texts and not rows):
            return
        time.sleep(seconds)


def _print(watched: Watched, form: str | None, *, clears: bool, whole: bool) -> int:
    """How many containers there were to show."""
    import sys

    rows: list[Mapping[str, Any]] = [
        {
            **(row := row_of(sample, percent, whole)),
            "Container": watched.typed.get(sample.container.id, row["Container"]),
        }
        for sample, percent in watched.sample()
    ]
    if clears:
        sys.stdout.write(_CLEAR)
    if form in ("json", "{{json .}}"):
        _print_json(rows)
    else:
        _listing().print(rows, form)
    sys.stdout.flush()
    return len(rows)


def _listing() -> output.Listing:
    if context.settings.personality == "podman":
        return output.Listing(_PODMAN_COLUMNS, (*SHOWN, "UpTime", "AvgCPU"))
    return output.Listing(COLUMNS, SHOWN)


def _print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    from rcrun.formats.template.values import json_text

    if context.settings.personality == "podman":
        chosen = [{key: row[field] for key, field in _PODMAN_JSON.items()} for row in rows]
        output.put(json_text(chosen))
        return
    for row in rows:
        output.put(json_text({field: row[field] for field in _DOCKER_JSON}))


def row_of(sample: Sample, percent: float, whole: bool) -> Mapping[str, Any]:
    from rcrun.formats.size import binary, decimal

    container = sample.container
    podman = context.settings.personality == "podman"
    memory = decimal if podman else binary
    identity = output.short_id(container.id, whole=whole)
    pids = str(sample.pids)
    return {
        "Container": identity,
        "ContainerID": container.id,
        "ID": identity,
        "Name": container.name,
        "CPUPerc": f"{percent:.2f}%",
        "CPU": percent,
        "MemUsage": f"{memory(sample.memory)} / {memory(sample.memory_limit)}",
        "MemUsageBytes": f"{binary(sample.memory)} / {binary(sample.memory_limit)}",
        "MemLimit": sample.memory_limit,
        "MemPerc": f"{sample.memory_percent:.2f}%",
        "NetIO": f"{decimal(sample.received, 3)} / {decimal(sample.sent, 3)}",
        "NetInput": sample.received,
        "NetOutput": sample.sent,
        "BlockIO": f"{decimal(sample.read, 3)} / {decimal(sample.written, 3)}",
        "BlockInput": sample.read,
        "BlockOutput": sample.written,
        "PIDs": pids,
        "PIDS": pids,
        "AvgCPU": f"{sample.average_percent:.2f}%",
        "CPUNano": sample.cpu,
        "CPUSystemNano": sample.cpu_system,
        "SystemNano": sample.taken,
        "UpTime": _duration(sample.cpu),
        "Up": _duration(sample.cpu),
        "Duration": sample.uptime,
    }


def _duration(nanoseconds: int) -> str:
    """Go's words for it, to the microsecond."""
    seconds = nanoseconds / 1e9
    if seconds < 1:
        return f"{nanoseconds / 1e6:.6g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.6f}".rstrip("0").rstrip(".") + "s"
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text
