"""`rcrun version`: docker's layout, so that scripts that ask for the API version go on."""

from __future__ import annotations

from rcrun_cli.context import settings
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command()
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
def version(form: str | None) -> None:
    """Print the versions of rcrun and of what it speaks."""
    from rcrun.engine.info import version_data
    from rcrun_cli import output

    data = version_data(settings.personality)
    if form:
        output.print_value(data, form)
    elif settings.personality == "podman":
        output.put(_podman_layout(data["Client"]))
    else:
        output.put(_layout(data))


def _layout(data: dict[str, Any]) -> str:
    lines = ["Client: rcrun"]
    for title in ("Client", "Server"):
        part = data[title]
        rows = {
            "Version": part["Version"],
            "API version": part["ApiVersion"],
            "Python version": part["PythonVersion"],
            "OS/Arch": f"{part['Os']}/{part['Arch']}",
            "Kernel version": part.get("KernelVersion", ""),
        }
        if title == "Server":
            lines += ["", "Server: in the same process"]
        lines += [f" {name + ':':<18}{value}" for name, value in rows.items() if value]
    return "\n".join(lines)


def _podman_layout(client: dict[str, Any]) -> str:
    rows = {
        "Client": "Podman Engine",
        "Version": client["Version"],
        "API Version": client["Version"],
        "Python Version": client["PythonVersion"],
        "OS/Arch": client["OsArch"],
    }
    return "\n".join([f"{name + ':':<16}{value}" for name, value in rows.items()])


def version_line() -> str:
    """What --version prints."""
    from rcrun.engine.info import told_version
    from rcrun.version import VERSION

    if settings.personality == "docker":
        return f"Docker version {told_version('docker')}, build rcrun-{VERSION}"
    return f"{settings.personality} version {told_version(settings.personality)}"
