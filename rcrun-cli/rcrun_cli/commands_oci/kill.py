"""rcrun-oci kill."""

from __future__ import annotations

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option


@command()
@option("-a", "--all", "everyone", is_flag=True, help="To every process of the container")
@option("-r", "--regex", is_flag=True, help="CONTAINER is a regular expression that ids match")
@argument("container", metavar="CONTAINER")
@argument("signal", default="TERM", metavar="SIGNAL")
def kill(container: str, signal: str, everyone: bool, regex: bool) -> int:
    """Send a signal to a container's init."""
    from rcrun.formats.signals import parse
    from rcrun.runtime.lifecycle import kill as kill_container

    number = parse(signal) if signal.strip("0") else 0  # 0 only asks whether it runs, as kill(2)
    if not regex:
        kill_container(oci.container(container), number, everyone=everyone)
        return 0
    from rcrun_cli.commands_oci.delete import for_each, matching

    return for_each(
        matching((container,)),
        lambda name: kill_container(oci.container(name), number, everyone=everyone),
    )
