"""`rcrun kill`."""

from __future__ import annotations

from rcrun.engine import stop as engine
from rcrun.storage.containers import find
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command()
@option(
    "-s", "--signal", default="KILL", metavar="SIGNAL", help="The signal to send", show_default=True
)
@choosing.choosing("all", "cidfile", "latest", short="al")
@argument("containers", nargs=-1)
def kill(containers: tuple[str, ...], signal: str, **choice: Any) -> int:
    """Send a signal to containers."""
    store = context.store()
    names = choosing.chosen("kill", containers, choosing.alive, **choice)
    return output.each(names, lambda name: engine.kill(find(store, name), signal))
