"""A container's own cgroup, where a subtree is delegated: made for a start, joined by exec, frozen by pause."""

from __future__ import annotations

import os

from rcrun.cgroup import delegated
from rcrun.engine.eventlog import container_event
from rcrun.errors import HostLacks, WrongState
from rcrun.files import write_file
from rcrun.runtime import groups
from rcrun.storage.containers import no_such

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container, Status

DELEGATION_HINT = (
    "start it in a login session of systemd with cgroup v2, or as: "
    "systemd-run --user --scope -p Delegate=yes rcrun start {name}"
)


def make(context: Context, container: Container, spec: Spec) -> str:
    """The group with its limits; "" where there is none to be had and no limit was asked for."""

    def note(path: str) -> None:
        write_file(container.path("cgroup"), os.fsencode(path), durable=False)

    return groups.make(spec, container.id, "", root=not context.host.rootless, note=note)


def remove(container: Container) -> None:
    """What the monitor would have done: end what is left in the group, and the group."""
    for path in {container.record.get("cgroup"), container.noted_cgroup()}:
        if path:
            groups.remove(path)


def exec_records(container: Container, now: Status) -> list[list[str]]:
    """Where the init is now; nothing for a session that may not enter the group, such as another login's."""
    path = groups.of_process(now.pid)
    return [["cgroup", path]] if path and delegated.may_enter(path) else []


def freeze(container: Container, now: Status, frozen: bool) -> None:
    verb = "pause" if frozen else "unpause"
    if now.word == "removing":
        raise no_such(container.name)
    if now.word != ("running" if frozen else "paused"):
        raise WrongState(f'cannot {verb} container "{container.name}": it is {now.word}')
    path = container.record.get("cgroup")
    if not path:
        raise HostLacks(
            f'cannot {verb} container "{container.name}": it has no cgroup of its own',
            DELEGATION_HINT.format(name=container.name),
        )
    groups.freeze(path, frozen)
    container_event(container, verb)
