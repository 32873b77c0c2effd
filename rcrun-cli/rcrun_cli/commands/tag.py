"""`rcrun tag` and `rcrun untag`."""

from __future__ import annotations

from rcrun_cli import context
from rcrun_cli.declare import argument, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@command()
@argument("image")
@argument("targets", nargs=-1, required=True)
def tag(image: str, targets: Sequence[str]) -> None:
    """Give an image more names."""
    from rcrun.engine.tag import tag as give

    give(context.store(), image, targets)


@command()
@argument("image")
@argument("names", nargs=-1)
def untag(image: str, names: Sequence[str]) -> None:
    """Take names from an image, all of them if none is given; the image stays."""
    from rcrun.engine.tag import untag as take

    take(context.store(), image, names)
