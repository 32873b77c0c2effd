"""Subnets as numbers, against the ipaddress module."""

from __future__ import annotations

import ipaddress
import random

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import cidr


@pytest.mark.parametrize("seed", range(50))
def test_as_the_ipaddress_module(seed: int) -> None:
    chance = random.Random(seed)
    bits = chance.choice((32, 128))
    address = cidr.text_of(chance.getrandbits(bits), bits)
    prefix = chance.randrange(bits + 1)
    ours, theirs = cidr.parse(f"{address}/{prefix}"), ipaddress.ip_network(f"{address}/{prefix}", strict=False)  # fmt: skip
    assert str(ours) == str(theirs)
    assert (ours.first, ours.last) == (int(theirs.network_address), int(theirs.broadcast_address))
    other = cidr.Subnet(ours.first, max(0, prefix - 1), bits)
    assert ours.overlaps(ours)
    assert other.overlaps(ours) or prefix == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0/24",
        "::/129",
        "x/8",
        "10.0.0.0/-1",
        "1.2.3.4/٣",
    ],
)
def test_what_is_no_subnet(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        cidr.parse(text)
    with pytest.raises(InvalidInput, match="--subnet"):
        cidr.checked(text, "--subnet")


def test_the_addresses_that_members_have() -> None:
    assert cidr.parse("10.89.0.0/24").usable() == (0x0A590001, 0x0A5900FE)
    assert cidr.parse("fd00::/64").usable() == (0xFD << 120 | 1, (0xFD << 120) + 2**64 - 1)
