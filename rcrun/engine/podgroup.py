"""The cgroup of a pod that has limits: a slice of systemd, or a group of ours, in which those of its containers are. Cold."""

from __future__ import annotations

import os

from rcrun.runtime import groups
from rcrun.runtime.plan_resources import controllers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.options import Options
    from rcrun.errors import HostLacks
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

SLICE = ".slice"


def resources_of(options: Options) -> dict[str, Any]:
    """The limits that were asked for the pod as a whole."""
    from rcrun.engine.config_limits import ASKING, limits
    from rcrun.engine.facts import stat_or_none

    asked = {key: options[key] for key in ASKING if options.get(key) not in (None, ())}
    return limits(asked, stat_or_none) if asked else {}


def parent_for(context: Context, pod_id: str, given: str) -> str:
    """What its containers get as --cgroup-parent; whoever makes groups here is asked, as for a container."""
    from rcrun.engine.cgroup import systemd_is_there

    asked = context.cgroup_manager
    if given.endswith(SLICE):
        return f"{given.removesuffix(SLICE)}-rcrun_pod_{pod_id}{SLICE}"
    if not given and (asked == "systemd" or (not asked and systemd_is_there(context))):
        return f"rcrun-pod_{pod_id}{SLICE}"
    return f"{given.rstrip('/')}/rcrun-pod-{pod_id}".removeprefix("/" if not given else "")


def ensure(context: Context, pod: Pod) -> None:
    """Before any container of it starts: another login may have another place for groups."""
    group: str = pod.record["group"]
    resources: Mapping[str, Any] = pod.record["resources"]
    if group.endswith(SLICE):
        _ensure_slice(context, group, resources)
        return
    path = _path(context, pod)
    if not path:
        raise _lacks(context, resources)
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise _lacks(context, resources) from error
    groups.limit(path, resources)


def _path(context: Context, pod: Pod) -> str:
    from rcrun.cgroup import delegated

    parent = delegated.find_parent() if context.host.unified else None
    if parent is None:
        return ""
    return groups.place(pod.record["group"], pod.id, parent, root=not context.host.rootless)


def _lacks(context: Context, resources: Mapping[str, Any]) -> HostLacks:
    from rcrun.cgroup.controllers import lacks

    asked = controllers(resources)
    return lacks(asked, root=not context.host.rootless, by_systemd=not context.cgroup_manager)


def _ensure_slice(context: Context, name: str, resources: Mapping[str, Any]) -> None:
    from rcrun.cgroup import properties, systemd
    from rcrun.cgroup.controllers import check
    from rcrun.errors import RcrunError
    from rcrun.kernel.dbus import DBusError

    manager = systemd.connect(context.environ, user=context.host.rootless)
    try:
        rows = properties.properties_for(resources, version=manager.version())
        manager.make_slice(name, rows)
        check(os.path.dirname(manager.directory(properties.Place(name, "x"))), resources)
    except DBusError as error:
        raise RcrunError(f'systemd refuses the slice "{name}": {error.message}') from error
    finally:
        manager.close()


def remove_group(context: Context, pod: Pod, members: list[Container]) -> None:
    """Once its containers are gone; what systemd or another login keeps of it is empty."""
    group = str(pod.record.get("group") or "")
    if group.endswith(SLICE):
        _stop_slice(context, group)
        return
    noted = [os.path.dirname(str(each.record.get("cgroup") or "")) for each in members]
    wanted = f"rcrun-pod-{pod.id}"
    for path in {_path(context, pod), *noted}:
        if os.path.basename(path) == wanted:
            groups.remove(path)


def _stop_slice(context: Context, name: str) -> None:
    from rcrun.cgroup import systemd
    from rcrun.errors import RcrunError
    from rcrun.kernel.dbus import DBusError

    try:
        manager = systemd.connect(context.environ, user=context.host.rootless)
        manager.stop(name)
        manager.close()
    except (DBusError, OSError, RcrunError):
        pass  # it is empty, and goes with the user's systemd
