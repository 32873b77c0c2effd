"""Stop and kill: signals to a container's init, and the wait for its end."""

from __future__ import annotations

import os

from rcrun.engine.eventlog import container_event
from rcrun.engine.monitor import Ending, send_signal, wait_for_monitor
from rcrun.errors import RcrunError, WrongState
from rcrun.formats.signals import NUMBERS, parse
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container, Status

SIGKILL = NUMBERS["KILL"]
SECONDS_AFTER_KILL = 30


def stop(container: Container, *, seconds: int | None = None, signal: str = "") -> None:
    """The stop signal, and KILL after so many seconds (-1: never); nothing if it does not run."""
    if container.record.get("restart_policy"):
        from rcrun.engine.restart import keep_stopped

        keep_stopped(container, lambda: _stop(container, seconds, signal))
    else:
        _stop(container, seconds, signal)


def _stop(container: Container, seconds: int | None, signal: str) -> None:
    now = status(container)
    record = container.record
    if not now.is_running:
        return
    chosen = parse(signal) if signal else record.get("stop_signal") or NUMBERS["TERM"]
    patience = record.get("stop_timeout", 10) if seconds is None else seconds
    with Ending(container, now) as ending:
        if now.word == "paused":
            _thaw(container, now)
        container_event(container, "kill", signal=str(chosen))
        if not (send_signal(now, chosen) and ending.wait(None if patience < 0 else patience)):
            _kill_and_wait(container, now, ending)
    end_stray_helpers(container)
    if record.get("notify") or record.get("conmon_pidfile"):
        wait_for_monitor(now)
    container_event(container, "stop")


def _thaw(container: Container, now: Status) -> None:
    """What is frozen can be killed, but not told."""
    from rcrun.engine.cgroup import freeze

    freeze(container, now, False)


def kill_and_wait(container: Container, now: Status) -> None:
    with Ending(container, now) as ending:
        _kill_and_wait(container, now, ending)


def _kill_and_wait(container: Container, now: Status, ending: Ending) -> None:
    container_event(container, "kill", signal=str(SIGKILL))
    send_signal(now, SIGKILL)
    if not ending.wait(SECONDS_AFTER_KILL):
        raise RcrunError(
            f'cannot stop container "{container.name}": process {now.pid} is still there '
            f"{SECONDS_AFTER_KILL} seconds after SIGKILL",
            f"it waits in the kernel, as on a network file system: cat /proc/{now.pid}/stack",
        )
    end_stray_helpers(container)


def kill(container: Container, signal: str) -> None:
    number = parse(signal)
    if container.record.get("restart_policy"):
        from rcrun.engine.restart import before_kill

        if before_kill(container, number):
            return
    now = status(container)
    if now.is_running:
        container_event(container, "kill", signal=str(number))  # before the event of what it does
    if not now.is_running or not send_signal(now, number):
        raise WrongState(
            f'cannot kill container "{container.name}": container {container.id} is not running',
            f"rcrun start {container.name}",
        )
    if number == SIGKILL:
        with Ending(container, now) as ending:
            ending.wait(SECONDS_AFTER_KILL)
        end_stray_helpers(container)
        _keep_killed(container)


def _keep_killed(container: Container) -> None:
    """The monitor may have decided to start it again before it was told not to."""
    if container.record.get("restart_policy"):
        from rcrun.engine.restart import give_up_waiting

        give_up_waiting(container)


def end_stray_helpers(container: Container) -> None:
    """The network's process ends by the monitor; where that was killed, by us."""
    was_killed = container.record["launched"] and not os.path.exists(container.path("exit.json"))
    mode = (container.record.get("network") or {}).get("mode")
    if (was_killed and mode == "pasta") or os.path.exists(container.live_path("pasta.pid")):
        from rcrun.engine.network import end_helper

        end_helper(container)
