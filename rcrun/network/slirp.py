"""The command line of slirp4netns, the fallback where there is no pasta. Pure."""

from __future__ import annotations

import os
import sys

from rcrun.errors import InvalidInput
from rcrun.network.pasta import ADDRESS, INTERFACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Port = Mapping[str, Any]

_FORWARDER = f"{os.path.dirname(__file__)}/slirp_ports.py"
# podman's words behind `--network slirp4netns:`
_VALUES = {"cidr": "--cidr", "mtu": "--mtu", "outbound_addr": "--outbound-addr",
           "outbound_addr6": "--outbound-addr6"}  # fmt: skip
_SWITCHES = ("allow_host_loopback", "enable_ipv6")


def words(ports: Sequence[Port], options: Sequence[str], live_dir: str, program: str) -> list[str]:
    """Its words; with ports those of a small program before it, which becomes it and asks it for them."""
    own = [program, *option_words(options)]
    if not ports:
        return [*own, "--ready-fd=@READY@", "@PID@", INTERFACE]
    for port in ports:
        if ":" in port["host_ip"]:
            raise InvalidInput(
                f"cannot publish a port on [{port['host_ip']}]: slirp4netns knows IPv4 only",
                "install passt: sudo apt-get install passt",
            )
    python = [sys.executable or "/usr/bin/python3", "-BIS", _FORWARDER]
    asked = ",".join(_request(port) for port in ports)
    return [*python, "@READY@", live_dir, asked, *own, "@PID@", INTERFACE]


def can_publish(ports: Sequence[Port]) -> bool:
    return not any(":" in port["host_ip"] for port in ports)


def _request(port: Port) -> str:
    """PROTOCOL/HOST_ADDRESS/HOST_PORT/CONTAINER_ADDRESS/CONTAINER_PORT"""
    host = port["host_ip"] or "0.0.0.0"
    numbers = (port["protocol"], host, port["host_port"], ADDRESS, port["container_port"])
    return "/".join(map(str, numbers))


def option_words(options: Sequence[str]) -> list[str]:
    """podman's `key=value`, or slirp4netns's own words as they are."""
    found: list[str] = []
    switches = {"allow_host_loopback": "false", "enable_ipv6": "true"}
    for option in options:
        key, _, value = option.partition("=")
        if option.startswith("-"):
            found.append(option)
        elif key in _VALUES and value:
            found.append(f"{_VALUES[key]}={value}")
        elif key in _SWITCHES and value in ("true", "false"):
            switches[key] = value
        elif key != "port_handler":
            raise InvalidInput(
                f'unknown option "{option}" of --network slirp4netns',
                f"use one of: {', '.join([*_VALUES, *_SWITCHES])}",
            )
    if not any(word.startswith("--mtu") for word in found):
        found.append("--mtu=65520")
    loopback = [] if switches["allow_host_loopback"] == "true" else ["--disable-host-loopback"]
    ip6 = ["--enable-ipv6"] if switches["enable_ipv6"] == "true" else []
    return ["--configure", "--enable-sandbox", "--enable-seccomp", *loopback, *ip6, *found]
