"""`--network NAME:KEY=VALUE,…`."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import networkflag


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("net1", {"name": "net1", "aliases": []}),
        ("podman", {"name": "bridge", "aliases": []}),
        ("n:alias=a,alias=b", {"name": "n", "aliases": ["a", "b"]}),
        ("n:ip=10.1.2.3,ip6=fd00::05", {"name": "n", "aliases": [], "ip": "10.1.2.3", "ip6": "fd00::5"}),
        ("n:ip=fd00::5", {"name": "n", "aliases": [], "ip6": "fd00::5"}),
        ("n:mac=02-42-AA-00-00-05", {"name": "n", "aliases": [], "mac": "02:42:aa:00:00:05"}),
        ("n:interface_name=wan0,mtu=1400", {"name": "n", "aliases": [], "interface": "wan0", "mtu": 1400}),
        (
            "name=n,alias=a,driver-opt=com.docker.network.endpoint.ifname=wan0",
            {"name": "n", "aliases": ["a"], "interface": "wan0"},
        ),
    ],
)  # fmt: skip
def test_what_it_means(text: str, found: dict[str, object]) -> None:
    assert networkflag.parse(text) == found


@pytest.mark.parametrize(
    "text",
    ["n:ip", "n:ip=", "n:ip=x", "n:mac=1", "n:mac=01:00:00:00:00:00", "n:mtu=12", "n:interface_name=a/b", "n:what=1",
     "n:interface_name=sixteencharacter", "n:driver-opt=x=y"],
)  # fmt: skip
def test_refusals_name_the_option(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--network|interface|mtu"):
        networkflag.parse(text)
