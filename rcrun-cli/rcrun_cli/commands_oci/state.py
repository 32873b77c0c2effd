"""rcrun-oci state."""

from __future__ import annotations

import sys

from rcrun_cli import oci
from rcrun_cli.declare import argument, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.runtime.state import Container


@command()
@argument("container", metavar="CONTAINER")
def state(container: str) -> None:
    """Print the state of a container as JSON."""
    from rcrun.files import dump_json

    sys.stdout.write(dump_json(settled(oci.container(container)), ordered=False) + "\n")


def settled(container: Container) -> dict[str, Any]:
    """The state, a moment later if it is about to be `created`: callers poll for a state, then start.

    Not for long: a hook may ask, and creation waits for the hook.
    """
    import time

    for _ in range(30):
        state = container.oci_state()
        if state["status"] != "creating":
            break
        time.sleep(0.01)
    return state
