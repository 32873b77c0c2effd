"""A container that could not be started: what is left of the try is taken away, and what is kept says why."""

from __future__ import annotations

from rcrun.engine.launch import Foreground, launch, undo
from rcrun.engine.launch_network import TRIES, has_lost_a_choice
from rcrun.errors import NotFound, RcrunError, StepFailed
from rcrun.storage.claims import ContainerLock, discard
from rcrun.storage.containers import anonymous_volumes, load, note_failure, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.engine.run import Making
    from rcrun.files import Lock
    from rcrun.kernel.shim import Plan
    from rcrun.storage.containers import Container


def launch_failed(context: Context, container: Container, error: RcrunError) -> None:
    """A start did not work: a --rm container goes, another one keeps the reason. The caller holds the lock."""
    _undo(context, container)
    if container.record["auto_remove"]:
        from rcrun.engine.rm import remove_trees

        remove_trees(context, [discard(container), container.live_dir])
        names = anonymous_volumes(container)
        if names:
            from rcrun.engine.volumerm import remove_unused

            remove_unused(context, names)
    else:
        note_failure(container, error.message)


def _undo(context: Context, container: Container) -> None:
    undo(context, container)
    if (container.record.get("network") or {}).get("mode") == "pasta":
        from rcrun.engine.network import end_helper

        end_helper(container)


def new_failed(context: Context, making: Making, error: RcrunError) -> None:
    """One that was just made."""
    if making.claim.is_saved():  # else the start was not tried, and nothing is to be kept
        making.release_volumes()  # which go with a --rm container
        launch_failed(context, making.claim.container, error)


def foreground_failed(
    context: Context, container_id: str, error: RcrunError, plan: Plan = (), tries: int = 0
) -> None:
    """What the hidden command calls for a foreground launch, whose shim held the lock until now.

    Where only a port that was chosen for it is somebody else's by now, it is launched again.
    """
    container = load(context.store, container_id)
    if container is None:
        return
    try:
        lock = ContainerLock(container)
        with lock:
            if not status(container).is_running:
                if tries < TRIES and _may_choose_again(container, error, plan):
                    error = _launched_again(context, container, lock.lock, plan, tries + 1)
                launch_failed(context, container, error)
                raise error
    except NotFound:
        pass


def _may_choose_again(container: Container, error: RcrunError, plan: Plan) -> bool:
    """Descriptors that the caller gave for this start alone are lost with it."""
    is_lost = isinstance(error, StepFailed) and has_lost_a_choice(container, error)
    return is_lost and not any(record[0] == "preserve-fds" for record in plan)


def _launched_again(
    context: Context, container: Container, lock: Lock, plan: Plan, tries: int
) -> RcrunError:
    """It returns only when that failed, too."""
    records = {record[0]: record for record in plan}
    foreground = Foreground(records["foreground"][1], sig_proxy="sig-proxy" in records)
    foreground.detach_keys = records["foreground"][2]
    foreground.tries = tries
    _undo(context, container)
    try:
        launch(context, container, lock, foreground)
    except RcrunError as error:
        return error
    raise AssertionError("a launch in the foreground came back")


def client_failed(context: Context, container_id: str, error: RcrunError) -> None:
    """The client of a launched container lost it or cannot write: what the monitor does at the end is its
    own, but a killed one leaves a --rm container behind."""
    container = load(context.store, container_id)
    if container is None or not container.record["auto_remove"]:
        return
    from rcrun.engine.start import let_old_monitor_end
    from rcrun.kernel.process import is_alive

    now = status(container)
    if not now.monitor or not is_alive(now.monitor, now.monitor_start):
        let_old_monitor_end(container)
        foreground_failed(context, container_id, error)
