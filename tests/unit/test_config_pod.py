"""What a pod gives its containers, what it refuses them, and which state it is in. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.engine.config_pod import of_member, shared
from rcrun.engine.pod import state_of
from rcrun.engine.podgroup import parent_for
from rcrun.engine.podlife import levels
from rcrun.errors import InvalidInput
from rcrun.storage.containers import Status

USUAL = {"infra": "abc", "share": ["ipc", "net", "uts"], "options": {}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ["ipc", "net", "uts"]),
        ("", []),
        ("none", []),
        ("pid,net", ["net", "pid"]),
        ("+pid", ["ipc", "net", "pid", "uts"]),
        ("+cgroup,net", ["cgroup", "ipc", "net", "uts"]),
    ],
)
def test_shared(text: str | None, found: list[str]) -> None:
    assert shared(text) == found


@pytest.mark.parametrize("text", ["user", "mnt", "net,x"])
def test_what_cannot_be_shared(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"pod level|invalid kernel namespace to share: x\."):
        shared(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"publish": ("80:80",)}, "published or exposed ports must be defined when the pod is created: network cannot be"),
        ({"publish_all": True}, "published or exposed ports must be defined"),
        ({"ip": "10.0.0.1"}, "static ip addresses must be defined"),
        ({"mac_address": "x"}, "MAC addresses must be defined"),
        ({"add_host": ("a:1.2.3.4",)}, "extra host entries must be defined"),
        ({"network_alias": ("a",), "network": ("default",)}, "network aliases must be defined"),
        ({"hostname": "x"}, "cannot set hostname when joining the pod UTS namespace"),
        ({"userns": "auto"}, "--userns and --pod cannot be set together"),
        ({"uidmap": ("0:1:2",)}, "--uidmap and --pod cannot be set together"),
        ({"pid": "pod"}, "--pid pod: the pod does not share its pid namespace"),
    ],
)  # fmt: skip
def test_what_is_the_pods(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        of_member(options, USUAL)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("options", "pod", "wanted"),
    [
        ({}, USUAL, {"network": "container:abc", "ipc": "container:abc", "uts": "container:abc"}),
        ({"ipc": "shareable", "pid": "host"}, USUAL, {"ipc": "container:abc", "pid": "host"}),
        ({"network": ("none",), "publish": ("80",), "uts": "private", "hostname": "x"}, USUAL,
         {"network": ("none",), "publish": ("80",), "uts": "private", "hostname": "x"}),
        ({"publish": ("80",), "hostname": "x"}, {**USUAL, "infra": ""}, {"publish": ("80",), "hostname": "x"}),
        ({"userns": "auto", "hostname": "x"}, {**USUAL, "share": []}, {"userns": "auto", "hostname": "x"}),
        ({}, {**USUAL, "share": [], "options": {"userns": "auto"}}, {"userns": "container:abc"}),
        ({"volume": ("/c:/b",), "tmpfs": ("/t:rw",)}, {**USUAL, "options": {"volume": ("/p:/a", "/p:/b/", "/p:/t", "v:/v:ro")}},
         {"volume": ("/p:/a", "v:/v:ro", "/c:/b")}),
        ({"rm": True}, {**USUAL, "options": {"restart": "always", "device": ("/dev/x",)}}, {"restart": None, "device": ("/dev/x",)}),
        ({"restart": "no"}, {**USUAL, "options": {"restart": "always", "shm_size": "1m"}}, {"restart": "no", "shm_size": "1m"}),
        ({}, {**USUAL, "group": "g"}, {"cgroup_parent": "g"}),
        ({}, {**USUAL, "group": "g", "share_parent": False}, {"cgroup_parent": None}),
        ({"cgroup_parent": "/mine"}, {**USUAL, "group": "g"}, {"cgroup_parent": "/mine"}),
    ],
)  # fmt: skip
def test_what_a_container_gets(
    options: dict[str, Any], pod: dict[str, Any], wanted: dict[str, Any]
) -> None:
    found = of_member(options, pod)
    assert {key: found.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("", "Created"),
        ("created created", "Created"),
        ("running running", "Running"),
        ("running exited", "Degraded"),
        ("running created paused", "Degraded"),
        ("paused paused", "Paused"),
        ("paused created", "Created"),
        ("exited exited", "Exited"),
        ("exited created", "Stopped"),
        ("created restarting", "Error"),
    ],
)
def test_states(words: str, state: str) -> None:
    assert state_of(Status(word) for word in words.split()) == state


class Member:
    def __init__(self, name: str, **record: Any) -> None:
        self.id = name
        self.record = record


def test_order_of_starts() -> None:
    """Infra, init containers one by one, then the others as they need each other; a circle is no end."""
    members: list[Any] = [
        Member("c", requires=["b"]), Member("i2", init_ctr="once"), Member("a", joins={"pid": {"container": "c"}}),
        Member("b"), Member("infra", infra="pause"), Member("i1", init_ctr="always"), Member("x", requires=["y"]),
        Member("y", requires=["x"]), Member("z", requires=["elsewhere"]),
    ]  # fmt: skip
    found = [[each.id for each in level] for level in levels(members)]
    assert found == [["infra"], ["i2"], ["i1"], ["b", "z"], ["c"], ["a"], ["x", "y"]]


class Around:
    cgroup_manager = "cgroupfs"


@pytest.mark.parametrize(
    ("given", "parent"),
    [("", "rcrun-pod-ID"), ("/a/", "/a/rcrun-pod-ID"), ("my.slice", "my-rcrun_pod_ID.slice")],
)
def test_where_its_group_is(given: str, parent: str) -> None:
    around: Any = Around()
    assert parent_for(around, "ID", given) == parent
