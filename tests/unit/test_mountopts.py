"""Options of a mount are sorted by what the shim does with each."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.mountopts import KNOWN, parse


def test_sorted() -> None:
    parsed = parse(["rbind", "ro", "rnosuid", "rslave", "size=1m", "defaults", "mode=1777"])
    assert (parsed.bind, parsed.recursive, parsed.copy_up) == (True, True, False)
    assert parsed.links == []
    assert parsed.flags == ["ro", "rnosuid"]
    assert parsed.propagation == "rslave"
    assert parsed.data == ["size=1m", "mode=1777"]


@pytest.mark.parametrize(
    ("options", "readonly"),
    [([], False), (["ro"], True), (["ro", "rw"], False), (["rw", "rro"], True), (["rrw"], False)],
)
def test_the_last_word_about_writing_wins(options: list[str], readonly: bool) -> None:
    assert parse(options).is_readonly is readonly


def test_what_only_clears_says_the_default() -> None:
    assert parse(["atime", "nostrictatime", "ratime"]).flags == [
        "relatime",
        "relatime",
        "rrelatime",
    ]


def test_a_bind_beside_an_rbind_takes_nothing_back() -> None:
    parsed = parse(["rbind", "bind"])
    assert (parsed.bind, parsed.recursive) == (True, True)


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_idmapped_mounts(option: str) -> None:
    assert parse(["bind", option]).idmap == option


def test_maps_within_an_option() -> None:
    options = parse(["bind", "ridmap=uids=0-1-10#@10-2-3;gids=4-5-6"])
    assert (options.idmap, options.data) == ("ridmap", [])
    assert options.id_maps == {
        "uids": [((0, 1, 10), False), ((10, 2, 3), True)],
        "gids": [((4, 5, 6), False)],
    }


@pytest.mark.parametrize("text", ["", "uids", "uids=", "uids=1-2", "uids=a-b-c", "pids=0-1-1"])
def test_maps_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        parse(["bind", f"idmap={text}"])


def test_no_known_option_ends_in_the_data_of_the_file_system() -> None:
    for option in KNOWN:
        assert parse([option]).data == [], option
