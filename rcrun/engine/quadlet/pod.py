"""A .pod file: the unit that makes a pod and starts it, and the containers that come into it. Pure."""

from __future__ import annotations

from rcrun.engine.quadlet import names
from rcrun.engine.quadlet.remap import remapped
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.quadlet.service import Service

_STOP_SECONDS = "10"


def complete_pod(service: Service) -> None:
    """Systemd watches the infra container's monitor, which tells it of its start: the unit is up as long as the pod is."""
    name = names.made_name(service.unit)
    _want_containers(service)
    seconds = service.value("StopTimeout") or _STOP_SECONDS
    words = [
        "pod", "create", "--replace", f"--exit-policy={service.value('ExitPolicy') or 'stop'}",
        *service.options(), *remapped(service), *service.add_networks(), *service.add_volumes(),
        "--infra-name", f"{name}-infra", "--name", name, *service.extra_arguments(),
    ]  # fmt: skip
    service.add_command("ExecStartPre", words)
    service.add_command("ExecStart", ["pod", "start", name])
    service.add_command("ExecStop", ["pod", "stop", "--ignore", f"--time={seconds}", name])
    service.add_command("ExecStopPost", ["pod", "rm", "--ignore", "--force", name])
    service.add("Service", "Environment", "PODMAN_SYSTEMD_UNIT=%n")
    service.set_missing("Service", "SyslogIdentifier", "%N")
    service.set_missing("Service", "Restart", "on-failure")
    service.add("Service", "Delegate", "yes")
    service.replace("Service", "Type", "notify")
    service.replace("Service", "NotifyAccess", "all")


def _want_containers(service: Service) -> None:
    """Those that do not say StartWithPod=false start with it."""
    for unit in service.around.units.values():
        if unit.kind != "container" or unit.last("Container", "Pod") != service.unit.name:
            continue
        started = f"{names.service_name(unit)}.service"
        if _starts_with_it(unit.last("Container", "StartWithPod")):
            service.add("Unit", "Wants", started)
        service.add("Unit", "Before", started)


def _starts_with_it(word: str | None) -> bool:
    """What is neither yes nor no is told by the container's own unit."""
    return (word or "yes").lower() not in ("no", "false", "off", "0")


def add_pod(service: Service) -> list[str]:
    """Of a container: it is in the pod of another file, and goes down with it."""
    value = service.value("Pod")
    if not value:
        return []
    if not value.endswith(".pod"):
        raise InvalidInput(f'Pod="{value}" names no file of Quadlet: it ends with .pod')
    name = service.need(value, "BindsTo")
    return ["--pod", name]
