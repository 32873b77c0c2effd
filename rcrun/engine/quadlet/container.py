"""A .container file: the unit that runs it. Pure."""

from __future__ import annotations

from rcrun.engine.quadlet import names
from rcrun.engine.quadlet.pod import add_pod
from rcrun.engine.quadlet.remap import remapped
from rcrun.errors import InvalidInput
from rcrun.formats import unitfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.quadlet.service import Service

_KILL_MODES = ("mixed", "control-group")
_TYPES = ("notify", "oneshot")
# Mounts whose source may be another file, or a path from the file's own directory.
_WITH_SOURCE = ("volume", "bind", "glob", "image", "artifact")
_SOURCES = (".volume", ".image", ".build", ".artifact")


def complete(service: Service) -> None:
    name = names.container_name(service.unit)
    image, rootfs = service.value("Image"), service.value("Rootfs")
    if not image and not rootfs:
        raise InvalidInput("neither Image= nor Rootfs= is given")
    if image and rootfs:
        raise InvalidInput("Image= and Rootfs= exclude each other")
    what = [service.image(image)] if image else ["--rootfs", rootfs]
    is_notified = follow(service)
    _add_ends(service, name)
    words = [
        "run", "--name", name, "--replace", "--rm", *logs(service),
        f"--cgroups={service.value('CgroupsMode') or 'split'}",
        *(_notified(service) if is_notified else ()),
        *service.options(), *_special(service), *service.extra_arguments(), *what,
    ]  # fmt: skip
    command = unitfile.split(service.unit.raw("Container", "Exec") or "")
    service.add_command("ExecStart", [*words, *command])


def follow(service: Service) -> bool:
    """How systemd follows it, which is whether it is to be told of the start; KillMode and Type are as others need them."""
    mode, kind = service.last("Service", "KillMode"), service.last("Service", "Type")
    if mode is not None and mode not in _KILL_MODES:
        raise InvalidInput(f'KillMode="{mode}" in [Service]: it is {" or ".join(_KILL_MODES)}')
    if kind is not None and kind not in _TYPES:
        raise InvalidInput(f'Type="{kind}" in [Service]: it is {" or ".join(_TYPES)}')
    is_notified = kind != "oneshot"
    service.add("Service", "Environment", "PODMAN_SYSTEMD_UNIT=%n")  # for auto-update
    service.set_missing("Service", "KillMode", "mixed")
    service.add("Service", "Delegate", "yes")
    service.set_missing("Service", "SyslogIdentifier", "%N")
    if is_notified:
        service.replace("Service", "Type", "notify")
        service.replace("Service", "NotifyAccess", "all")
    return is_notified


def _add_ends(service: Service, name: str) -> None:
    """It is stopped as `stop` does; what is left when its monitor was killed goes, too."""
    service.add_command("ExecStop", ["stop", "--ignore", name])
    service.add_command("ExecStopPost", ["rm", "-v", "-f", "-i", name], prefix="-")
    command = service.unit.raw("Container", "ReloadCmd")
    signal = service.value("ReloadSignal")
    if command and signal:
        raise InvalidInput("ReloadCmd= and ReloadSignal= exclude each other")
    if command:
        service.add_command("ExecReload", ["exec", name, *unitfile.split(command)])
    if signal:
        service.add_command("ExecReload", ["kill", "--signal", signal, name])


def logs(service: Service) -> list[str]:
    """What it says is in the unit's journal if nothing else is said."""
    return ["--log-driver", service.value("LogDriver") or "journald"]


def _notified(service: Service) -> list[str]:
    """When systemd hears that it has started, and from whom; then nobody needs to wait for it here."""
    if service.value("Notify").lower() == "healthy":
        return ["--sdnotify=healthy", "-d"]
    by_itself = service.unit.truth("Container", "Notify", False)
    return [f"--sdnotify={'container' if by_itself else 'conmon'}", "-d"]


def _special(service: Service) -> list[str]:
    return [
        *_entrypoint(service),
        *service.add_networks(),
        *_security(service),
        *_devices(service),
        *_user(service),
        *remapped(service),
        *service.add_volumes(),
        *_environment_files(service),
        *_mounts(service),
        *add_pod(service),
    ]


def _entrypoint(service: Service) -> list[str]:
    """An empty one takes the image's away."""
    value = service.unit.last("Container", "Entrypoint")
    return [] if value is None else [f"--entrypoint={value}"]


def _security(service: Service) -> list[str]:
    unit = service.unit
    words = []
    if unit.truth("Container", "NoNewPrivileges"):
        words.append("--security-opt=no-new-privileges")
    if unit.truth("Container", "SecurityLabelDisable"):
        words.append("--security-opt=label=disable")
    if unit.truth("Container", "SecurityLabelNested"):
        words.append("--security-opt=label=nested")
    if unit.truth("Container", "VolatileTmp") and not unit.truth("Container", "ReadOnly"):
        words += ["--tmpfs", "/tmp:rw,size=512M,mode=1777"]
    return words


def _devices(service: Service) -> list[str]:
    words: list[str] = []
    for device in service.unit.words("Container", "AddDevice"):
        path = device.removeprefix("-")
        if path == device or service.around.exists(path.partition(":")[0]):
            words += ["--device", path]
    return words


def _user(service: Service) -> list[str]:
    user, group = service.value("User"), service.value("Group")
    if group and not user:
        raise InvalidInput("Group= needs User=")
    return ["--user", f"{user}:{group}" if group else user] if user else []


def _environment_files(service: Service) -> list[str]:
    files = service.unit.arguments("Container", "EnvironmentFile")
    return [word for file in files for word in ("--env-file", service.absolute(file))]


def _mounts(service: Service) -> list[str]:
    words: list[str] = []
    for text in service.unit.arguments("Container", "Mount"):
        words += ["--mount", _mount(service, text)]
    return words


def _mount(service: Service, text: str) -> str:
    """The source of a mount may be another file; the rest is for --mount to understand."""
    from rcrun.formats.mountflag import split_csv

    fields = split_csv(text)
    kinds = [field.partition("=")[2] for field in fields if field.startswith("type=")]
    if (kinds[-1] if kinds else "volume") not in _WITH_SOURCE:
        return text
    return ",".join(_csv(_with_source(service, field)) for field in fields)


def _with_source(service: Service, field: str) -> str:
    key, equals, value = field.partition("=")
    if key not in ("source", "src") or not equals:
        return field
    return f"{key}={service.source(value, _SOURCES)}"


def _csv(field: str) -> str:
    if '"' in field or "," in field:
        return '"' + field.replace('"', '""') + '"'
    return field
