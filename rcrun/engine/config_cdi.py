"""Devices by their CDI names: what the specification files of a host say becomes part of config.json. Pure but for the files that `Facts` reads."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun.formats import cdi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.spec import Spec

    Object = dict[str, Any]

GPU = "nvidia.com/gpu"
_HINT_GPU = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


def folders(options: Options, facts: Facts) -> list[str]:
    """Later ones win over earlier ones."""
    given = list(options.get("cdi_spec_dir") or ())
    if given:
        return given
    home = facts.environ.get("XDG_CONFIG_HOME") or f"{facts.environ.get('HOME', '')}/.config"
    return ["/etc/cdi", "/var/run/cdi", f"{home}/cdi"]


def specifications(options: Options, facts: Facts) -> list[Object]:
    """Every file that can be read; one that is damaged is an error, since a device may be in it."""
    found = []
    for folder in folders(options, facts):
        for name in facts.list_dir(folder):
            if name.endswith((".json", ".yaml", ".yml")):
                path = f"{folder}/{name}"
                found.append(cdi.parse(facts.read(path), path))
    return found


def add_named(document: Spec, names: Iterable[str], options: Options, facts: Facts) -> None:
    known = specifications(options, facts)
    used: list[Object] = []
    for name in names:
        kind, _, device_name = name.partition("=")
        files = [spec for spec in known if spec["kind"] == kind]
        matches = [
            (spec, device)
            for spec in files
            for device in spec["devices"]
            if device["name"] == device_name
        ]
        if not matches:
            raise _missing(name, kind, files, options, facts)
        spec, device = matches[-1]
        if not any(spec is other for other in used):
            used.append(spec)
            _apply(document, spec.get("containerEdits") or {}, facts, name)
        _apply(document, device.get("containerEdits") or {}, facts, name)


def _missing(
    name: str, kind: str, files: Sequence[Object], options: Options, facts: Facts
) -> NotFound:
    """What was looked for, where, and what is there."""
    places = ", ".join([f'"{folder}"' for folder in folders(options, facts)])
    there = [f"{kind}={device['name']}" for spec in files for device in spec["devices"]]
    if there:
        return NotFound(
            f'no such device: "{name}" is in none of {places}', f"there are: {', '.join(there)}"
        )
    hint = _HINT_GPU if kind == GPU else f"a file in /etc/cdi must describe devices of {kind}"
    return NotFound(f'no such device: no specification of "{kind}" is in {places}', hint)


def _apply(document: Spec, edits: Object, facts: Facts, name: str) -> None:
    process: Object = document["process"]  # type: ignore[assignment]
    for word in edits.get("env") or ():
        key = word.partition("=")[0]
        process["env"] = [w for w in process["env"] if w.partition("=")[0] != key] + [word]
    for node in edits.get("deviceNodes") or ():
        _add_node(document, node, facts, name)
    for mount in edits.get("mounts") or ():
        document["mounts"].append(
            {
                "destination": mount["containerPath"],
                "type": mount.get("type") or "bind",
                "source": mount["hostPath"],
                "options": list(mount.get("options") or ["rbind", "nosuid", "nodev", "ro"]),
            }
        )
    for hook in edits.get("hooks") or ():
        _add_hook(document, hook)
    groups = edits.get("additionalGids") or []
    if groups and not facts.rootless:
        user: Object = process["user"]
        user["additionalGids"] = sorted({*(user.get("additionalGids") or []), *groups})


def _add_hook(document: Spec, hook: Object) -> None:
    whole: Object = document  # type: ignore[assignment]
    made = {"path": hook["path"]}
    for key in ("args", "env", "timeout"):
        if hook.get(key):
            made[key] = hook[key]
    whole.setdefault("hooks", {}).setdefault(hook["hookName"], []).append(made)


def _add_node(document: Spec, node: Object, facts: Facts, name: str) -> None:
    import stat

    from rcrun.engine.config_devices import add_node, bind_device, make_device

    source, target = node.get("hostPath") or node["path"], node["path"]
    status = facts.stat(source)
    if status is None:
        raise InvalidInput(
            f'cannot give the device "{name}": its node "{source}" does not exist on this host',
            "write its specification anew: " + _HINT_GPU if name.startswith(GPU) else None,
        )
    permissions = node.get("permissions") or "rwm"
    if facts.rootless:
        bind_device(document, source, target, writable="w" in permissions)
    elif node.get("type") and "major" in node:
        keys = ("type", "major", "minor", "fileMode", "uid", "gid")
        made = {"path": target, **{key: node[key] for key in keys if node.get(key) is not None}}
        made.setdefault("minor", 0)
        made.setdefault("fileMode", stat.S_IMODE(status.st_mode))
        add_node(document, made, permissions)
    else:
        make_device(document, target, permissions, status, name)


# ---- --gpus


def gpu_names(text: str, options: Options, facts: Facts) -> list[str]:
    """`all`, a number, `device=0,1` or docker's CSV (`"device=0,1",capabilities=utility`)."""
    count, devices = _asked_gpus(text)
    if devices:
        return [f"{GPU}={name}" for name in devices]
    if count == "all":
        return [f"{GPU}=all"]
    known = [
        device["name"]
        for spec in specifications(options, facts)
        if spec["kind"] == GPU
        for device in spec["devices"]
        if device["name"].isdecimal()
    ]
    wanted = int(count)
    if len(known) < wanted and known:
        raise NotFound(f"--gpus {text}: there are {len(known)} GPUs", f"--gpus {len(known)}")
    return [f"{GPU}={name}" for name in (known[:wanted] or ["0"])]


def _asked_gpus(text: str) -> tuple[str, list[str]]:
    import csv

    fields = next(csv.reader([text], skipinitialspace=True), [])
    count, devices = "", []
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals and (field == "all" or (field.isdecimal() and int(field) > 0)):
            count = field
        elif key == "count" and (value in ("all", "-1") or value.isdecimal()):
            count = "all" if value == "-1" else value
        elif key == "device" and value:
            devices += value.split(",")
        elif key == "driver" and value in ("nvidia", "cdi"):
            continue
        elif key == "capabilities":
            continue  # a CDI device has what its specification gives it
        elif devices and not equals:
            devices.append(field)  # device=0,1 without docker's quotes
        else:
            raise InvalidInput(f'invalid --gpus "{text}"', "write all, a number, or device=0,1")
    if bool(count) == bool(devices):
        count = count or "all"
        if devices:
            raise InvalidInput(f'invalid --gpus "{text}": a count and devices')
    return count, devices
