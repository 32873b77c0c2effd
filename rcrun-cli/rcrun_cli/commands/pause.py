"""`rcrun pause` and `rcrun unpause`."""

from __future__ import annotations

from rcrun.engine.cgroup import freeze
from rcrun.storage.containers import find, status
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.storage.containers import Status


@command()
@choosing.choosing("all", "cidfile", "filter", "latest")
@argument("containers", nargs=-1)
def pause(containers: tuple[str, ...], **choice: Any) -> int:
    """Stop every process of containers where it is."""
    names = choosing.chosen("pause", containers, choosing.running, **choice)
    return _freeze(names, frozen=True)


@command()
@choosing.choosing("all", "cidfile", "filter", "latest")
@argument("containers", nargs=-1)
def unpause(containers: tuple[str, ...], **choice: Any) -> int:
    """Let the processes of paused containers go on."""
    return _freeze(choosing.chosen("unpause", containers, _is_paused, **choice), frozen=False)


def _is_paused(status: Status) -> bool:
    return status.word == "paused"


def _freeze(containers: Sequence[str], *, frozen: bool) -> int:
    store = context.store()

    def change(name: str) -> None:
        container = find(store, name)
        freeze(container, status(container), frozen)

    return output.each(containers, change)
