"""`linux.netDevices` as a helper of the plan: devices that move into the container's network. Pure, and cold."""

from __future__ import annotations

import os
import sys

from rcrun.errors import HostLacks, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.formats.spec import NetDevice
    from rcrun.runtime.host import Host
    from rcrun.runtime.plan_namespaces import Namespaces

MOVER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "network/movedevices.py"
)
_MOST_BYTES = 15  # IFNAMSIZ without its NUL


def device_helpers(
    devices: Mapping[str, NetDevice], host: Host, namespaces: Namespaces
) -> list[list[str]]:
    if not devices:
        return []
    if "network" not in namespaces:
        raise InvalidInput(
            '"linux.netDevices" needs a network namespace',
            'add {"type": "network"} to "linux.namespaces"',
        )
    if host.identity.kind != "root":
        raise HostLacks(
            '"linux.netDevices" needs root: the kernel lets nobody else move a device of the host',
            'run it as root, or remove "linux.netDevices" from config.json',
        )
    words: list[str] = []
    for name, device in devices.items():
        new = (device or {}).get("name") or name
        _check(name)
        _check(new)
        if new in words[1::2]:
            raise InvalidInput(f'two devices of "linux.netDevices" have the name "{new}"')
        words += [name, new]
    # it ends once they are there, so there is no process to stop and no file with its pid
    return [["helper", "/dev/null", sys.executable, "-BIS", MOVER, "@PID@", *words]]


def _check(name: str) -> None:
    """As the kernel does it (dev_valid_name), and what its templates may hold."""
    is_odd = any(char.isspace() or char in "/:" for char in name)
    template = name.replace("%d", "", 1)
    if is_odd or name in ("", ".", "..") or "%" in template or len(name.encode()) > _MOST_BYTES:
        raise InvalidInput(f'"{name}" in "linux.netDevices" is no name of a network device')
