"""A container of the engine in a scope of systemd, and its monitor in one of its own. Cold: nothing of it where there is none."""

from __future__ import annotations

from rcrun.engine.cgroup import limit_pids, note
from rcrun.errors import HostLacks, RcrunError
from rcrun.kernel.dbus import DBusError
from rcrun.runtime import plan_resources, scopes
from rcrun.runtime.groups import Devices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container


def make(
    context: Context, container: Container, spec: Spec
) -> tuple[list[list[str]], list[int]] | None:
    """Settings for the plan; None: nobody answers, and nobody asked for systemd."""
    plan_resources.check((spec.get("linux") or {}).get("resources") or {})
    try:
        scope = scopes.connected(
            spec, container.id, context.host, context.environ, Devices({}, root=False)
        )
    except HostLacks:
        place = str((spec.get("linux") or {}).get("cgroupsPath") or "")
        if container.record.get("cgroup_manager") or context.cgroup_manager or place:
            raise
        return None
    scope.made = lambda path: limit_pids(path, spec, container)
    if _moves_monitor(container):
        scope.served = _monitor_mover(scope)
    note(container, scope.path)
    container.record["cgroup"] = scope.path
    container.record["scope"] = scope.record()
    fd = scope.serve()
    return [["scope", str(fd)], ["cgroup", scope.path]], [fd]


def _moves_monitor(container: Container) -> bool:
    """Out of the session or the service that starts it, as podman does; not where a service is to know it as its own."""
    return not container.record.get("cgroups") and not container.record.get("notify_records")


def _monitor_mover(scope: scopes.Scope) -> Callable[[int], None]:
    """It then outlives a login, and may put processes of health checks into the container's group."""

    def move(monitor: int) -> None:
        try:
            scope.start_beside(scope.place.unit.replace("rcrun-", "rcrun-monitor-", 1), monitor)
        except (OSError, ValueError, RcrunError, DBusError):
            pass  # it stays where it is, as of one that was started again by its monitor

    return move
