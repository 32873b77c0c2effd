"""`healthcheck run`: ask the monitor for a check now, and wait for what it finds."""

from __future__ import annotations

import _signal
import os
import time

from rcrun.engine.health import DEFAULTS
from rcrun.engine.healthfile import health, require_check
from rcrun.errors import RcrunError, WrongState
from rcrun.kernel.process import open_pidfd
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.storage.containers import Container

SECONDS_BEYOND = 10


def run_now(container: Container) -> dict[str, Any]:
    """The entry of the log that the check left; one that is under way already counts."""
    now = require_check(container)
    from rcrun.kernel.inotify import Watch

    timeout = container.record["healthcheck"].get("Timeout") or DEFAULTS["Timeout"]
    until = time.monotonic() + timeout / 1e9 + SECONDS_BEYOND
    asked = time.time_ns()
    with Watch(container.live_dir) as watch:
        fd = open_pidfd(now.monitor, now.monitor_start)
        if fd is None:
            raise WrongState(f'container "{container.name}" is not running')
        try:
            _signal.pidfd_send_signal(fd, _signal.SIGUSR1)
            while True:
                entry = _entry_since(container, asked)
                if entry is not None:
                    return entry
                if not status(container).is_running:
                    raise WrongState(f'container "{container.name}" has ended during the check')
                if not watch.wait(until - time.monotonic(), fd):
                    raise RcrunError(
                        f'the health of container "{container.name}" was not checked in time',
                        f"is it paused? rcrun ps --filter name={container.name}",
                    )
        finally:
            os.close(fd)


def _entry_since(container: Container, moment: int) -> dict[str, Any] | None:
    from rcrun.formats import moment as moments

    found = health(container, status(container))
    log = found["Log"] if found else []
    return next((each for each in log if moments.parse(each["End"], 0) >= moment), None)
