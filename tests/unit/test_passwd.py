"""Who a container's process runs as."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import passwd

PASSWD = """root:x:0:0:root:/root:/bin/bash
# comment:x:5:5::/:
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
short:x:7
alice:x:1000:1001::/home/alice:/bin/sh
broken line
2000:x:3000:3000::/home/number:/bin/sh
"""
GROUP = "root:x:0:\nadm:x:4:alice,bob\nusers:x:100:alice\nalice:x:1001:\nempty:x:\n"


@pytest.mark.parametrize(
    ("text", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, [0], "/root"),
        ("root", 0, 0, [0], "/root"),
        ("0", 0, 0, [0], "/root"),
        ("alice", 1000, 1001, [1001, 4, 100], "/home/alice"),
        ("1000", 1000, 1001, [1001, 4, 100], "/home/alice"),
        ("alice:adm", 1000, 4, [4], "/home/alice"),
        ("alice:55", 1000, 55, [55], "/home/alice"),
        ("4242", 4242, 0, [0], "/"),
        ("4242:users", 4242, 100, [100], "/"),
        (":users", 0, 100, [100], "/root"),
        ("short", 7, 0, [0], "/"),
        ("2000", 3000, 3000, [3000], "/home/number"),
    ],
)
def test_lookup(text: str, uid: int, gid: int, groups: list[int], home: str) -> None:
    user = passwd.lookup(text, PASSWD, GROUP)
    assert (user.uid, user.gid, user.groups, user.home) == (uid, gid, groups, home)


def test_groups_are_added_once() -> None:
    user = passwd.lookup("alice", PASSWD, GROUP, ["adm", "77", "77"])
    assert user.groups == [1001, 4, 100, 77]


def test_an_image_without_files() -> None:
    user = passwd.lookup("", "", "")
    assert (user.uid, user.gid, user.home, user.name) == (0, 0, "/", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bob", 'unable to find user "bob"'),
        ("alice:nobody", 'unable to find group "nobody"'),
        ("2147483648", "ids are 0 to"),
        ("0:2147483648", "ids are 0 to"),
        ("-1", "unable to find user"),
    ],
)
def test_unknown_names(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        passwd.lookup(text, PASSWD, GROUP)


@pytest.mark.parametrize("number", ["4294967296", "4294967295", "9" * 5000, "-1", "0x0", "²"])
def test_ids_that_no_kernel_has(number: str) -> None:
    """Cut to 32 bits some of them would be root's."""
    with pytest.raises(InvalidInput):
        passwd.lookup("web", f"web:x:{number}:{number}::/:/bin/sh\n", "")
    with pytest.raises(InvalidInput):
        passwd.lookup(number, "", "")
    group = f"web:x:{number}:\n"
    with pytest.raises(InvalidInput):
        passwd.lookup("0:web", "", group)
