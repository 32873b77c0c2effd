"""`rcrun port`."""

from __future__ import annotations

from rcrun.engine import ps
from rcrun.errors import InvalidInput, NotFound
from rcrun.storage.containers import every, find, status
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.storage.containers import Container


@command()
@option("-a", "--all", "everything", is_flag=True, help="Of all containers that run")
@option("-l", "--latest", is_flag=True, help="Of the last created container; no name comes then")
@argument("words", nargs=-1, metavar="CONTAINER [PORT[/udp]]")
def port(everything: bool, latest: bool, words: tuple[str, ...]) -> None:
    """Print where the ports of a container are on the host."""
    if everything:
        _print_all(latest, words)
        return
    containers = every(context.store())[:1] if latest else [_named(words)]
    rest = words if latest else words[1:]
    if len(rest) > 1 or not containers:
        raise InvalidInput("port takes a container and a port", "rcrun port NAME 80/tcp")
    wanted = _port_name(rest[0]) if rest else ""
    lines = [
        host if wanted else f"{inside} -> {host}"
        for inside, host in _places(containers[0])
        if wanted in ("", inside)
    ]
    if wanted and not lines:
        raise NotFound(f"no public port '{wanted}' published for {containers[0].name}")
    for line in lines:
        output.put(line)


def _named(words: tuple[str, ...]) -> Container:
    if not words:
        raise InvalidInput("port takes a container", "list them with: rcrun ps")
    return find(context.store(), words[0])


def _print_all(latest: bool, words: tuple[str, ...]) -> None:
    if latest or words:
        raise InvalidInput("--all goes without --latest and without names")
    for container in every(context.store()):
        for inside, host in _places(container):
            output.put(f"{output.short_id(container.id)}\t{inside} -> {host}")


def _port_name(word: str) -> str:
    number, _, protocol = word.partition("/")
    if (
        not number.isdigit()
        or not 0 < int(number) < 65536
        or protocol not in ("", "tcp", "udp", "sctp")
    ):
        raise InvalidInput(f'invalid port "{word}"', "write 80, 80/tcp or 53/udp")
    return f"{number}/{protocol or 'tcp'}"


def _places(container: Container) -> Iterator[tuple[str, str]]:
    """Of one that runs, in the order of its own ports."""
    if not status(container).is_running:
        return
    published = ps.published(container)
    for each in sorted(published, key=lambda row: (row["container_port"], row["protocol"])):
        for ip in ps.host_addresses(each):
            host = f"[{ip}]" if ":" in ip else ip
            yield f"{each['container_port']}/{each['protocol']}", f"{host}:{each['host_port']}"
