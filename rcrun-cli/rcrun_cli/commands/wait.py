"""`rcrun wait`."""

from __future__ import annotations

import sys

from rcrun.engine.monitor import wait_for_end
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command


@command()
@argument("containers", nargs=-1, required=True)
def wait(containers: tuple[str, ...]) -> int:
    """Wait until containers stop, and print their exit codes."""
    store = context.store()

    def wait_for(name: str) -> None:
        output.put(str(wait_for_end(find(store, name))))
        sys.stdout.flush()

    return output.each(containers, wait_for, quiet=True)
