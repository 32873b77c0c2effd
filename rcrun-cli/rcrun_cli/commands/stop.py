"""`rcrun stop` and `rcrun restart`."""

from __future__ import annotations

from rcrun.engine import stop as engine
from rcrun.storage.containers import find
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rcrun_cli.declare import Handler


def stop_options(handler: Handler) -> Handler:
    """What both take."""
    every = (
        option(
            "-s",
            "--signal",
            metavar="SIGNAL",
            help="Send this signal instead of the container's own",
        ),
        option(
            "-t",
            "--timeout",
            "--time",
            type=int,
            metavar="SECONDS",
            help="Kill after so many seconds; -1: never",
        ),
    )
    for declare in reversed(every):
        handler = declare(handler)
    return handler


def _each(
    names: Sequence[str], action: Callable[[str], object], *, missing_ok: bool = False
) -> int:
    """Side by side: each may take its time."""
    if len(names) == 1:
        return output.each(names, action, missing_ok=missing_ok)
    from rcrun_cli.together import each_together

    return each_together(names, action, missing_ok=missing_ok)


@command()
@stop_options
@choosing.choosing("all", "cidfile", "filter", "latest")
@option("-i", "--ignore", is_flag=True, help="A container that is not there is no error")
@argument("containers", nargs=-1)
def stop(
    containers: tuple[str, ...],
    signal: str | None,
    timeout: int | None,
    ignore: bool,
    **choice: Any,
) -> int:
    """Stop containers, with a signal first and a kill after a while."""
    store = context.store()
    names = choosing.chosen("stop", containers, choosing.alive, ignore=ignore, **choice)
    return _each(
        names,
        lambda name: engine.stop(find(store, name), seconds=timeout, signal=signal or ""),
        missing_ok=ignore,
    )


@command()
@stop_options
@choosing.choosing("all", "cidfile", "filter", "latest")
@option("--running", is_flag=True, help="All containers that run")
@argument("containers", nargs=-1)
def restart(
    containers: tuple[str, ...],
    signal: str | None,
    timeout: int | None,
    running: bool,
    everything: bool,
    **choice: Any,
) -> int:
    """Stop and start containers."""
    from rcrun.engine.start import restart as restart_one

    whole = context.engine()
    fits = choosing.alive if running else choosing.any_state
    names = choosing.chosen("restart", containers, fits, everything=everything or running, **choice)
    return _each(
        names,
        lambda name: restart_one(whole, name, seconds=timeout, signal=signal or ""),
    )
