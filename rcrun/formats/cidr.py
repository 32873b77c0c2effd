"""IP addresses and subnets as numbers: the ipaddress module costs more to import than a start may. Pure."""

from __future__ import annotations

import _socket

from rcrun.errors import InvalidInput


class Subnet:
    """`first` is the network's address as a number, `bits` are 32 or 128."""

    __slots__ = ("bits", "first", "prefix")

    def __init__(self, first: int, prefix: int, bits: int) -> None:
        self.first = first
        self.prefix = prefix
        self.bits = bits

    @property
    def last(self) -> int:
        return self.first + (1 << (self.bits - self.prefix)) - 1

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def overlaps(self, other: Subnet) -> bool:
        return self.bits == other.bits and self.first <= other.last and other.first <= self.last

    def text_of(self, number: int) -> str:
        return text_of(number, self.bits)

    def __str__(self) -> str:
        return f"{self.text_of(self.first)}/{self.prefix}"

    def usable(self) -> tuple[int, int]:
        """The first and the last address that a member may have; a subnet of one or two has no others."""
        if self.bits - self.prefix <= 1:
            return self.first, self.last
        return self.first + 1, self.last - (self.bits == 32)


def number_of(text: str) -> tuple[int, int]:
    """An address as a number, and how many bits it has; ValueError for no address."""
    family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
    try:
        packed = _socket.inet_pton(family, text)
    except (OSError, ValueError):
        raise ValueError(f'"{text}" is not an IP address') from None
    return int.from_bytes(packed, "big"), len(packed) * 8


def text_of(number: int, bits: int) -> str:
    family = _socket.AF_INET6 if bits == 128 else _socket.AF_INET
    return str(_socket.inet_ntop(family, number.to_bytes(bits // 8, "big")))


def parse(text: str) -> Subnet:
    """`ADDRESS/PREFIX`, whose host part may be anything; ValueError for anything else."""
    address, slash, word = text.partition("/")
    number, bits = number_of(address)
    if not slash or not (word.isascii() and word.isdigit()) or int(word) > bits:
        raise ValueError(f'"{text}" is not ADDRESS/PREFIX')
    prefix = int(word)
    mask = (1 << (bits - prefix)) - 1
    return Subnet(number & ~mask, prefix, bits)


def checked(text: str, flag: str) -> Subnet:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidInput(
            f'invalid {flag} "{text}": {error}', "write it as 10.89.5.0/24"
        ) from None


def checked_address(text: str, flag: str, bits: int = 0) -> str:
    """In its usual spelling."""
    try:
        number, found = number_of(text)
    except ValueError:
        raise InvalidInput(f'invalid {flag} "{text}": it is not an IP address') from None
    if bits and found != bits:
        kind = "IPv6" if bits == 128 else "IPv4"
        raise InvalidInput(f'invalid {flag} "{text}": it is not an {kind} address')
    return text_of(number, found)
