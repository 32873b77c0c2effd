"""A container's own cgroup, where one is to be had: made for a start, joined by exec, frozen by pause.

Who makes it (docs/cgroups.md): what `--cgroup-manager` says, else the systemd that runs us, else we ourselves in a
subtree that is ours, else nobody.
"""

from __future__ import annotations

import os

from rcrun.cgroup import delegated
from rcrun.engine.eventlog import container_event
from rcrun.errors import HostLacks, InvalidInput, WrongState
from rcrun.files import write_file
from rcrun.runtime import groups
from rcrun.runtime.plan_resources import controllers
from rcrun.storage.containers import no_such

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container, Status

    Records = list[list[str]]

DELEGATION_HINT = (
    "start it in a login session of systemd with cgroup v2, or as: "
    "systemd-run --user --scope -p Delegate=yes rcrun start {name}"
)
DEFAULT_PIDS = 2048  # podman's


def make(context: Context, container: Container, spec: Spec) -> tuple[Records, list[int]]:
    """Settings for the plan and their descriptors, and `cgroup` of the record; nothing where there is none to be
    had and no limit was asked for."""
    who = manager(context, container, spec)
    if who == "systemd":
        from rcrun.engine import scope

        made = scope.make(context, container, spec)
        if made is not None:
            return made
    elif who == "none":
        return _without(spec)
    path = _make(context, container, spec)
    container.record["cgroup"] = path
    if path:
        return [["cgroup", path]], []
    asked = controllers((spec.get("linux") or {}).get("resources") or {})
    if asked:
        from rcrun.cgroup.controllers import lacks

        raise lacks(
            asked,
            root=not context.host.rootless,
            by_systemd=who == "systemd" or not _asked(context, container),
        )
    return [], []


def _make(context: Context, container: Container, spec: Spec) -> str:
    parent = None
    if container.record.get("cgroups") == "split":
        from rcrun.cgroup.split import split

        parent = split()
    path = groups.make(
        spec,
        container.id,
        "",
        root=not context.host.rootless,
        note=lambda path: note(container, path),
        parent=parent,
    )
    if path:
        limit_pids(path, spec, container)
    return path


def note(container: Container, path: str) -> None:
    """Before it is there: who is killed now has left something that is found again."""
    write_file(container.path("cgroup"), os.fsencode(path), durable=False)


def limit_pids(path: str, spec: Spec, container: Container) -> None:
    """The default, where nothing else was asked for and the kernel can."""
    if "pids" not in ((spec.get("linux") or {}).get("resources") or {}):
        most = container.record.get("pids_default", DEFAULT_PIDS)
        delegated.write(f"{path}/pids.max", str(most) if most > 0 else "max")


def no_systemd_without(container: Container) -> HostLacks:
    return HostLacks(
        f'cannot start container "{container.name}": a systemd needs a cgroup of its own (version 2)',
        DELEGATION_HINT.format(name=container.name),
    )


def _without(spec: Spec) -> tuple[Records, list[int]]:
    asked = controllers((spec.get("linux") or {}).get("resources") or {})
    if asked:
        raise InvalidInput(
            f"conflicting options: --cgroup-manager none and a limit of {', '.join(asked)}"
        )
    return [], []


# ---- who makes it


def manager(context: Context, container: Container, spec: Spec) -> str:
    """`systemd`, `cgroupfs` or `none`; that of a container is the one that it was made with."""
    asked = _asked(context, container)
    place = str((spec.get("linux") or {}).get("cgroupsPath") or "")
    check_parent(asked, place)
    if container.record.get("cgroups") == "split":
        return "cgroupfs"
    if asked:
        return asked
    if place and not is_slice(place):
        return "cgroupfs"
    return "systemd" if systemd_is_there(context) else "cgroupfs"


def _asked(context: Context, container: Container) -> str:
    return str(container.record.get("cgroup_manager") or context.cgroup_manager)


def keep_manager(context: Context, record: dict[str, Any], config: Spec) -> None:
    """A container keeps the one that it was made with."""
    asked = context.cgroup_manager
    check_parent(asked, str(config["linux"].get("cgroupsPath") or ""))
    record["cgroup_manager"] = asked


def is_slice(cgroups_path: str) -> bool:
    return cgroups_path.partition(":")[0].endswith(".slice") and "/" not in cgroups_path


def check_parent(asked: str, cgroups_path: str) -> None:
    """A slice is systemd's, a path is ours."""
    if not asked or not cgroups_path:
        return
    slice_name = cgroups_path.partition(":")[0]
    if asked == "systemd" and not is_slice(cgroups_path):
        raise InvalidInput(
            f'--cgroup-parent "{os.path.dirname(cgroups_path)}" is no slice of systemd',
            "write it like user.slice, or use --cgroup-manager cgroupfs",
        )
    if asked != "systemd" and is_slice(cgroups_path):
        raise InvalidInput(
            f'--cgroup-parent "{slice_name}" is a slice of systemd, whom --cgroup-manager {asked} does not ask',
            "write a path below /sys/fs/cgroup, as in --cgroup-parent /my/group, or use --cgroup-manager systemd",
        )


def systemd_is_there(context: Context) -> bool:
    """Whether it is worth asking: a look at files, so that hosts without it pay nothing."""
    if not os.path.isdir("/run/systemd/system"):
        return False
    if not context.host.rootless:
        return os.path.exists("/run/systemd/private")
    return user_systemd_is_there(context.environ)


def user_systemd_is_there(environ: Mapping[str, str]) -> bool:
    if environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    folder = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return os.path.exists(f"{folder}/systemd/private") or os.path.exists(f"{folder}/bus")


# ---- a container that is there


def remove(container: Container) -> None:
    """What the monitor would have done: end what is left in the group, and the group."""
    path = str(container.record.get("cgroup") or "")
    if path and container.record.get("scope"):
        from rcrun.runtime.scopes import stop

        stop(container.record["scope"], path)
    for left in {path, container.noted_cgroup()}:
        if left:
            groups.remove(left)


def exec_records(container: Container, now: Status) -> tuple[Records, list[int]]:
    """Where the init is now; nothing for a session that may not enter the group, such as another login's."""
    path = groups.of_process(now.pid)
    if not path:
        return [], []
    if delegated.may_enter(path):
        return [["cgroup", path]], []
    fd = groups.joining(container.record, path)
    return ([["scope", str(fd)], ["cgroup", path]], [fd]) if fd >= 0 else ([], [])


def limit(container: Container, path: str, resources: Mapping[str, object]) -> None:
    """Of one that runs."""
    if container.record.get("scope"):
        from rcrun.runtime.scopes import update

        update(container.record["scope"], path, resources)
    else:
        groups.limit(path, resources)


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
