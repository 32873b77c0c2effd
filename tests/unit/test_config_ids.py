"""Which ids a container gets: --userns, --uidmap and their kin, as rows of config.json."""

from __future__ import annotations

from typing import Any

import pytest

from config_facts import MAPPED, ROOT, SINGLE, built, facts
from rcrun.errors import HostLacks, InvalidInput

Rows = list[tuple[int, int, int]]


def rows(options: dict[str, Any], which: str = "uid", **known: Any) -> Rows:
    linux = built(options, known=facts(**known)).config["linux"]
    return [(r["containerID"], r["hostID"], r["size"]) for r in linux[f"{which}Mappings"]]  # type: ignore[literal-required]


def refused(options: dict[str, Any], message: str, **known: Any) -> None:
    with pytest.raises((InvalidInput, HostLacks)) as caught:
        built(options, known=facts(**known))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"userns": "nomap"}, [(0, 100000, 65536)]),
        ({"userns": "private"}, [(0, 1000, 1), (1, 100000, 65536)]),
        ({"uidmap": ("0:1:1000",)}, [(0, 100000, 1000)]),
        ({"gidmap": ("0:1:1000",)}, [(0, 100000, 1000)]),
        ({"uidmap": ("0:1:5,5:0",)}, [(0, 100000, 5), (5, 1000, 1)]),
        ({"uidmap": ("0:@100010:5",)}, [(0, 100010, 5)]),
        ({"uidmap": ("0:0:3",)}, [(0, 1000, 1), (1, 100000, 2)]),
        ({"uidmap": ("+5:@100100:1",)}, [(0, 1000, 1), (1, 100000, 4), (5, 100100, 1), (6, 100005, 95), (102, 100101, 65435)]),
        ({"uidmap": ("u0:1:10", "g0:5:10")}, [(0, 100000, 10)]),
    ],
)  # fmt: skip
def test_maps(options: dict[str, Any], expected: Rows) -> None:
    assert rows({**options, "user": "0"}) == expected


def test_of_groups_alone() -> None:
    options = {"uidmap": ("u0:1:10", "g0:5:10")}
    assert rows(options, "gid") == [(0, 100004, 10)]
    assert rows({"uidmap": ("0:1:10",), "gidmap": ("0:1:20",)}, "gid") == [(0, 100000, 20)]


def test_keep_id_of_so_many() -> None:
    found = rows({"userns": "keep-id:uid=5,gid=5,size=10"})
    assert (5, 1000, 1) in found
    assert max(inside + count for inside, _, count in found) == 10


def test_auto_takes_what_nobody_has() -> None:
    assert rows({"userns": "auto"}) == [(0, 100000, 1024)]
    assert rows({"userns": "auto:size=10"}) == [(0, 100000, 10)]
    taken = [(100000, 1024), (101030, 10)]
    assert rows({"userns": "auto:size=5"}, taken_ids=lambda which: taken) == [(0, 101024, 5)]
    assert rows({"userns": "auto:size=50"}, taken_ids=lambda which: taken) == [(0, 101040, 50)]
    passwd = "root:x:0:0::/:\nbig:x:5000:5000::/:\nnobody:x:65534:65534::/:\n"
    assert rows({"userns": "auto"}, passwd=passwd) == [(0, 100000, 5001)]
    options = {"userns": "auto:size=10,uidmapping=3:0:1"}
    assert rows(options) == [(0, 100000, 3), (3, 1000, 1), (4, 100003, 6)]
    made = built({"userns": "auto:size=10"}).container
    assert made["own_ids"] == {"uid": [[100000, 10]], "gid": [[100000, 10]]}
    assert made["shifted"] is True


def test_whose_files_need_other_owners() -> None:
    for options in ({}, {"userns": "keep-id"}, {"uidmap": ("0:0:100",)}):
        assert "shifted" not in built(options).container
    for options in ({"userns": "nomap"}, {"uidmap": ("0:5:100",)}):
        assert built(options).container["shifted"] is True
    assert built({"uidmap": ("0:0:1000",)}, known=facts(ROOT)).container.get("shifted") is None
    assert built({"uidmap": ("0:5000:1000",)}, known=facts(ROOT)).container["shifted"] is True


def test_of_root() -> None:
    ranges = [(2147483647, 65536)]
    known = {
        "identity": ROOT,
        "subordinate": lambda which, name: ranges if name == "containers" else [],
    }
    assert rows({"userns": "auto"}, **known) == [(0, 2147483647, 1024)]
    refused({"userns": "auto"}, '/etc/subuid has no ids for "containers"', identity=ROOT)
    refused({"userns": "private"}, "does not say which ids", identity=ROOT)
    refused({"userns": "nomap"}, "not root", identity=ROOT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"userns": "odd"}, 'invalid --userns "odd"'),
        ({"userns": "auto:what=1"}, 'invalid --userns "auto:what=1"'),
        ({"userns": "auto:size=0"}, "invalid --userns"),
        ({"userns": "auto:size=65537"}, "invalid --userns"),
        ({"userns": "keep-id", "uidmap": ("0:0:1",)}, "conflicting options: --userns keep-id"),
        ({"uidmap": ("0",)}, 'invalid --uidmap "0"'),
        ({"uidmap": ("0:x:1",)}, "invalid --uidmap"),
        ({"uidmap": ("0:0:0",)}, "there are no such ids"),
        ({"uidmap": ("0:@5:1",)}, "the id 5 of the host is not ours"),
        ({"uidmap": ("0:65530:100",)}, "65537 is not among our ids"),
        ({"uidmap": ("0:1:10", "5:20:10")}, "the id 5 of the container is mapped twice"),
        ({"uidmap": ("0:1:10", "20:5:10")}, "the id 5 of the host is mapped twice"),
        ({"uidmap": ("5:1:10",)}, "cannot run as user 0: it is not among the 10 ids"),
        ({"subuidname": "nobody"}, "/etc/subuid has no ids for that name"),
    ],
)  # fmt: skip
def test_refusals(options: dict[str, Any], message: str) -> None:
    refused(options, message, identity=MAPPED)


def test_one_id_has_no_others_to_give() -> None:
    for word in ("auto", "nomap"):
        refused({"userns": word}, f"--userns {word} needs subordinate ids", identity=SINGLE)
    assert rows({"uidmap": ("7:0:1",), "user": "7:7"}, identity=SINGLE) == [(7, 1000, 1)]
