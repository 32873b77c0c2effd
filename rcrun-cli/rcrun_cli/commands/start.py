"""`rcrun start`."""

from __future__ import annotations

from rcrun.engine import start as engine
from rcrun.errors import InvalidInput
from rcrun.storage.containers import find
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.storage.containers import Status


@command()
@option("-a", "--attach", is_flag=True, help="Join its output, and pass signals on")
@option("-i", "--interactive", is_flag=True, help="Join its standard input")
@option("--detach-keys", metavar="KEYS", help="The keys that leave the container, as ctrl-p,ctrl-q")
@option("--sig-proxy", is_flag=True, default=True, help="Pass signals on to the container")
@choosing.choosing("all", "filter", "latest", short="fl")
@argument("containers", nargs=-1)
def start(
    containers: tuple[str, ...],
    attach: bool,
    interactive: bool,
    detach_keys: str | None,
    sig_proxy: bool,
    **choice: Any,
) -> int:
    """Start containers that were created or have stopped."""
    whole = context.engine()
    containers = tuple(choosing.chosen("start", containers, _can_start, **choice))
    if not (attach or interactive):
        return output.each(containers, lambda name: engine.start(whole, find(whole.store, name)))
    if len(containers) > 1:
        raise InvalidInput("you cannot start and attach multiple containers at once")
    if not containers:
        return 0
    from rcrun.engine.launch import Foreground

    if detach_keys is None:
        detach_keys = whole.setting("engine", "detach_keys")
    container = find(whole.store, containers[0])
    stdin = interactive and container.record.get("stdin_open")
    streams = "ioe" if stdin else "oe"
    sig_proxy = sig_proxy and not container.record.get("tty")  # as `attach`
    engine.start(
        whole, container, Foreground(streams, context.detach_keys(detach_keys), sig_proxy=sig_proxy)
    )
    return 0


def _can_start(status: Status) -> bool:
    return not status.is_up
