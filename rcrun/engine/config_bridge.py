"""`--network` of networks that containers share, as container.json keeps it. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import networkflag
from rcrun.formats.cidr import checked_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options


def bridge_record(
    options: Options, facts: Facts, ports: list[dict[str, str | int]], *, is_chosen: bool = True
) -> dict[str, Any]:
    given = options["network"]
    asked = [networkflag.parse(text) for text in ([given] if isinstance(given, str) else given)]
    _refuse_twice(asked)
    _add_single(options, asked)
    for each in asked:
        definition = facts.network(each["name"])  # NotFound
        if options.get("interface_from_network") and definition.get("network_interface"):
            each.setdefault("interface", definition["network_interface"])
    return {
        "mode": "bridge",
        "chosen": is_chosen,
        "options": [],
        "ports": ports,
        "aliases": asked[0]["aliases"],
        "networks": asked,
        "endpoints": {},
        "resolv": {
            "servers": [
                checked_address(each, "--dns")
                for each in options.get("dns") or ()
                if each != "none"
            ],
            "search": list(options.get("dns_search") or ()),
            "options": list(options.get("dns_option") or ()),
        },
    }


def _refuse_twice(asked: list[dict[str, Any]]) -> None:
    for key, what in (("name", "network"), ("interface", "interface"), ("mac", "mac")):
        seen = [each[key] for each in asked if each.get(key)]
        for value in seen:
            if seen.count(value) > 1:
                raise InvalidInput(f'--network: {what} "{value}" is given twice')


def _add_single(options: Options, asked: list[dict[str, Any]]) -> None:
    """The options that are for the only network there is."""
    aliases = list(options.get("network_alias") or ())
    given = {
        "--ip": options.get("ip"),
        "--ip6": options.get("ip6"),
        "--mac-address": options.get("mac_address"),
    }
    for flag, value in given.items():
        if value and len(asked) > 1:
            raise InvalidInput(
                f"{flag} is for a container on one network",
                f"write it with the network: --network {asked[0]['name']}:{flag[2:]}={value}",
            )
    if given["--ip"]:
        asked[0]["ip"] = checked_address(str(given["--ip"]), "--ip", 32)
    if given["--ip6"]:
        asked[0]["ip6"] = checked_address(str(given["--ip6"]), "--ip6", 128)
    if given["--mac-address"]:
        asked[0]["mac"] = networkflag.checked_mac(str(given["--mac-address"]), "--mac-address")
    for each in asked:
        each["aliases"] = list(dict.fromkeys([*each["aliases"], *aliases]))
        for alias in each["aliases"]:
            _check_alias(alias)


def _check_alias(alias: str) -> None:
    if not alias or any(c.isspace() or c == "#" for c in alias) or not alias.isprintable():
        raise InvalidInput(f'invalid alias "{alias}": it is not a name')
