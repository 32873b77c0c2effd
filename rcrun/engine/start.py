"""Start containers that were created or have ended."""

from __future__ import annotations

from rcrun.engine.eventlog import container_event
from rcrun.engine.launch import Foreground, launch
from rcrun.errors import NotFound, RcrunError
from rcrun.storage.claims import ContainerLock, has_no_end
from rcrun.storage.containers import find, load, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

SECONDS_FOR_THE_OLD_MONITOR = 10


def start(
    context: Context,
    container: Container,
    foreground: Foreground | None = None,
    *,
    force: bool = False,
) -> None:
    """Nothing if it runs already, as with docker; in the foreground it is then joined. `force`: its host is gone."""
    lock = ContainerLock(container)
    with lock:
        if not status(container).is_running:
            if has_no_end(container):
                from rcrun.storage.elsewhere import require_here

                hint = f"rcrun restart {container.name}"
                require_here(container, "start", force=force, hint=hint)
            let_old_monitor_end(container)
            renew_network(container)
            container.record["restart_count"] = container.record["restart_delay"] = 0
            if foreground is not None:
                container_event(container, "attach")
            try:
                launch(context, container, lock.lock, foreground)
            except RcrunError as error:
                from rcrun.engine.launchfailed import launch_failed

                launch_failed(context, container, error)
                raise
            return
    if foreground is not None:
        from rcrun.engine.attach import attach

        attach(context, container, foreground)


def let_old_monitor_end(container: Container) -> None:
    """It removes its socket when it ends, which must not be the new one's."""
    before = status(container)
    if before.word == "restarting":
        from rcrun.engine.restart import end_wait

        end_wait(container)
        before = status(container)
    if before.monitor:
        from rcrun.engine.monitor import Ending

        with Ending(container, before) as ending:
            ending.wait(SECONDS_FOR_THE_OLD_MONITOR)
        if load(container.store, container.id) is None:
            raise NotFound(f"no such container: {container.name}")  # it was a --rm container


def renew_network(container: Container) -> None:
    if (container.record.get("network") or {}).get("mode") in ("none", "host", "bridge"):
        return
    from rcrun.engine import network

    network.end_helper(container)
    network.refresh_hosts(container)


def restart(context: Context, text: str, *, seconds: int | None = None, signal: str = "") -> None:
    """Between its two halves the lock tells who follows the log that the second one comes."""
    from rcrun.engine.stop import stop
    from rcrun.files import Lock

    container = find(context.store, text)
    lock = Lock(container.live_path("restart.lock"))
    try:
        lock.acquire()
    except FileNotFoundError:
        pass  # it has never run
    try:
        stop(container, seconds=seconds, signal=signal)
        start(context, container, force=True)
    finally:
        lock.release()
    container_event(container, "restart")
