"""Namespaces of other containers in config.json, before anything is started."""

from __future__ import annotations

from typing import Any

import pytest

from config_facts import MAPPED, ROOT, built, facts
from rcrun.engine.facts import Donor, Facts
from rcrun.errors import InvalidInput, NotFound

ONE, TWO = "1" * 64, "2" * 64
MAPS = [
    {"containerID": 0, "hostID": 1000, "size": 1},
    {"containerID": 1, "hostID": 100000, "size": 65536},
]
KINDS = ("user", "mount", "pid", "ipc", "uts", "cgroup", "network")


def donor(
    identity: str, *, without: tuple[str, ...] = (), maps: Any = MAPS, **record: Any
) -> Donor:
    mounts = [
        {"destination": f"/etc/{name}", "source": f"/{name}-of-{identity[0]}"}
        for name in ("hosts", "hostname")
    ]
    spec: Any = {
        "hostname": f"box{identity[0]}",
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in KINDS if kind not in without],
            "uidMappings": maps,
            "gidMappings": maps,
        },
    }
    return Donor(identity, {"name": f"c{identity[0]}", **record}, spec)


def known(*donors: Donor, identity: Any = MAPPED) -> Facts:
    def find(name: str) -> Donor:
        for each in donors:
            if name in (each.id, each.name):
                return each
        raise NotFound(f"no such container: {name}")

    return facts(identity, donor=find)


def namespaces(made: Any) -> dict[str, str]:
    return {row["type"]: row.get("path", "") for row in made.config["linux"]["namespaces"]}


def test_a_pid_namespace_brings_its_user_namespace() -> None:
    made = built({"pid": "container:c1"}, known=known(donor(ONE)))
    found = namespaces(made)
    assert (found["pid"], found["user"]) == ("/proc/0/ns/pid", "/proc/0/ns/user")
    assert found["ipc"] == found["network"] == ""
    assert made.config["linux"]["uidMappings"] == MAPS
    assert made.container["joins"] == {"pid": {"container": ONE}, "user": {"container": ONE}}
    assert made.container["pid"] == f"container:{ONE}"


def test_what_the_other_shares_with_the_host_is_the_hosts() -> None:
    made = built(
        {"pid": "container:c1", "uts": "container:c1"}, known=known(donor(ONE, without=("pid",)))
    )
    assert "pid" not in namespaces(made)
    assert made.container["joins"]["uts"] == {"container": ONE}


def test_root_needs_no_user_namespace() -> None:
    other = donor(ONE, without=("user",), maps=[])
    made = built({"pid": "container:c1"}, known=known(other, identity=ROOT))
    assert "user" not in namespaces(made)
    assert made.container["joins"] == {"pid": {"container": ONE}}


def test_ids_of_its_own_and_a_namespace_of_another_do_not_go_together() -> None:
    other = known(donor(ONE, without=("user",), maps=[]), identity=ROOT)
    for word in ("auto", "keep-id"):
        with pytest.raises(InvalidInput, match=f"conflicting options: --userns {word}"):
            built({"pid": "container:c1", "userns": word}, known=other)


def test_memory_is_shared_where_the_other_says_so() -> None:
    made = built({"ipc": "container:c1"}, known=known(donor(ONE, ipc="shareable")))
    [memory] = [row for row in made.config["mounts"] if row["destination"] == "/dev/shm"]
    assert memory["type"] == "bind"
    chained = donor(TWO, ipc=f"container:{ONE}", joins={"ipc": {"container": ONE}})
    built({"ipc": "container:c2"}, known=known(chained))
    with pytest.raises(InvalidInput, match="it is not shareable"):
        built({"ipc": "container:c1"}, known=known(donor(ONE, ipc="private")))


def test_a_network_comes_with_its_files() -> None:
    made = built({"network": "container:c1"}, known=known(donor(ONE)))
    sources = {row["destination"]: row["source"] for row in made.config["mounts"]}
    assert sources["/etc/hosts"] == "/hosts-of-1"
    assert sources["/etc/hostname"] == "/hostname-of-1"
    assert "hosts" not in made.files
    assert made.config["hostname"] == "box1"
    assert made.container["network"]["mode"] == "container"
    assert made.container["network_mode"] == f"container:{ONE}"


def test_containers_of_one_owner_can_be_joined_together() -> None:
    second = donor(TWO, joins={"user": {"container": ONE}})
    made = built({"pid": "container:c1", "uts": "container:c2"}, known=known(donor(ONE), second))
    assert set(made.container["joins"]) == {"pid", "uts", "user"}
    with pytest.raises(InvalidInput, match="each belongs to a user namespace of its own"):
        built({"pid": "container:c1", "uts": "container:c2"}, known=known(donor(ONE), donor(TWO)))


def test_one_id_is_the_others() -> None:
    alone = [{"containerID": 33, "hostID": 1000, "size": 1}]
    other = known(donor(ONE, maps=alone))
    with pytest.raises(InvalidInput, match="the container that is joined has one id, 33"):
        built({"pid": "container:c1"}, known=other)
    made = built({"pid": "container:c1", "user": "33:33"}, known=other)
    assert made.config["process"]["user"]["uid"] == 33
    assert "additionalGids" not in made.config["process"]["user"]


def test_a_namespace_at_a_path_is_found_at_the_start() -> None:
    made = built({"network": "ns:/run/netns/x"})
    assert namespaces(made)["network"] == "/proc/0/ns/net"
    assert made.container["joins"] == {"network": {"path": "/run/netns/x"}}
    assert made.container["network"]["mode"] == "ns"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pid": "container:"}, 'invalid --pid "container:"'),
        ({"pid": "container:none"}, "no such container: none"),
        ({"uts": "ns:rel"}, "it is not an absolute path"),
        ({"pid": "container:c1", "userns": "keep-id"}, "conflicting options: --userns keep-id"),
        ({"network": "container:c1", "hostname": "x"}, "conflicting options: --hostname and --network"),
        ({"network": "container:c1", "publish": ("80",)}, "conflicting options: --publish and --network"),
    ],
)  # fmt: skip
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidInput, NotFound)) as caught:
        built(options, known=known(donor(ONE)))
    assert message in caught.value.message
