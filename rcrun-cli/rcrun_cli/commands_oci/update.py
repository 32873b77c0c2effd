"""rcrun-oci update."""

from __future__ import annotations

import sys

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# option → section and field of `linux.resources`
_FIELDS = {
    "blkio_weight": ("blockIO", "weight"),
    "cpu_burst": ("cpu", "burst"),
    "cpu_idle": ("cpu", "idle"),
    "cpu_period": ("cpu", "period"),
    "cpu_quota": ("cpu", "quota"),
    "cpu_rt_period": ("cpu", "realtimePeriod"),
    "cpu_rt_runtime": ("cpu", "realtimeRuntime"),
    "cpu_share": ("cpu", "shares"),
    "cpuset_cpus": ("cpu", "cpus"),
    "cpuset_mems": ("cpu", "mems"),
    "memory": ("memory", "limit"),
    "memory_reservation": ("memory", "reservation"),
    "memory_swap": ("memory", "swap"),
    "pids_limit": ("pids", "limit"),
}
_SIZES = frozenset(("memory", "memory_swap", "memory_reservation"))


@command()
@option("-r", "--resources", metavar="FILE", help="Take them from this JSON; - is standard input")
@option("--blkio-weight", type=int, metavar="WEIGHT", help="The weight of its I/O, 10 to 1000")
@option("--cpu-burst", type=int, metavar="USECS", help="What may be saved up for a burst")
@option("--cpu-idle", type=int, metavar="0|1", help="1: only what nobody else wants")
@option("--cpu-period", type=int, metavar="USECS", help="The period that the quota is of")
@option("--cpu-quota", type=int, metavar="USECS", help="The most processor time in a period")
@option("--cpu-rt-period", type=int, metavar="USECS", help="Only with cgroup v1")
@option("--cpu-rt-runtime", type=int, metavar="USECS", help="Only with cgroup v1")
@option("--cpu-share", type=int, metavar="SHARES", help="The weight among others")
@option("--cpuset-cpus", metavar="CPUS", help="The processors, as in 0-3,7")
@option("--cpuset-mems", metavar="NODES", help="The memory nodes")
@option("--kernel-memory", metavar="SIZE", help="For scripts; it is counted with the memory")
@option("--kernel-memory-tcp", metavar="SIZE", help="For scripts; it is counted with the memory")
@option("--memory", metavar="SIZE", help="The most memory: 64m; -1 for no limit")
@option("--memory-reservation", metavar="SIZE", help="Memory that is taken last")
@option("--memory-swap", metavar="SIZE", help="The most memory and swap together; -1: no limit")
@option("--pids-limit", type=int, metavar="N", help="The most processes; -1 for no limit")
@option("--l3-cache-schema", metavar="TEXT", help="Of Intel RDT, for one that was created with it")
@option("--mem-bw-schema", metavar="TEXT", help="Of Intel RDT, for one that was created with it")
@argument("container", metavar="CONTAINER")
def update(container: str, resources: str | None, **options: Any) -> None:
    """Change the limits of a container that exists."""
    from rcrun.runtime import update as updating

    if options["kernel_memory"] or options["kernel_memory_tcp"]:
        oci.warn("kernel memory is counted with the memory; its own limit is ignored")
    if options["l3_cache_schema"] or options["mem_bw_schema"]:
        from rcrun.errors import HostLacks

        raise HostLacks(
            f'cannot update Intel RDT of container "{container}": it has no group there',
            'create it with "linux.intelRdt" in config.json',
        )
    wanted = read(resources) if resources else from_options(options)
    updating.update(oci.container(container), wanted)


def read(path: str) -> dict[str, Any]:
    from rcrun.errors import InvalidInput
    from rcrun.files import parse_json

    try:
        if path == "-":
            document = parse_json(sys.stdin.buffer.read())
        else:
            with open(path, "rb") as file:
                document = parse_json(file.read())
    except ValueError as error:
        raise InvalidInput(f'"{path}" is not JSON: {error}') from error
    if not isinstance(document, dict):
        raise InvalidInput(f'"{path}" is not a JSON object')
    return document


def from_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options in the shape of `linux.resources`."""
    found: dict[str, Any] = {}
    for name, (section, field) in _FIELDS.items():
        value = options.get(name)
        if value is not None and value != "":
            found.setdefault(section, {})[field] = _bytes(value) if name in _SIZES else value
    return found


def _bytes(text: str) -> int:
    from rcrun.formats.size import parse

    return -1 if text == "-1" else parse(text)
