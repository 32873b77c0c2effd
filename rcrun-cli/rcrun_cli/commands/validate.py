"""`rcrun image validate`."""

from __future__ import annotations

import sys

from rcrun_cli import context
from rcrun_cli.declare import argument, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@command()
@argument("images", nargs=-1, required=True)
def validate(images: Sequence[str]) -> int:
    """Check images by name, or image layouts and single documents by path: print each fault, end with 1 if there is one."""
    from rcrun.engine.validate import faults
    from rcrun.formats.visible import visible

    store, status = context.store(), 0
    for text in images:
        found = faults(store, text)
        named = f"{text}: " if len(images) > 1 else ""
        sys.stdout.write("".join(f"{named}{visible(fault)}\n" for fault in found))
        status = 1 if found else status
    return status
