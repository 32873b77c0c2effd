"""rcrun-oci checkpoint, restore: there is no such thing, and callers hear why."""

from __future__ import annotations

from rcrun_cli.declare import argument, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ANYTHING = {"ignore_unknown_options": True}


@command(hidden=True, context_settings=ANYTHING)
@argument("words", nargs=-1)
def checkpoint(words: tuple[str, ...]) -> NoReturn:
    """Not supported: rcrun-oci does not use CRIU."""
    _refuse("checkpoint")


@command(hidden=True, context_settings=ANYTHING)
@argument("words", nargs=-1)
def restore(words: tuple[str, ...]) -> NoReturn:
    """Not supported: rcrun-oci does not use CRIU."""
    _refuse("restore")


def _refuse(verb: str) -> NoReturn:
    from rcrun.errors import HostLacks

    raise HostLacks(
        f"cannot {verb} a container: rcrun-oci does not support checkpoint and restore",
        "use a runtime that is built with CRIU, such as runc: see runc features",
    )
