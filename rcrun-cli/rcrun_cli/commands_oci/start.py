"""rcrun-oci start."""

from __future__ import annotations

from rcrun_cli import oci
from rcrun_cli.declare import argument, command


@command(epilog="As crun has it: Usage: crun [OPTION...] start CONTAINER")
@argument("container", metavar="CONTAINER")
def start(container: str) -> None:
    """Start a container that was created."""
    from rcrun.runtime.lifecycle import start as start_container

    start_container(oci.container(container))
