"""-p and --expose."""

from __future__ import annotations

import random

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", ["80/tcp"]),
        ("80/udp", ["80/udp"]),
        ("80/TCP", ["80/tcp"]),
        ("8080:80", ["8080:80/tcp"]),
        (":80", ["80/tcp"]),
        ("127.0.0.1::80", ["127.0.0.1::80/tcp"]),
        ("127.0.0.1:8080:80/udp", ["127.0.0.1:8080:80/udp"]),
        ("[::1]:8080:80", ["[::1]:8080:80/tcp"]),
        ("[::]::80", ["[::]::80/tcp"]),
        ("8000-8001:80-81", ["8000:80/tcp", "8001:81/tcp"]),
        ("80-81", ["80/tcp", "81/tcp"]),
        ("8000-8010:80", ["8000-8010:80/tcp"]),
        ("0:80", ["80/tcp"]),
    ],
)
def test_published(text: str, expected: list[str]) -> None:
    assert [str(each) for each in port.parse(text)] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '"" is not a port number'),
        ("0", '"0" is not a port number'),
        ("65536", "not a port number"),
        ("a:80", '"a" is not a port number'),
        ("127.0.0.1:80", '"127.0.0.1" is not a port number'),
        ("::1:80:80", "too many colons"),
        ("300.1.1.1:80:80", '"300.1.1.1" is not an IP address'),
        ("[::1]:1:2:3", "too many colons"),
        ("[::1", "invalid port"),
        ("80-70", "runs backwards"),
        ("8000-8002:80-81", "differ in length"),
        ("80/sctp", "sctp has no user-space forwarder"),
        ("80/icmp", "is not tcp or udp"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        port.parse(text)
    assert message in caught.value.message


def test_parse_and_print_are_inverse() -> None:
    chance = random.Random(11)
    for _ in range(300):
        one = port.Port(
            chance.choice(["", "0.0.0.0", "10.0.0.7", "::1", "fe80::1"]),
            chance.choice([0, chance.randint(1, 65535)]),
            chance.randint(1, 65535),
            chance.choice(["tcp", "udp"]),
        )
        (again,) = port.parse(str(one))
        assert again.document() == one.document()


def test_exposed() -> None:
    assert port.parse_exposed("80") == [(80, "tcp")]
    assert port.parse_exposed("80-82/udp") == [(80, "udp"), (81, "udp"), (82, "udp")]
    with pytest.raises(InvalidInput):
        port.parse_exposed("8080:80")
