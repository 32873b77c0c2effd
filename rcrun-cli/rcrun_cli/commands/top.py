"""`rcrun top`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command


@command(interspersed=False)
@argument("container")
@argument("ps_options", nargs=-1)
def top(container: str, ps_options: tuple[str, ...]) -> None:
    """Print the processes of a container."""
    from rcrun.engine import top as engine
    from rcrun.errors import InvalidInput
    from rcrun.storage.containers import find

    if ps_options and ps_options not in (("-ef",), ("ef",), ("aux",)):
        raise InvalidInput("top knows no options of ps: its columns are those of ps -ef")
    output.print_table(engine.TITLES, engine.top(find(context.store(), container)))
