"""`rcrun top`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container


@command(interspersed=False)
@option("-l", "--latest", is_flag=True, help="Of the last created container; no name comes then")
@argument("words", nargs=-1, metavar="CONTAINER [PS-OPTION|COLUMN]...")
def top(latest: bool, words: tuple[str, ...]) -> None:
    """Print the processes of a container: ps -ef, with options of ps, or columns such as pid user hpid etime."""
    from rcrun.engine import top as engine

    container, options = _chosen(latest, words)
    podman = context.settings.personality == "podman"
    titles, rows = engine.top(container, options, podman=podman)
    output.print_table(titles, rows)


def _chosen(latest: bool, words: tuple[str, ...]) -> tuple[Container, tuple[str, ...]]:
    from rcrun.errors import InvalidInput, NotFound
    from rcrun.storage.containers import every, find

    if latest:
        containers = every(context.store())
        if not containers:
            raise NotFound("there is no container")
        return containers[0], words
    if not words:
        raise InvalidInput("top takes a container", "list them with: rcrun ps")
    options = words[2:] if words[1:2] == ("--",) else words[1:]
    return find(context.store(), words[0]), options
