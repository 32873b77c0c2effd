"""`rcrun port`."""

from __future__ import annotations

from rcrun.engine import ps
from rcrun.errors import InvalidInput, NotFound
from rcrun.storage.containers import every, find, status
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.storage.containers import Container


@command()
@option("-a", "--all", "everything", is_flag=True, help="Those of all containers, behind their ids")
@choosing.choosing("latest")
@argument("container", required=False)
@argument("port", required=False)
def port(container: str | None, port: str | None, everything: bool, latest: bool) -> None:
    """Print where the ports of a container are on the host."""
    store = context.store()
    if everything:
        if container or latest:
            raise InvalidInput("--all, --latest and a container cannot be used together")
        for found in every(store):
            for inside, host in _places(found):
                output.put(f"{output.short_id(found.id)}\t{inside} -> {host}")
        return
    if latest and not port:
        container, port = None, container  # what is typed is a port then
    name = choosing.one("port", container, latest)
    wanted = "" if port is None else port if "/" in port else f"{port}/tcp"
    places = list(_places(find(store, name)))
    lines = [host if wanted else f"{inside} -> {host}" for inside, host in places
             if wanted in ("", inside)]  # fmt: skip
    if wanted and not lines:
        raise NotFound(f"no public port '{wanted}' published for {name}")
    for line in lines:
        output.put(line)


def _places(container: Container) -> Iterator[tuple[str, str]]:
    """`80/tcp` and the host's address and port, while it runs."""
    for each in ps.published(container) if status(container).is_running else []:
        for ip in ps.host_addresses(each):
            host = f"[{ip}]:{each['host_port']}" if ":" in ip else f"{ip}:{each['host_port']}"
            yield f"{each['container_port']}/{each['protocol']}", host
