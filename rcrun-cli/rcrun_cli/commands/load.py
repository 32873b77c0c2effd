"""`rcrun load`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.archive import Loaded


@command()
@option(
    "-i",
    "--input",
    "path",
    metavar="FILE",
    help="An archive, compressed or not, its address, or a directory",
)
@option("-q", "--quiet", is_flag=True, help="For scripts: there is no progress to hide")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Take the image for this platform")
@option("--signature-policy", metavar="FILE", help="Take this file in the place of policy.json")
@option("--max-size", metavar="SIZE", help="Refuse a layer that unpacks to more than this: 2g")
def load(
    path: str | None,
    quiet: bool,
    platform: str | None,
    signature_policy: str | None,
    max_size: str | None,
) -> None:
    """Load images that `save` wrote, or another tool as an OCI or docker archive; from standard input without -i."""
    from rcrun.engine.load import load as load_images

    source: str | int = 0 if path in (None, "-", "/dev/stdin") else str(path)
    if source == 0 and output.is_terminal(0):
        from rcrun.errors import InvalidInput

        raise InvalidInput("no archive on standard input", "rcrun load -i FILE")
    engine, policy = limited_engine(max_size), signature_policy or ""
    for loaded in load_images(engine, source, platform=platform or "", policy_file=policy):
        for line in lines(loaded):
            output.put(line)


def limited_engine(max_size: str | None) -> Context:
    """Of --max-size."""
    engine = context.engine()
    if max_size:
        from rcrun.formats import size

        engine.max_size = size.parse(max_size)
    return engine


def lines(loaded: Loaded) -> list[str]:
    """One for each name, as docker and podman write them."""
    from rcrun.formats import reference as grammar

    podman = output.trait("full_names")
    if not loaded.names:
        label = "Loaded image: " if podman else "Loaded image ID: "
        return [label + loaded.config_digest]
    shown = grammar.full if podman else grammar.familiar
    return [f"Loaded image: {shown(grammar.parse(name))}" for name in loaded.names]
