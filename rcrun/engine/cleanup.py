"""What the monitor does at a container's end, for one whose monitor was killed."""

from __future__ import annotations

from rcrun.engine.stop import end_stray_helpers
from rcrun.errors import WrongState
from rcrun.files import unlink_if_there
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


def cleanup(context: Context, container: Container, *, remove: bool = False) -> None:
    """Its network's process, its socket and its cgroup go; a --rm container, or with `remove` any, goes whole."""
    with ContainerLock(container):
        now = status(container)
        if now.is_running:
            raise WrongState(
                f'cannot clean up after container "{container.name}": it is {now.word}',
                f"rcrun stop {container.name}",
            )
        if not now.monitor:  # else it tidies up itself, right now
            tidy(container)
    if remove or container.record.get("auto_remove"):
        from rcrun.engine.rm import Removal

        removal = Removal(context, volumes=True)
        removal.take(container.id)
        removal.finish()


def tidy(container: Container) -> None:
    """The caller holds its lock; it does not run, and its monitor is gone."""
    unlink_if_there(container.live_path("attach.sock"))
    end_stray_helpers(container)
    if container.record.get("cgroup"):
        from rcrun.engine.cgroup import remove

        remove(container)
