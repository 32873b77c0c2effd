"""`rcrun stop` and `rcrun restart`."""

from __future__ import annotations

from rcrun.engine import stop as engine
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def _each(names: Sequence[str], action: Callable[[str], object]) -> int:
    """Side by side: each may take its time."""
    if len(names) == 1:
        return output.each(names, action)
    from rcrun_cli.together import each_together

    return each_together(names, action)


@command()
@stop_options
@argument("containers", nargs=-1, required=True)
def stop(containers: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Stop containers, with a signal first and a kill after a while."""
    store = context.store()
    return _each(
        containers,
        lambda name: engine.stop(find(store, name), seconds=timeout, signal=signal or ""),
    )


@command()
@stop_options
@argument("containers", nargs=-1, required=True)
def restart(containers: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Stop and start containers."""
    from rcrun.engine.start import restart as restart_one

    whole = context.engine()
    return _each(
        containers,
        lambda name: restart_one(whole, name, seconds=timeout, signal=signal or ""),
    )
