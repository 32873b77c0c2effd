"""Functions of other notations: JSON, CSV, base64, digests, addresses, identifiers."""

from __future__ import annotations

from rcrun.formats.bake.values import Fault, from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any


def _from_base64(text: str) -> str:
    import base64
    import binascii

    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Fault(f"this is no text in base64: {error}") from error


def _to_base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


def _digest(algorithm: str) -> Callable[[str], str]:
    def made(text: str) -> str:
        import hashlib

        return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()

    return made


def _from_csv(text: str) -> list[Any]:
    import csv

    rows = list(csv.reader(text.splitlines(), strict=True))
    if not rows:
        raise Fault("the first line has the names of the columns")
    if any(len(row) != len(rows[0]) for row in rows):
        raise Fault("not every line has as many columns as the first")
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _url(text: str) -> str:
    from urllib.parse import quote_plus

    return quote_plus(text, safe="")


def _random_uuid() -> str:
    import uuid

    return str(uuid.uuid4())


def _named_uuid(namespace: str, name: str) -> str:
    import uuid

    known = {
        "dns": uuid.NAMESPACE_DNS,
        "url": uuid.NAMESPACE_URL,
        "oid": uuid.NAMESPACE_OID,
        "x500": uuid.NAMESPACE_X500,
    }
    try:
        return str(uuid.uuid5(known.get(namespace) or uuid.UUID(namespace), name))
    except ValueError:
        raise Fault(f'"{namespace}" is no namespace', "use dns, url, oid, x500 or a UUID") from None


# ---- addresses


def _network(text: str) -> IPv4Network | IPv6Network:
    import ipaddress

    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Fault(f'"{text}" is no network', "write ADDRESS/BITS") from None


def _host(prefix: str, number: int) -> str:
    network = _network(prefix)
    if not -network.num_addresses <= number < network.num_addresses:
        raise Fault(f'"{prefix}" has no host {number}')
    return str(network[number])


def _netmask(prefix: str) -> str:
    network = _network(prefix)
    if network.version != 4:
        raise Fault("only networks of IPv4 have a mask")
    return str(network.netmask)


def _subnet(prefix: str, bits: int, number: int) -> str:
    network = _network(prefix)
    size = network.prefixlen + bits
    if not (bits >= 0 and size <= network.max_prefixlen and 0 <= number < 1 << bits):
        raise Fault(f'"{prefix}" has no subnet {number} of {bits} more bits')
    first = int(network.network_address) + (number << (network.max_prefixlen - size))
    return str(type(network)((first, size)))


def _subnets(prefix: str, *more: int) -> list[str]:
    network = _network(prefix)
    at = int(network.network_address)
    made = []
    for bits in more:
        size = network.prefixlen + bits
        if not network.prefixlen < size <= network.max_prefixlen:
            raise Fault(f'"{prefix}" has no subnets of {bits} more bits')
        step = 1 << (network.max_prefixlen - size)
        at = -(-at // step) * step
        if at + step - 1 > int(network.broadcast_address):
            raise Fault(f'"{prefix}" has no room for all of them')
        made.append(str(type(network)((at, size))))
        at += step
    return made


TABLE: dict[str, tuple[str, Callable[..., Any]]] = {
    "base64decode": ("s", _from_base64),
    "base64encode": ("s", _to_base64),
    "cidrhost": ("si", _host),
    "cidrnetmask": ("s", _netmask),
    "cidrsubnet": ("sii", _subnet),
    "cidrsubnets": ("s*i", _subnets),
    "csvdecode": ("s", _from_csv),
    "jsondecode": ("s", from_json),
    "jsonencode": ("a", to_json),
    "md5": ("s", _digest("md5")),
    "sha1": ("s", _digest("sha1")),
    "sha256": ("s", _digest("sha256")),
    "sha512": ("s", _digest("sha512")),
    "urlencode": ("s", _url),
    "uuidv4": ("", _random_uuid),
    "uuidv5": ("ss", _named_uuid),
}
