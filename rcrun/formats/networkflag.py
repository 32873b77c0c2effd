"""`--network NAME[:KEY=VALUE,…]` of a network that others share, and docker's `name=NAME,KEY=VALUE,…`. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.cidr import checked_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT = "bridge"  # docker's word; podman's is the other one
OTHER_DEFAULT = "podman"
_KEYS = "alias, interface_name, ip, ip6, mac, mtu"


def canonical(name: str) -> str:
    return DEFAULT if name == OTHER_DEFAULT else name


def parse(text: str) -> dict[str, Any]:
    """`name`, `aliases`, and what was asked for of `ip ip6 mac interface mtu`."""
    name, words = _split(text)
    found: dict[str, Any] = {"name": canonical(name), "aliases": []}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise InvalidInput(
                f'invalid --network "{text}"', f"write NAME:KEY=VALUE; keys: {_KEYS}"
            )
        _set(found, key, value, text)
    return found


def _split(text: str) -> tuple[str, list[str]]:
    if text.startswith("name="):
        name, _, rest = text.removeprefix("name=").partition(",")
    else:
        name, _, rest = text.partition(":")
    return name, [word for word in rest.split(",") if word]


def _set(found: dict[str, Any], key: str, value: str, text: str) -> None:
    if key == "alias":
        found["aliases"].append(value)
    elif key in ("ip", "ip6"):
        address = checked_address(value, f"--network {key}")
        found["ip6" if ":" in address else "ip"] = address
    elif key in ("mac", "mac-address", "mac_address"):
        found["mac"] = checked_mac(value, "--network mac")
    elif key in ("interface_name", "interface"):
        found["interface"] = checked_interface(value)
    elif key in ("mtu", "driver-opt"):
        _set_option(found, value if key == "driver-opt" else f"mtu={value}", text)
    else:
        raise InvalidInput(f'invalid --network "{text}": unknown key "{key}"', f"keys: {_KEYS}")


def _set_option(found: dict[str, Any], word: str, text: str) -> None:
    key, _, value = word.partition("=")
    if key == "com.docker.network.endpoint.ifname":
        found["interface"] = checked_interface(value)
    elif key in ("mtu", "com.docker.network.driver.mtu"):
        found["mtu"] = checked_mtu(value)
    else:
        raise InvalidInput(f'invalid --network "{text}": unknown option "{key}"')


def checked_mac(text: str, flag: str) -> str:
    parts = text.lower().replace("-", ":").split(":")
    digits = "0123456789abcdef"
    if len(parts) != 6 or any(len(part) != 2 or part.strip(digits) for part in parts):
        raise InvalidInput(f'invalid {flag} "{text}"', "write it as 02:42:0a:59:00:05")
    if int(parts[0], 16) & 1:
        raise InvalidInput(f'invalid {flag} "{text}": it is an address of a group')
    return ":".join(parts)


def checked_interface(text: str) -> str:
    bad = any(c.isspace() or c in "/:%" for c in text)
    if not text or len(text.encode()) > 15 or bad or text in (".", "..", "lo"):
        raise InvalidInput(
            f'invalid interface name "{text}"', "use 1 to 15 characters without / and blanks"
        )
    return text


def checked_mtu(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 68 <= int(text) <= 65535:
        raise InvalidInput(f'invalid mtu "{text}"', "it is a number from 68 to 65535")
    return int(text)
