"""`rcrun import`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="Set something in the image, as a Containerfile would: 'CMD [\"/bin/sh\"]'",
)
@option("-m", "--message", metavar="TEXT", help="A comment for the image's history")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="The platform that it is made for")
@option("--arch", metavar="ARCH", help="The architecture that it is made for", hidden=True)
@option("--os", "system", metavar="OS", help="The system that it is made for", hidden=True)
@option("--variant", metavar="VARIANT", help="The variant that it is made for", hidden=True)
@option("-q", "--quiet", is_flag=True, help="For scripts: there is no progress to hide")
@option("--max-size", metavar="SIZE", help="Refuse a layer that unpacks to more than this: 2g")
@argument("source", metavar="FILE|URL|-")
@argument("name", required=False)
def import_(
    source: str,
    name: str | None,
    changes: tuple[str, ...],
    message: str | None,
    platform: str | None,
    arch: str | None,
    system: str | None,
    variant: str | None,
    quiet: bool,
    max_size: str | None,
) -> None:
    """Make an image of a root file system: a tar, compressed or not, in a file, at a URL, or on standard input."""
    from rcrun.engine.load import import_image
    from rcrun_cli.commands.load import limited_engine
    from rcrun_cli.commands.pull import wanted_platform

    if source == "-" and output.is_terminal(0):
        from rcrun.errors import InvalidInput

        raise InvalidInput("no archive on standard input", "rcrun import FILE NAME")
    loaded = import_image(
        limited_engine(max_size),
        0 if source == "-" else source,
        name or "",
        changes=changes,
        comment=message or "",
        platform=platform or wanted_platform(system, arch, variant) or context.default_platform(),
    )
    output.put(loaded.config_digest)
