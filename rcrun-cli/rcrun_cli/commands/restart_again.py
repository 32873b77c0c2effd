"""`rcrun __restart ID MILLISECONDS`: what a monitor becomes when it has waited for its container's next start."""

from __future__ import annotations

from rcrun.engine import restart as engine
from rcrun.storage.containers import load
from rcrun_cli import context
from rcrun_cli.declare import argument, command


@command("__restart", hidden=True)
@argument("container_id")
@argument("delay", type=int)
def restart_again(container_id: str, delay: int) -> None:
    """Start a container again, unless somebody was faster."""
    whole = context.engine()
    container = load(whole.store, container_id)
    if container is not None:
        engine.restart_again(whole, container, delay)
