"""What the shim runs after the end of a container: hidden commands."""

from __future__ import annotations

from rcrun_cli import context
from rcrun_cli.declare import argument, command


@command("__trash", hidden=True)
@argument("paths", nargs=-1)
def trash(paths: tuple[str, ...]) -> None:
    """Remove trees of a container whose own user namespace has no rights over them."""
    from rcrun.engine.rm import remove_trees

    remove_trees(context.engine(), list(paths))


@command("__rmi", hidden=True)
@argument("image")
def remove_image(image: str) -> None:
    """Remove the image of a container that has ended, unless somebody else has it."""
    from rcrun.engine import rmi
    from rcrun.errors import RcrunError

    engine = context.engine()
    try:
        rmi.remove(engine, image)
        rmi.finish(engine)
    except RcrunError:
        pass  # another container has it, or another name
