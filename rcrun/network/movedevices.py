"""Devices of the host's network go into a container's: `python -BIS movedevices.py PID HOST_NAME NAME…`.

config-linux.md, "Network Devices": their lasting global addresses go with them, and they are up there. All of them are
moved or none: what was moved before one failed comes back. Once the container ends the kernel gives hardware back to the
host, and takes virtual devices apart.
"""

from __future__ import annotations

import ctypes
import os
import sys

try:
    from pyroute2 import IPRoute, NetlinkError  # run by itself, never imported hot
except ImportError:  # started with -S: it may be where only site looks
    import site

    site.main()
    from pyroute2 import IPRoute, NetlinkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_CLONE_NEWNET = 0x40000000
_IFA_F_PERMANENT, _RT_SCOPE_UNIVERSE = 0x80, 0
_KEPT = ("IFA_ADDRESS", "IFA_LOCAL", "IFA_BROADCAST", "IFA_ANYCAST", "IFA_FLAGS", "IFA_RT_PRIORITY")
_libc = ctypes.CDLL(None, use_errno=True)


class Device:
    """One on its way: what the host calls it, what the container will, and the addresses that it had."""

    def __init__(self, host_name: str, name: str) -> None:
        self.host_name = host_name
        self.name = name
        self.addresses: list[Any] = []
        self.index = 0  # in the namespace that it is in


def move(pid: int, devices: Sequence[Device]) -> None:
    """Of a process whose network they shall be in."""
    ours = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    theirs = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with IPRoute() as here:
        _enter(theirs)
        with IPRoute() as there:
            for device in devices:
                _look(here, device)
            _all_or_none(here, there, devices, ours, theirs)


def _look(network: Any, device: Device) -> None:
    found = network.link_lookup(ifname=device.host_name)
    if not found:
        raise LookupError(f'there is no network device "{device.host_name}"')
    device.index = found[0]
    device.addresses = [
        address
        for address in network.get_addr(index=device.index)
        if address["scope"] == _RT_SCOPE_UNIVERSE and _flags(address) & _IFA_F_PERMANENT
    ]


def _flags(address: Any) -> int:
    """The whole of them: the header has room for eight bits."""
    flags: int = address.get_attr("IFA_FLAGS") or address["flags"]
    return flags


def _all_or_none(here: Any, there: Any, devices: Sequence[Device], ours: int, theirs: int) -> None:
    moved: list[Device] = []
    try:
        for device in devices:
            _send(here, there, device, device.name, theirs)
            moved.append(device)
            _set_up(there, device)
    except BaseException:
        for device in reversed(moved):
            _send(there, here, device, device.host_name, ours)
            _set_up(here, device)
        raise


def _send(source: Any, target: Any, device: Device, name: str, namespace: int) -> None:
    """The kernel keeps its number where that is free, and fills in what `%d` stands for."""
    if target.link_lookup(ifname=name):
        raise LookupError(f'there is a network device "{name}" already')
    before = {link["index"] for link in target.get_links()}
    source.link("set", index=device.index, ifname=name, net_ns_fd=namespace)
    prefix, template, suffix = name.partition("%d")
    for link in target.get_links():
        is_it = link.get_attr("IFLA_IFNAME")
        fits = is_it.startswith(prefix) and is_it.endswith(suffix) if template else is_it == name
        if fits and link["index"] not in before:
            device.index = link["index"]


def _set_up(network: Any, device: Device) -> None:
    for address in device.addresses:
        attributes = {name: address.get_attr(name) for name in _KEPT}
        network.addr(
            "replace",
            index=device.index,
            family=address["family"],
            prefixlen=address["prefixlen"],
            **{
                name.removeprefix("IFA_").lower(): value
                for name, value in attributes.items()
                if value is not None
            },
        )
    network.link("set", index=device.index, state="up")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def main(words: Sequence[str]) -> int:
    """What went wrong is for the shim's report, which takes it from standard error."""
    pid, *names = words
    devices = [Device(*pair) for pair in zip(names[::2], names[1::2], strict=True)]
    at = " ".join(f'"{name}"' for name in names[::2])
    try:
        move(int(pid), devices)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
    except NetlinkError as error:
        print(f"cannot move {at}: {os.strerror(error.code).lower()}", file=sys.stderr)
    except OSError as error:
        print(f"cannot move {at}: {error.strerror}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
