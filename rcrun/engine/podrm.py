"""Removal of pods: their containers first, the infra container last, then the record; killed in between, it is done again."""

from __future__ import annotations

from rcrun.engine.pod import pod_event
from rcrun.engine.podlist import listed
from rcrun.engine.rm import Removal
from rcrun.errors import InvalidInput, NotFound, WrongState
from rcrun.storage import containers, pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod


def remove(context: Context, pod: Pod, *, force: bool = False, patience: int | None = None) -> None:
    """With force those that run are stopped first, with so much patience, else with their own."""
    with pods.PodLock(pod):
        members = pod.members()
        if force:
            from rcrun.engine.podlife import stop_members

            stop_members(members, patience)
        else:
            _refuse_running(pod, members)
        removal = Removal(context, force=True, volumes=True, infra=True)
        try:
            for container in sorted(members, key=lambda each: each.id == pod.infra_id):
                removal.take(container.id)
        finally:
            removal.finish()
        if pod.record.get("group"):
            from rcrun.engine.podgroup import remove_group

            remove_group(context, pod, members)
        pods.discard(pod)
    pod_event(pod, "remove")


def _refuse_running(pod: Pod, members: list[Container]) -> None:
    for container in members:
        word = containers.status(container).word
        if container.id == pod.infra_id:
            continue  # which is nobody's work
        if word in ("running", "paused", "restarting"):
            raise WrongState(
                f'cannot remove pod "{pod.name}": its container "{container.name}" is {word}: '
                "running or paused containers cannot be removed without force",
                f"rcrun pod rm -f {pod.name}",
            )


def remove_holder(context: Context, name: str) -> None:
    """--replace: the pod that has the name, whether it runs or not."""
    try:
        pod = pods.find(context.store, name)
    except NotFound:
        return
    if pod.name == name:
        remove(context, pod, force=True)


def prune(context: Context) -> list[str]:
    """The ids of the pods of which no container runs, and that went."""
    removed = []
    for seen in listed(context.store):
        words = [status.word for status in seen.statuses]
        if any(word not in ("exited", "removing") for word in words) or not words:
            continue  # as podman: one that was never started is no waste
        try:
            remove(context, seen.pod)
        except (NotFound, WrongState):
            continue  # removed or started meanwhile
        removed.append(seen.pod.id)
    return removed


def remove_of(context: Context, container: Container, *, force: bool, patience: int | None) -> bool:
    """The pod of an infra container, with all that is in it; false where it is gone. `patience` None: they are killed."""
    pod = pods.load(container.store, pods.pod_id_of(container))
    if pod is None:
        return False
    remove(context, pod, force=force, patience=0 if patience is None else patience)
    return True


def refuse_infra(container: Container) -> None:
    """Unless its pod is gone."""
    pod = pods.load(container.store, pods.pod_id_of(container))
    if pod is not None:
        _refuse(pod, container)


def _refuse(pod: Pod, container: Container) -> NoReturn:
    raise InvalidInput(
        f'cannot remove container "{container.name}": it is the infra container of pod "{pod.name}" '
        "and cannot be removed without removing the pod",
        f"rcrun pod rm {pod.name}",
    )
