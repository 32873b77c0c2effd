"""`rcrun wait`."""

from __future__ import annotations

import sys

from rcrun.engine.monitor import wait_for_end
from rcrun.errors import NotFound
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Wait for this instead: running, healthy, exited, removed, next-exit …",
)
@option("--ignore", is_flag=True, help="Print -1 for a container that is not there")
@option("-i", "--interval", metavar="DURATION", hidden=True, help="Accepted, without effect")
@argument("containers", nargs=-1, required=True)
def wait(
    containers: tuple[str, ...], conditions: tuple[str, ...], ignore: bool, interval: str | None
) -> int:
    """Wait until containers stop, and print their exit codes."""
    store = context.store()

    def wait_for(name: str) -> None:
        try:
            container = find(store, name)
        except NotFound:
            if not ignore:
                raise
            output.put("-1")
            return
        if conditions:
            from rcrun.engine import conditions as engine

            code = engine.wait_for(container, _words(conditions))
        else:
            code = wait_for_end(container)
        output.put(str(code))
        sys.stdout.flush()

    return output.each(containers, wait_for, quiet=True)


def _words(conditions: tuple[str, ...]) -> list[str]:
    return [word.strip() for text in conditions for word in text.split(",")]
