"""A .kube file: the unit that plays documents of Kubernetes and stays until their pods have ended. Pure."""

from __future__ import annotations

from rcrun.engine.quadlet.container import follow, logs
from rcrun.engine.quadlet.remap import remapped
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.quadlet.service import Service

_UPDATE = "io.containers.autoupdate"
_PROPAGATIONS = ("all", "any", "none")


def complete(service: Service) -> None:
    files = [service.absolute(path) for path in service.unit.arguments("Kube", "Yaml")]
    if not files:
        raise InvalidInput("Yaml= is not given")
    how = service.value("ExitCodePropagation")
    if how and how not in _PROPAGATIONS:
        raise InvalidInput(f'ExitCodePropagation="{how}": it is {", ".join(_PROPAGATIONS)}')
    is_notified = follow(service)
    stays = [f"--service-container={'true' if is_notified else 'false'}"]
    service.add_command(
        "ExecStart",
        [
            "kube",
            "play",
            "--replace",
            *stays,
            *logs(service),
            *service.options(),
            *_more(service),
            *files,
        ],
    )
    force = ["--force"] if service.unit.truth("Kube", "KubeDownForce") else []
    service.add_command("ExecStopPost", ["kube", "down", *force, *files])
    _set_directory(service, files)


def _more(service: Service) -> list[str]:
    return [
        *service.add_networks(),
        *remapped(service),
        *_updates(service),
        *_config_maps(service),
        *service.extra_arguments(),
    ]


def _updates(service: Service) -> list[str]:
    """`registry` for all, `NAME/local` for one."""
    words = []
    for text in service.unit.words("Kube", "AutoUpdate"):
        name, slash, how = text.rpartition("/")
        words.append(f"--annotation={_UPDATE}{slash}{name}={how}")
    return words


def _config_maps(service: Service) -> list[str]:
    words: list[str] = []
    for path in service.unit.arguments("Kube", "ConfigMap"):
        words += ["--configmap", service.absolute(path)]
    return words


def _set_directory(service: Service, files: list[str]) -> None:
    """Paths in the documents are relative to it."""
    asked = service.value("SetWorkingDirectory").lower()
    if not asked:
        return
    if asked not in ("yaml", "unit"):
        raise InvalidInput(f'SetWorkingDirectory="{asked}": it is yaml or unit')
    if asked == "yaml" and len(files) > 1:
        raise InvalidInput("SetWorkingDirectory=yaml goes with one Yaml=")
    if service.last("Service", "WorkingDirectory"):
        return
    path = files[0] if asked == "yaml" else service.absolute("unit")
    service.add("Service", "WorkingDirectory", path.rpartition("/")[0] or "/")
