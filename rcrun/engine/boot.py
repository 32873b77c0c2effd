"""What restart policies mean for a reboot: who is started after it, and how they are stopped before it."""

from __future__ import annotations

import time

from rcrun.engine.monitor import Ending, send_signal
from rcrun.engine.restart import is_stopped_by_hand
from rcrun.engine.start import start
from rcrun.engine.stop import kill_and_wait
from rcrun.errors import RcrunError
from rcrun.files import unlink_if_there
from rcrun.formats.signals import NUMBERS
from rcrun.storage.containers import every, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


def start_all(context: Context) -> Iterator[tuple[Container, RcrunError | None]]:
    """Those with `always`, and those with `unless-stopped` that nobody has stopped by hand, the oldest first."""
    for container in reversed(every(context.store)):
        if not _is_due(container):
            continue
        try:
            start(context, container)
        except RcrunError as error:
            yield container, error
        else:
            yield container, None


def _is_due(container: Container) -> bool:
    policy = (container.record.get("restart_policy") or {}).get("name")
    if policy == "unless-stopped" and is_stopped_by_hand(container):
        return False
    # one that was only created was never asked for
    return policy in ("always", "unless-stopped") and status(container).word == "exited"


def stop_all(context: Context) -> None:
    """All that have a policy, side by side; none of them counts as stopped by hand."""
    endings = []
    for container in every(context.store):
        if not container.record.get("restart_policy"):
            continue
        unlink_if_there(container.live_path("restart"))  # the monitor finds no policy
        now = status(container)
        if now.is_running:
            endings.append((container, now, Ending(container, now)))
            send_signal(now, container.record.get("stop_signal") or NUMBERS["TERM"])
    begun = time.monotonic()
    for container, now, ending in endings:
        with ending:
            seconds = container.record.get("stop_timeout", 10)
            if not ending.wait(max(0.0, begun + max(0, seconds) - time.monotonic())):
                kill_and_wait(container, now)
