"""`container cleanup`: what the end of a container has left because its monitor was killed."""

from __future__ import annotations

from rcrun.errors import RcrunError, WrongState
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import find, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context


def cleanup(context: Context, name: str, *, remove: bool, remove_image: bool) -> None:
    container = find(context.store, name)
    with ContainerLock(container):
        if status(container).is_running:
            raise WrongState(
                f'cannot clean up container "{container.name}": it is running',
                f"rcrun stop {container.name}",
            )
        from rcrun.engine.stop import end_stray_helpers

        end_stray_helpers(container)
        if container.record.get("cgroup"):
            from rcrun.engine.cgroup import remove as remove_cgroup

            remove_cgroup(container)
    if remove:
        from rcrun.engine.rm import Removal

        removal = Removal(context)
        removal.take(container.id)
        removal.finish()
    if remove_image and container.record.get("image_id"):
        _remove_image(context, str(container.record["image_id"]))


def _remove_image(context: Context, image_id: str) -> None:
    from rcrun.engine import rmi

    try:
        rmi.remove(context, image_id)
        rmi.finish(context)
    except RcrunError as error:
        context.warn(f"its image stays: {error.message}", error.hint)
