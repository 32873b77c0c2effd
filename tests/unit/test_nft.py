"""The batch of rules as netlink frames it; what the rules do is in tests/network."""

from __future__ import annotations

from struct import unpack_from

import pytest

from rcrun.network import nft

BEGIN, END, NEW_RULE = 16, 17, 0xA06


def messages(data: bytes) -> list[tuple[int, int, bytes]]:
    """Type, flags and body of each; every length is that of what it holds."""
    found, at = [], 0
    while at < len(data):
        length, kind, flags, number, _ = unpack_from("=IHHII", data, at)
        assert length % 4 == 0
        assert number == len(found)
        found.append((kind, flags, data[at + 20 : at + length]))
        at += length
    assert at == len(data)
    return found


def attributes(data: bytes) -> None:
    at = 0
    while at < len(data):
        length, kind = unpack_from("=HH", data, at)
        assert 4 <= length <= len(data) - at
        if kind & 0x8000:
            attributes(data[at + 4 : at + length])
        at += length + -length % 4


@pytest.mark.parametrize("transparent", [True, False])
def test_frames(transparent: bool) -> None:
    bridges = [
        nft.Bridge("br0", [bytes([10, 89, 0, 1]), bytes(16)]),
        nft.Bridge("br1", [bytes([10, 89, 1, 1])], internal=True),
        nft.Bridge("br2", [], isolated=False),
    ]
    found = messages(nft.batch(bridges, transparent=transparent))
    assert (found[0][0], found[-1][0]) == (BEGIN, END)
    for _, _, body in found[1:-1]:
        attributes(body)
    answered = [index for index, (_, flags, _) in enumerate(found) if flags & 4]
    assert answered == [len(found) - 2]  # one answer, after all that could fail
    rules = [body for kind, _, body in found if kind == NEW_RULE]
    # masquerade, marks; of each network its addresses and the two protocols; both ways of those that are kept apart
    assert len(rules) == 1 + transparent + (2 + 2) + (1 + 2) + 2 + 2 * 2
    assert any(b"masq\0" in rule for rule in rules)
    assert any(b"socket\0" in rule for rule in rules) == transparent
