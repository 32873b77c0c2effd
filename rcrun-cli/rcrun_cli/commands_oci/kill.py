"""rcrun-oci kill."""

from __future__ import annotations

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option


@command()
@option("-a", "--all", "everyone", is_flag=True, help="To every process of the container")
@argument("container", metavar="CONTAINER")
@argument("signal", default="TERM", metavar="SIGNAL")
def kill(container: str, signal: str, everyone: bool) -> None:
    """Send a signal to a container's init."""
    from rcrun.formats.signals import parse
    from rcrun.runtime.lifecycle import kill as kill_container

    kill_container(oci.container(container), parse(signal), everyone=everyone)
