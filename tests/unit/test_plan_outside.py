"""Mounts and devices that were made outside, as the plan puts them in place."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from unit.plans import plan_of, records, spec_of


def test_a_tree_takes_the_place_of_the_bind() -> None:
    spec = spec_of()
    spec["mounts"].append(
        {
            "destination": "/d/",
            "type": "bind",
            "source": "data",
            "options": ["ro", "ridmap", "rbind"],
        }
    )
    assert records(plan_of(spec, trees={"/d": 7}), "bind-fd") == [
        ["bind-fd", "7", "/b/data", "/d", "rec,ro"]
    ]


def test_an_idmapped_mount_is_never_a_plain_bind() -> None:
    spec = spec_of()
    maps = [{"containerID": 0, "hostID": 5, "size": 1}]
    spec["mounts"].append(
        {"destination": "/d", "type": "bind", "source": "data", "uidMappings": maps}
    )
    with pytest.raises(InvalidInput, match="idmapped"):
        plan_of(spec)


def test_a_device_that_was_made_outside() -> None:
    device = {"path": "/dev/foo", "type": "c", "major": 1, "minor": 5}
    plan = plan_of(spec_of(linux__devices=[device]), trees={"/dev/foo": 9})
    assert ["bind-fd", "9", "/dev/foo", "/dev/foo", ""] in plan
