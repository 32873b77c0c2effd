"""rcrun-oci pause, resume."""

from __future__ import annotations

from rcrun_cli import oci
from rcrun_cli.declare import argument, command


@command()
@argument("container", metavar="CONTAINER")
def pause(container: str) -> None:
    """Stop every process of a container where it is."""
    from rcrun.runtime.lifecycle import pause as pause_container

    pause_container(oci.container(container))


@command()
@argument("container", metavar="CONTAINER")
def resume(container: str) -> None:
    """Let the processes of a paused container go on."""
    from rcrun.runtime.lifecycle import resume as resume_container

    resume_container(oci.container(container))
