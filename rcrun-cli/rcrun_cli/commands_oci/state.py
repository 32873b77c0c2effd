"""rcrun-oci state."""

from __future__ import annotations

import sys

from rcrun_cli import oci
from rcrun_cli.declare import argument, command


@command()
@argument("container", metavar="CONTAINER")
def state(container: str) -> None:
    """Print the state of a container as JSON."""
    from rcrun.files import dump_json

    sys.stdout.write(dump_json(oci.container(container).oci_state()) + "\n")
