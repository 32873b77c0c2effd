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
    "memory": ("memory", "limit"),
    "memory_swap": ("memory", "swap"),
    "memory_reservation": ("memory", "reservation"),
    "cpu_period": ("cpu", "period"),
    "cpu_quota": ("cpu", "quota"),
    "cpu_share": ("cpu", "shares"),
    "cpuset_cpus": ("cpu", "cpus"),
    "cpuset_mems": ("cpu", "mems"),
    "pids_limit": ("pids", "limit"),
}


@command()
@option("-r", "--resources", metavar="FILE", help="Take them from this JSON; - is standard input")
@option("--memory", type=int, metavar="BYTES", help="The most memory")
@option("--memory-swap", type=int, metavar="BYTES", help="The most memory and swap together")
@option("--memory-reservation", type=int, metavar="BYTES", help="Memory that is taken last")
@option("--cpu-period", type=int, metavar="USECS", help="The period that the quota is of")
@option("--cpu-quota", type=int, metavar="USECS", help="The most processor time in a period")
@option("--cpu-share", type=int, metavar="SHARES", help="The weight among others")
@option("--cpuset-cpus", metavar="CPUS", help="The processors, as in 0-3,7")
@option("--cpuset-mems", metavar="NODES", help="The memory nodes")
@option("--pids-limit", type=int, metavar="N", help="The most processes")
@argument("container", metavar="CONTAINER")
def update(container: str, resources: str | None, **options: Any) -> None:
    """Change the limits of a container that exists."""
    from rcrun.errors import HostLacks
    from rcrun.runtime import groups

    wanted = read(resources) if resources else from_options(options)
    cgroup = oci.container(container).cgroup()
    if not cgroup:
        raise HostLacks(
            f'cannot limit container "{container}": it has no cgroup of its own',
            "log in with systemd (cgroup v2), or create it with: systemd-run --user --scope -p Delegate=yes",
        )
    groups.limit(cgroup, wanted)


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
        if options[name] is not None:
            found.setdefault(section, {})[field] = options[name]
    return found
