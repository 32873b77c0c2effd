"""`rcrun stop`."""

from __future__ import annotations

from rcrun.engine import stop as engine
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option("-s", "--signal", metavar="SIGNAL", help="Send this signal instead of the container's own")
@option(
    "-t",
    "--timeout",
    "--time",
    type=int,
    metavar="SECONDS",
    help="Kill after so many seconds; -1: never",
)
@argument("containers", nargs=-1, required=True)
def stop(containers: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Stop containers, with a signal first and a kill after a while."""
    store = context.store()
    return output.each(
        containers,
        lambda name: engine.stop(find(store, name), seconds=timeout, signal=signal or ""),
    )
