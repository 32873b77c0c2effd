"""Which commands are taken for a systemd, and what such a container gets."""

from __future__ import annotations

import pytest

from config_facts import built
from rcrun.engine import cgroup
from rcrun.engine.config_systemd import is_asked
from rcrun.errors import InvalidInput


@pytest.mark.parametrize(
    ("mode", "words", "expected"),
    [
        (None, ["/sbin/init"], True),
        ("true", ["/usr/lib/systemd/systemd", "--user"], True),
        ("", ["/bin/sh", "-c", "/usr/sbin/init"], True),
        ("true", ["/bin/sh", "-c"], False),
        ("true", ["/opt/init"], False),
        ("false", ["/sbin/init"], False),
        ("0", ["systemd"], False),
        ("always", ["sleep"], True),
    ],
)
def test_what_is_one(mode, words, expected) -> None:
    assert is_asked({"systemd": mode}, words) is expected


def test_what_it_gets() -> None:
    made = built({"tmpfs": ("/tmp:size=1m",)}, ("/sbin/init",))
    places = [row["destination"] for row in made.config["mounts"]]
    assert [places.count(path) for path in ("/run", "/run/lock", "/tmp", "/var/log/journal")] == [
        1
    ] * 4
    assert places.index("/run") < places.index("/run/.containerenv")
    mounts = {row["destination"]: row for row in made.config["mounts"]}
    assert "size=1m" in mounts["/tmp"]["options"]
    assert "rw" in mounts["/sys/fs/cgroup"]["options"]
    assert made.container["stop_signal"] == 37
    uuid = made.container["id"][:32]
    assert f"container_uuid={uuid}" in made.config["process"]["env"]
    assert built({"stop_signal": "TERM"}, ("/sbin/init",)).container["stop_signal"] == 15
    with pytest.raises(InvalidInput, match="invalid --systemd"):
        built({"systemd": "perhaps"})


@pytest.mark.parametrize(
    ("asked", "parent", "fault"),
    [
        ("systemd", "/my/group", "is no slice"),
        ("cgroupfs", "my.slice", "is a slice of systemd"),
        ("none", "my.slice", "is a slice of systemd"),
        ("systemd", "my.slice", ""),
        ("cgroupfs", "/my/group", ""),
        ("", "my.slice", ""),
    ],
)
def test_parents_of_groups(asked: str, parent: str, fault: str) -> None:
    place = built({"cgroup_parent": parent}).config["linux"]["cgroupsPath"]
    if not fault:
        cgroup.check_parent(asked, place)
        return
    with pytest.raises(InvalidInput, match=fault):
        cgroup.check_parent(asked, place)
