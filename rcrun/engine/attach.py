"""Join the streams of a running container: the process becomes the shim's attach client."""

from __future__ import annotations

from rcrun.engine.eventlog import container_event
from rcrun.errors import WrongState
from rcrun.kernel.shim import replace_process
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from rcrun.engine.context import Context
    from rcrun.engine.launch import Foreground
    from rcrun.storage.containers import Container


def attach(context: Context, container: Container, foreground: Foreground) -> NoReturn:
    now = status(container)
    if now.word == "restarting":
        raise WrongState(
            f'cannot attach to container "{container.name}": it is restarting, wait until it is running'
        )
    if not now.is_running:
        raise WrongState(
            f'cannot attach to container "{container.name}": it is stopped, start the container first',
            f"rcrun start -a {container.name}",
        )
    container_event(container, "attach")
    terminal = [["terminal", "0", "0"]] if container.record.get("tty") else []
    replace_process(
        [
            ["plan", "1"],
            ["session", "attach"],
            ["id", container.id],
            *foreground.records(),
            *terminal,
            ["on-failure", *context.launcher, "__failed", ""],
            ["attach", container.live_path("attach.sock")],
        ]
    )
