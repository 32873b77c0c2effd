"""The rules of the room as one batch for nf_tables, which the kernel takes whole or not at all. Pure.

    table inet rcrun {
        prerouting:  socket transparent 1 meta mark set 1
        postrouting: oifname "eth0" masquerade
        input:       of each network: its own addresses; no other network's server of names
        forward:     an isolated or internal network reaches no other one; an internal one nobody
    }

The nft program would be one more thing to install, and pyroute2 takes longer to import than a start may.
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE, OUTSIDE = "rcrun", "eth0"
_ACK, _CREATE, _REQUEST, _APPEND = 4, 0x400, 1, 0x800
_NESTED = 0x8000
_BEGIN, _END = 16, 17  # NFNL_MSG_BATCH_…
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = 0xA00, 0xA02, 0xA03, 0xA06
_INET = 1  # NFPROTO_INET
_PREROUTING, _INPUT, _FORWARD, _POSTROUTING = 0, 1, 2, 4
_EQUAL, _DIFFERENT = 0, 1
_INPUT_NAME, _OUTPUT_NAME, _PROTOCOL, _L4 = 6, 7, 15, 16  # NFT_META_…
_VERDICT_REGISTER, _REGISTER = 0, 1
_DROP, _ACCEPT = 0, 1
_MARK_KEY = 3
MARK, MARK_TABLE = 1, 100
_DNS = (53).to_bytes(2, "big")


class Bridge:
    """What the rules must know of a network: its bridge, that one's addresses as packed bytes."""

    __slots__ = ("addresses", "internal", "isolated", "name")

    def __init__(
        self,
        name: str,
        addresses: Sequence[bytes],
        *,
        isolated: bool = True,
        internal: bool = False,
    ) -> None:
        self.name = name
        self.addresses = addresses
        self.isolated = isolated
        self.internal = internal


def batch(bridges: Sequence[Bridge], *, transparent: bool = True) -> bytes:
    """The table as it shall be, in the place of the one that is there.

    `transparent`: answers to the client whose address the port proxy speaks from are for the proxy; they are marked,
    and a rule of the routes has marked packets delivered here.
    """
    table = _text(1, TABLE)
    chains = [
        _chain("postrouting", _POSTROUTING, 100, "nat"),
        _chain("input", _INPUT, 0, "filter"),
        _chain("forward", _FORWARD, 0, "filter"),
    ]
    if transparent:
        chains.append(_chain("prerouting", _PREROUTING, -150, "filter"))
    rules = [
        *([_rule("prerouting", _transparent() + _set_mark())] if transparent else []),
        _rule("postrouting", _name(_OUTPUT_NAME, OUTSIDE) + _expression("masq", b"")),
        *[rule for bridge in bridges for rule in _input_rules(bridge)],
        *[rule for bridge in bridges for rule in _forward_rules(bridge)],
    ]
    messages = [
        (_NEW_TABLE, table),  # so that there is one to delete
        (_DELETE_TABLE, table),
        (_NEW_TABLE, table),
        *[(_NEW_CHAIN, chain) for chain in chains],
        *[(_NEW_RULE, rule) for rule in rules],
    ]
    parts = [_message(_BEGIN, 0, pack(">BBH", 0, 0, 10))]
    for number, (kind, body) in enumerate(messages, 1):
        flags = _CREATE if kind != _DELETE_TABLE else 0
        flags |= _APPEND if kind == _NEW_RULE else 0
        flags |= _ACK if number == len(messages) else 0
        parts.append(_message(kind, number, pack(">BBH", _INET, 0, 0) + body, flags))
    parts.append(_message(_END, len(messages) + 1, pack(">BBH", 0, 0, 10)))
    return b"".join(parts)


def _input_rules(bridge: Bridge) -> list[bytes]:
    """Names are asked of the own network's server alone."""
    ours = _name(_INPUT_NAME, bridge.name)
    rules = [
        _rule("input", ours + _to(address) + _verdict(_ACCEPT)) for address in bridge.addresses
    ]
    for protocol in (6, 17):
        asks = _meta(_L4) + _compare(_EQUAL, bytes([protocol])) + _port() + _compare(_EQUAL, _DNS)
        rules.append(_rule("input", ours + asks + _verdict(_DROP)))
    return rules


def _forward_rules(bridge: Bridge) -> list[bytes]:
    ways = ((_INPUT_NAME, _OUTPUT_NAME), (_OUTPUT_NAME, _INPUT_NAME))
    rules = []
    for here, there in ways if bridge.isolated or bridge.internal else ():
        others = _name(here, bridge.name) + _name(there, bridge.name, _DIFFERENT)
        if not bridge.internal:
            others += _name(there, OUTSIDE, _DIFFERENT)
        rules.append(_rule("forward", others + _verdict(_DROP)))
    return rules


# Netlink's own shapes.


def _message(kind: int, number: int, body: bytes, flags: int = 0) -> bytes:
    return pack("=IHHII", 16 + len(body), kind, flags | _REQUEST, number, 0) + body


def _attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return pack("=HH", length, kind) + data + b"\0" * (-length % 4)


def _nest(kind: int, data: bytes) -> bytes:
    return _attribute(kind | _NESTED, data)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, value.to_bytes(4, "big", signed=value < 0))


def _chain(name: str, hook: int, priority: int, kind: str) -> bytes:
    place = _nest(4, _number(1, hook) + _number(2, priority))
    return _text(1, TABLE) + _text(3, name) + place + _text(7, kind)


def _rule(chain: str, expressions: bytes) -> bytes:
    return _text(1, TABLE) + _text(2, chain) + _nest(4, expressions)


def _expression(name: str, data: bytes) -> bytes:
    return _nest(1, _text(1, name) + _nest(2, data))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(2, key) + _number(1, _REGISTER))


def _compare(operation: int, value: bytes) -> bytes:
    data = _nest(3, _attribute(1, value))
    return _expression("cmp", _number(1, _REGISTER) + _number(2, operation) + data)


def _name(key: int, interface: str, operation: int = _EQUAL) -> bytes:
    return _meta(key) + _compare(operation, interface.encode().ljust(16, b"\0"))


def _payload(base: int, offset: int, length: int) -> bytes:
    numbers = ((1, _REGISTER), (2, base), (3, offset), (4, length))
    return _expression("payload", b"".join(_number(*each) for each in numbers))


def _to(address: bytes) -> bytes:
    """Packets for this address."""
    family, offset = (2, 16) if len(address) == 4 else (10, 24)
    protocol = _meta(_PROTOCOL) + _compare(_EQUAL, bytes([family]))
    return protocol + _payload(1, offset, len(address)) + _compare(_EQUAL, address)


def _transparent() -> bytes:
    """Packets for a socket of ours that has an address of somebody else."""
    return _expression("socket", _number(1, 0) + _number(2, _REGISTER)) + _compare(_EQUAL, b"\1")


def _set_mark() -> bytes:
    value = _nest(2, _attribute(1, pack("=I", MARK)))
    load = _expression("immediate", _number(1, _REGISTER) + value)
    return load + _expression("meta", _number(2, _MARK_KEY) + _number(3, _REGISTER))


def _port() -> bytes:
    return _payload(2, 2, 2)


def _verdict(code: int) -> bytes:
    verdict = _nest(2, _nest(2, _number(1, code)))
    return _expression("immediate", _number(1, _VERDICT_REGISTER) + verdict)
