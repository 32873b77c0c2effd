"""A container that is there → its document in a pod's spec, and what of the spec is the pod's. Pure, but for paths that are looked at."""

from __future__ import annotations

from rcrun.engine.kube.writtenvolumes import add_mounts
from rcrun.engine.options import strings
from rcrun.formats.signals import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.spec import Spec

    Object = dict[str, Any]

RESTARTS = {
    "always": "Always",
    "unless-stopped": "Always",
    "on-failure": "OnFailure",
    "no": "Never",
}
_PREFIX = "io.podman.annotations."
_UPDATE = "io.containers.autoupdate"
_OURS = ("PATH", "TERM", "HOME", "HOSTNAME", "container")  # variables that every container gets
_DEFAULTS = {"TERM": ("xterm",), "container": ("oci",), "HOME": ("/", "/root")}
_TERM, _PATIENCE = 15, 10


class Seen:
    """What is known of a container; `kind_of` says for what a play made a volume."""

    __slots__ = ("config", "image", "kind_of", "name", "record", "stat")

    def __init__(
        self, name: str, record: Mapping[str, Any], config: Spec, image: ContainerConfig
    ) -> None:
        self.name = name  # as the document has it
        self.record = record
        self.config = config
        self.image = image
        self.kind_of: Callable[[str], str] = lambda name: ""
        self.stat: Callable[[str], os.stat_result | None] = lambda path: None

    @property
    def asked(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.record.get("asked") or {}
        return found


class PodParts:
    """What the containers of a pod say together: `spec` has its own fields, `volumes` are by name; `notes` are for people."""

    __slots__ = ("annotations", "labels", "notes", "spec", "volumes")

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.spec: Object = {}
        self.volumes: dict[str, Object] = {}
        self.notes: list[str] = []


def container_document(seen: Seen, parts: PodParts, *, podman_only: bool = False) -> Object:
    record = seen.record
    found: Object = {
        "name": seen.name,
        "image": str(record.get("image") or record.get("image_typed") or ""),
        "tty": bool(record.get("tty")) or None,
        "stdin": bool(record.get("stdin_open")) or None,
        **_command(seen),
        "workingDir": _directory(seen),
        "env": _environment(seen) or None,
        "resources": _resources(seen) or None,
        "securityContext": _security(seen, parts) or None,
        **_health(seen),
        "lifecycle": _lifecycle(seen),
    }
    add_mounts(found, seen, parts)
    _add_annotations(seen, parts, podman_only)
    return {key: value for key, value in found.items() if value is not None}


def ports_of(record: Mapping[str, Any], *, for_service: bool = False) -> list[Object]:
    found = []
    for port in (record.get("network") or {}).get("ports") or []:
        each: Object = {"containerPort": port["container_port"]}
        if port["protocol"] != "tcp":
            each["protocol"] = port["protocol"].upper()
        if not for_service:
            each["hostPort"] = port["host_port"] or port["container_port"]
            if port["host_ip"]:
                each["hostIP"] = port["host_ip"]
        found.append(each)
    return found


# ---- the process


def _command(seen: Seen) -> Object:
    entrypoint = list(seen.record.get("entrypoint") or ())
    command = list(seen.record.get("command") or ())
    of_image = strings(seen.image.get("Entrypoint"), "Entrypoint")
    found: Object = {}
    if not entrypoint and not of_image:
        if command != strings(seen.image.get("Cmd"), "Cmd"):
            found["command"] = escaped(command)
        return found
    if entrypoint != of_image:
        found["command"] = escaped(entrypoint)
    if command and (entrypoint != of_image or command != strings(seen.image.get("Cmd"), "Cmd")):
        found["args"] = escaped(command)
    return found


def escaped(words: Sequence[str]) -> list[str]:
    """What would be read as a variable is not."""
    return [word.replace("$", "$$") if "$(" in word or "$$" in word else word for word in words]


def _directory(seen: Seen) -> str | None:
    path = str((seen.config.get("process") or {}).get("cwd") or "/")
    return None if path == (seen.image.get("WorkingDir") or "/") else path


def _environment(seen: Seen) -> list[Object]:
    of_image = set(strings(seen.image.get("Env"), "Env"))
    found = []
    for word in (seen.config.get("process") or {}).get("env") or []:
        name, _, value = word.partition("=")
        if word in of_image or (name in _OURS and _is_default(name, value)):
            continue
        found.append({"name": name, "value": escaped([value])[0]})
    return found


def _is_default(name: str, value: str) -> bool:
    from rcrun.formats.spec import DEFAULT_PATH

    if name == "HOSTNAME":
        return True
    return value in _DEFAULTS.get(name, ()) or f"{name}={value}" == DEFAULT_PATH


def _lifecycle(seen: Seen) -> Object | None:
    signal = int(seen.record.get("stop_signal") or _TERM)
    if signal == _TERM or name_of(signal) == seen.image.get("StopSignal"):
        return None
    return {"stopSignal": name_of(signal)}


def _health(seen: Seen) -> Object:
    """One whose failures do something is a liveness probe; any other tells whether the container is ready."""
    check = seen.record.get("healthcheck") or {}
    test = list(check.get("Test") or ())
    if not test or test[0] == "NONE" or check == seen.image.get("Healthcheck"):
        return {}
    words = ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else test[1:]
    probe: Object = {"exec": {"command": words}}
    for key, name in (("Interval", "periodSeconds"), ("Timeout", "timeoutSeconds"), ("StartPeriod", "initialDelaySeconds")):  # fmt: skip
        if check.get(key, 0) > 0:
            probe[name] = max(1, -(-check[key] // 10**9))
    if check.get("Retries"):
        probe["failureThreshold"] = check["Retries"]
    return {"livenessProbe" if seen.record.get("health_on_failure") else "readinessProbe": probe}


# ---- rights and limits


def _security(seen: Seen, parts: PodParts) -> Object:
    asked, record = seen.asked, seen.record
    found: Object = dict(_user(seen))
    capabilities = {
        key: [_plain(word) for word in asked[name]]
        for key, name in (("add", "cap_add"), ("drop", "cap_drop"))
        if asked.get(name)
    }
    if capabilities:
        found["capabilities"] = capabilities
    if record.get("privileged"):
        found["privileged"] = True
    if record.get("read_only"):
        found["readOnlyRootFilesystem"] = True
    for word in asked.get("security_opt") or ():
        _add_security(found, word.replace(":", "=", 1) if "=" not in word else word, seen, parts)
    groups = [int(word) for word in asked.get("group_add") or () if word.isdecimal()]
    if groups:
        pod = parts.spec.setdefault("securityContext", {})
        pod["supplementalGroups"] = sorted({*pod.get("supplementalGroups", ()), *groups})
    return found


def _plain(capability: str) -> str:
    return capability.upper().removeprefix("CAP_")


def _user(seen: Seen) -> Object:
    text = str(seen.record.get("user") or "")
    if text == str(seen.image.get("User") or ""):
        return {}
    user = (seen.config.get("process") or {}).get("user") or {}
    found: Object = {"runAsUser": user.get("uid", 0)}
    if ":" in text or user.get("gid"):
        found["runAsGroup"] = user.get("gid", 0)
    return found


def _add_security(found: Object, word: str, seen: Seen, parts: PodParts) -> None:
    key, _, value = word.partition("=")
    if key == "no-new-privileges" and value in ("", "true"):
        found["allowPrivilegeEscalation"] = False
    elif key in ("seccomp", "apparmor") and value == "unconfined":
        found["seccompProfile" if key == "seccomp" else "appArmorProfile"] = {"type": "Unconfined"}
    elif key == "apparmor":
        found["appArmorProfile"] = {"type": "Localhost", "localhostProfile": value}
    elif word in ("unmask=ALL", "systempaths=unconfined"):
        found["procMount"] = "Unmasked"
    elif key == "label" and ":" in value:
        name, _, text = value.partition(":")
        found.setdefault("seLinuxOptions", {})["fileType" if name == "filetype" else name] = text
    else:
        parts.notes.append(f'--security-opt {word} of container "{seen.name}" has no field')


def _resources(seen: Seen) -> Object:
    resources: Any = (seen.config.get("linux") or {}).get("resources") or {}
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    limits: Object = {}
    quota, period = int(cpu.get("quota") or 0), int(cpu.get("period") or 0)
    if quota > 0 and period > 0:
        milli = max(1, -(-quota * 1000 // period))
        limits["cpu"] = str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
    if memory.get("limit"):
        limits["memory"] = _size(int(memory["limit"]))
    for device in seen.asked.get("device") or ():
        if not device.startswith("/"):
            limits[device] = "1"
    found: Object = {"limits": limits} if limits else {}
    if memory.get("reservation"):
        found["requests"] = {"memory": _size(int(memory["reservation"]))}
    return found


def _size(number: int) -> str:
    for power, unit in ((30, "Gi"), (20, "Mi"), (10, "Ki")):
        if number % (1 << power) == 0:
            return f"{number >> power}{unit}"
    return str(number)


# ---- what goes to the pod


def _add_annotations(seen: Seen, parts: PodParts, podman_only: bool) -> None:
    record = seen.record
    parts.annotations.update(seen.config.get("annotations") or {})
    labels = record.get("labels") or {}
    for key in (_UPDATE, f"{_UPDATE}.authfile"):
        if labels.get(key):
            parts.annotations[f"{key}/{seen.name}"] = labels[key]
    if record.get("volumes_from"):
        parts.notes.append(
            f'the volumes from others of container "{seen.name}" are written as its own'
        )
    if podman_only:
        for key, member in (
            ("autoremove", "auto_remove"),
            ("init", "init"),
            ("privileged", "privileged"),
        ):
            if record.get(member):
                parts.annotations[f"{_PREFIX}{key}/{seen.name}"] = "TRUE"
    for secret in record.get("secrets") or ():
        parts.notes.append(f'the secret "{secret["name"]}" of container "{seen.name}" is left out')


def common_parts(seen: Seen, parts: PodParts) -> None:
    """Of a container by itself, whose network and names become the pod's."""
    record, asked, spec = seen.record, seen.asked, parts.spec
    spec["restartPolicy"] = RESTARTS.get(
        (record.get("restart_policy") or {}).get("name", "no"), "Never"
    )
    if int(record.get("stop_timeout", _PATIENCE)) not in (_PATIENCE, -1):
        spec["terminationGracePeriodSeconds"] = int(record["stop_timeout"])
    if (record.get("network") or {}).get("mode") == "host":
        spec["hostNetwork"] = True
    for key, name in (("pid", "hostPID"), ("ipc", "hostIPC")):
        if record.get(key) == "host":
            spec[name] = True
    sysctls = (seen.config.get("linux") or {}).get("sysctl") or {}
    add_names(spec, {**asked, "sysctl": [f"{key}={value}" for key, value in sysctls.items()]})


def add_names(spec: Object, options: Mapping[str, Any]) -> None:
    """The resolver, /etc/hosts and sysctls, of options of `run` or `pod create`."""
    config: Object = {
        "nameservers": list(options.get("dns") or ()),
        "searches": list(options.get("dns_search") or ()),
        "options": [_dns_option(word) for word in options.get("dns_option") or ()],
    }
    if any(config.values()):
        spec["dnsConfig"] = {key: value for key, value in config.items() if value}
    aliases: dict[str, list[str]] = {}
    for word in options.get("add_host") or ():
        names, _, address = word.partition(":")
        if address != "host-gateway":
            aliases.setdefault(address.strip("[]"), []).extend(names.split(";"))
    if aliases:
        spec["hostAliases"] = [{"ip": ip, "hostnames": names} for ip, names in aliases.items()]
    if options.get("sysctl"):
        pairs = [word.partition("=") for word in options["sysctl"]]
        spec.setdefault("securityContext", {})["sysctls"] = [
            {"name": name, "value": value} for name, _, value in pairs
        ]


def _dns_option(word: str) -> Object:
    name, _, value = word.partition(":")
    return {"name": name, "value": value} if value else {"name": name}
