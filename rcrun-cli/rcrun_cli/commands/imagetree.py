"""`rcrun image tree`."""

from __future__ import annotations

from rcrun_cli import context
from rcrun_cli.declare import argument, command, option


@command("tree")
@option("--whatrequires", is_flag=True, help="Print what stands on it")
@argument("image")
def tree_image(image: str, whatrequires: bool) -> None:
    """Print the layers of an image, and which images end with them."""
    from rcrun.storage.images import find
    from rcrun_cli.imageviews import print_layers

    store = context.store()
    print_layers(store, find(store, image), children=whatrequires)
