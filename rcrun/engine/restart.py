"""Restart policies: what was asked for, what the monitor reads of it, and what ends a policy (docs/health-and-restart.md).

The record's `restart_policy` is the policy. While the container runs its live file `restart` is the monitor's copy, and
a file `stopped` in the container's directory says that it was stopped by hand.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound
from rcrun.files import unlink_if_there, write_file
from rcrun.formats.signals import NUMBERS
from rcrun.paths import make_private_dir
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

NAMES = ("no", "always", "on-failure", "unless-stopped")
SECONDS_FOR_A_WAITER = 10
# Those that people mean as an end; HUP and USR1 ask many programs for something else.
ENDING_SIGNALS = tuple(NUMBERS[name] for name in ("INT", "QUIT", "KILL", "TERM"))


def parse_policy(text: str) -> dict[str, Any]:
    """`{"name": …, "max": how often, 0 for ever}` of `on-failure:3` and its like; an empty text is `no`."""
    name, colon, count = text.partition(":")
    name = "no" if name in ("", "never") else name
    if name not in NAMES:
        raise InvalidInput(
            f'invalid restart policy "{text}": unknown policy "{name}"',
            "use no, on-failure[:COUNT], always or unless-stopped",
        )
    if colon and name != "on-failure":
        raise InvalidInput(
            f'invalid restart policy "{text}": only on-failure takes a count of restarts',
            f"--restart {name}",
        )
    if colon and not (count.isascii() and count.isdigit() and len(count) < 10):
        raise InvalidInput(
            f'invalid restart policy "{text}": the count of restarts is no number',
            "--restart on-failure:3",
        )
    return {"name": name, "max": int(count or 0)}


def set_policy(container: Container, policy: dict[str, Any]) -> None:
    """For `update --restart`: into the record, and to the monitor. The caller holds the lock, and saves the record."""
    if policy["name"] != "no" and container.record.get("auto_remove"):
        raise InvalidInput(
            f'cannot give container "{container.name}" a restart policy: it is removed when it ends (--rm)'
        )
    if policy["name"] == "no":
        container.record.pop("restart_policy", None)
        unlink_if_there(container.live_path("restart"))
        unlink_if_there(container.path("stopped"))
        return
    container.record["restart_policy"] = policy
    if status(container).is_running:
        tell_monitor(container)


def tell_monitor(container: Container) -> None:
    """POLICY, how often at most, how often until now, and the last wait in milliseconds (0: none)."""
    record = container.record
    policy = record["restart_policy"]
    numbers = (policy["max"], record.get("restart_count", 0), record.get("restart_delay", 0))
    text = " ".join([policy["name"], *map(str, numbers)])
    write_file(container.live_path("restart"), f"{text}\n".encode(), durable=False)


def begin(container: Container) -> None:
    """Before a start: the monitor will read the policy, and what is started by hand is not stopped by hand any more.

    The caller holds the lock.
    """
    if not container.record.get("restart_count"):
        unlink_if_there(container.path("stopped"))
    make_private_dir(container.live_dir)
    tell_monitor(container)


# What ends a policy until the next start.


def mark_stopped(container: Container) -> None:
    try:
        os.close(os.open(container.path("stopped"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        pass  # the container is gone


def is_stopped_by_hand(container: Container) -> bool:
    return os.path.exists(container.path("stopped"))


def keep_stopped(container: Container, stop_running: Callable[[], None]) -> None:
    """Stop one that has a policy: whatever it does at the moment, it does not run afterwards."""
    mark_stopped(container)
    while True:
        word = status(container).word
        if word == "restarting":
            give_up_waiting(container)
        elif word in ("running", "paused"):
            stop_running()
        else:
            return
        if not is_stopped_by_hand(container):
            return  # somebody has started it by hand meanwhile


def before_kill(container: Container, number: int) -> bool:
    """A signal that ends processes by custom ends the policy, too, before it is sent; true if that was all there was to do."""
    if number not in ENDING_SIGNALS and number != container.record.get("stop_signal"):
        return False
    if not status(container).is_up:
        return False
    mark_stopped(container)
    if status(container).is_running:
        return False
    give_up_waiting(container)
    return not status(container).is_running  # else its start was faster


def give_up_waiting(container: Container) -> None:
    """End the wait for the next start, unless that start is over by now."""
    from rcrun.storage.claims import ContainerLock

    try:
        with ContainerLock(container):
            end_wait(container)
    except NotFound:
        pass


def end_wait(container: Container) -> None:
    """The caller holds the lock, without which nobody starts a container: so who waits can be ended at any moment."""
    import _signal
    import select

    from rcrun.kernel.process import open_pidfd

    now = status(container)
    if now.word != "restarting":
        return
    fd = open_pidfd(now.monitor, now.monitor_start)
    if fd is None:
        return
    try:
        _signal.pidfd_send_signal(fd, _signal.SIGTERM)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(SECONDS_FOR_A_WAITER * 1000):
            _signal.pidfd_send_signal(fd, _signal.SIGKILL)
            poll.poll()
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def restart_again(context: Context, container: Container, delay: int) -> None:
    """What the monitor of the run before becomes, after its wait of so many milliseconds."""
    from rcrun.engine.launch import launch
    from rcrun.engine.launchfailed import launch_failed
    from rcrun.engine.start import renew_network
    from rcrun.errors import RcrunError
    from rcrun.storage.claims import ContainerLock

    lock = ContainerLock(container)
    with lock:
        now = status(container)
        if now.word != "restarting" or now.monitor != os.getpid() or is_stopped_by_hand(container):
            return
        container.record["restart_count"] = container.record.get("restart_count", 0) + 1
        container.record["restart_delay"] = delay
        renew_network(container)
        try:
            launch(context, container, lock.lock, None)
        except RcrunError as error:
            launch_failed(context, container, error)
            raise
