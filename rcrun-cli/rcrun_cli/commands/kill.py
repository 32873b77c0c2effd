"""`rcrun kill`."""

from __future__ import annotations

from rcrun.engine import stop as engine
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option(
    "-s", "--signal", default="KILL", metavar="SIGNAL", help="The signal to send", show_default=True
)
@argument("containers", nargs=-1, required=True)
def kill(containers: tuple[str, ...], signal: str) -> int:
    """Send a signal to containers."""
    store = context.store()
    return output.each(containers, lambda name: engine.kill(find(store, name), signal))
