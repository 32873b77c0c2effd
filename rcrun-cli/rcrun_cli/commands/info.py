"""`rcrun info`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command()
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
def info(form: str | None) -> None:
    """Print what rcrun found on this host."""
    import time

    from rcrun.engine.info import info_data

    data = info_data(context.engine(), context.settings.personality, time.time_ns())
    if form:
        output.print_value(data, form)
        return
    if context.settings.personality == "podman":
        parts = ("host", "plugins", "registries", "store", "version")
        output.put(yaml_text({name: data[name] for name in parts}))
    else:
        output.put(layout(data))
    for warning in data["Warnings"]:
        output.warn(warning)


def layout(data: dict[str, Any]) -> str:
    """Docker's lines, for the part that means something here."""
    from rcrun.formats.size import binary

    host, store = data["host"], data["store"]
    lines = [
        "Server:",
        f" Containers: {data['Containers']}",
        f"  Running: {data['ContainersRunning']}",
        f"  Paused: {data['ContainersPaused']}",
        f"  Stopped: {data['ContainersStopped']}",
    ]
    rows = {
        "Images": data["Images"],
        "Server Version": data["ServerVersion"],
        "Storage Driver": data["Driver"],
        "Logging Driver": data["LoggingDriver"],
        "Cgroup Driver": data["CgroupDriver"],
        "Cgroup Version": data["CgroupVersion"],
        "Cgroup Controllers": " ".join(host["cgroupControllers"]) or "none",
        "Network": host["rootlessNetworkCmd"],
        "Security Options": " ".join(
            word.removeprefix("name=") for word in data["SecurityOptions"]
        ),
        "Rootless": "yes" if host["security"]["rootless"] else "no",
        "User IDs": id_map_text(host["idMappings"]["uidmap"]),
        "Group IDs": id_map_text(host["idMappings"]["gidmap"]),
        "Kernel Version": data["KernelVersion"],
        "Operating System": data["OperatingSystem"],
        "OSType": data["OSType"],
        "Architecture": data["Architecture"],
        "CPUs": data["NCPU"],
        "Total Memory": binary(data["MemTotal"]),
        "Name": data["Name"],
        "Root Dir": data["DockerRootDir"],
        "Live State Dir": store["runRoot"],
    }
    return "\n".join([*lines, *[f" {name}: {value}" for name, value in rows.items()]])


def id_map_text(ranges: list[dict[str, int]]) -> str:
    """`0:1000:1 1:100000:65536`, as --uidmap takes them."""
    return " ".join([f"{one['container_id']}:{one['host_id']}:{one['size']}" for one in ranges])


def yaml_text(value: Any, indent: str = "") -> str:
    """As podman prints it: maps and lists of maps, and what JSON and YAML write alike."""
    import json

    if isinstance(value, dict) and value:
        return "\n".join([f"{indent}{key}:{_yaml_value(value[key], indent)}" for key in value])
    if isinstance(value, list) and value:
        return "\n".join([_yaml_item(item, indent) for item in value])
    return indent + json.dumps(value)


def _yaml_value(value: Any, indent: str) -> str:
    import json

    if isinstance(value, dict) and value:
        return f"\n{yaml_text(value, indent + '  ')}"
    if isinstance(value, list) and value:
        return f"\n{yaml_text(value, indent)}"
    plain = isinstance(value, str) and value and value[0].isalnum()
    if plain and not set(value) & set(":#\n\"'{}[],&*!|>%@`") and not _is_number(value):
        return f" {value}"
    return f" {json.dumps(value, ensure_ascii=False)}"


def _yaml_item(item: Any, indent: str) -> str:
    if isinstance(item, dict) and item:
        return f"{indent}- {yaml_text(item, indent + '  ').lstrip()}"
    return f"{indent}-{_yaml_value(item, indent)}"


def _is_number(text: str) -> bool:
    """Or another word that YAML would take for something else than a text."""
    if text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "nan", "inf"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
