"""`rcrun pause` and `rcrun unpause`."""

from __future__ import annotations

from rcrun.engine.cgroup import freeze
from rcrun.storage.containers import find, status
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command


@command()
@argument("containers", nargs=-1, required=True)
def pause(containers: tuple[str, ...]) -> int:
    """Stop every process of containers where it is."""
    return _freeze(containers, frozen=True)


@command()
@argument("containers", nargs=-1, required=True)
def unpause(containers: tuple[str, ...]) -> int:
    """Let the processes of paused containers go on."""
    return _freeze(containers, frozen=False)


def _freeze(containers: tuple[str, ...], *, frozen: bool) -> int:
    store = context.store()

    def change(name: str) -> None:
        container = find(store, name)
        freeze(container, status(container), frozen)

    return output.each(containers, change)
