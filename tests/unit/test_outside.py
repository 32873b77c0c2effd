"""The maps of an idmapped mount, as config.json and as crun's words have them."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import InvalidInput
from rcrun.runtime.outside import own_maps
from rcrun.runtime.plan_namespaces import Namespaces
from unit.plans import spec_of

ROWS = [{"containerID": 0, "hostID": 7, "size": 3}]


def maps(options: list[str], **more: Any) -> Any:
    whole = [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 2, "size": 9}]
    spec = spec_of(linux__uidMappings=whole, linux__gidMappings=whole)
    spec["linux"]["namespaces"].append({"type": "user"})
    return own_maps({"destination": "/d", "options": options, **more}, "/d", Namespaces(spec))


@pytest.mark.parametrize(
    ("words", "uids", "gids"),
    [
        ("uids=0-1-10;gids=0-100-10", [(0, 1, 10)], [(0, 100, 10)]),
        ("gids=5-6-7;uids=0-1-10#10-11-10", [(0, 1, 10), (10, 11, 10)], [(5, 6, 7)]),
        ("uids=@1-3-2;gids=@0-0-1#1-1-1", [(1, 4, 2)], [(0, 0, 1), (1, 1, 1)]),
    ],
)
def test_maps_within_an_option(words: str, uids: Any, gids: Any) -> None:
    assert maps([f"idmap={words}"]) == (uids, gids)


def test_the_maps_of_the_specification_come_first() -> None:
    found = maps(["idmap=uids=0-1-10;gids=0-1-10"], uidMappings=ROWS, gidMappings=ROWS)
    assert found == ([(0, 7, 3)], [(0, 7, 3)])


def test_none() -> None:
    assert maps(["idmap"]) == ([], [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("uids=0-1-10", "one is missing"),
        ("uids=0-1;gids=0-1-1", '"0-1" is no mapping'),
        ("uids=a-b-c;gids=0-1-1", "is no mapping"),
        ("uids=;gids=0-1-1", "is no mapping"),
        ("pids=0-1-1", 'unknown word "pids=0-1-1"'),
        ("uids=@0-99-1;gids=0-0-1", "the container has no id 99"),
    ],
)
def test_words_that_are_no_maps(words: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        maps([f"idmap={words}"])


@pytest.mark.parametrize("field", ["uidMappings", "gidMappings"])
def test_one_map_alone(field: str) -> None:
    with pytest.raises(InvalidInput, match="one is missing"):
        maps(["idmap"], **{field: ROWS})
