"""`rcrun image scp`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command("scp")
@option("-q", "--quiet", is_flag=True, help="Print nothing")
@option("--engine", metavar="rcrun|podman|docker", help="The engine there; the first that is found")
@argument("source")
@argument("destination", required=False)
def scp_image(source: str, destination: str | None, quiet: bool, engine: str | None) -> None:
    """Copy an image to or from another host through ssh.

    Either end is `[USER@]HOST[:PORT]::[IMAGE]` or an image here; without DESTINATION it comes here.
    """
    from rcrun.engine.imagescp import copy
    from rcrun_cli.commands.load import lines

    for loaded in copy(context.engine(), source, destination or "", engine=engine or "") or ():
        for line in () if quiet else lines(loaded):
            output.put(line)
