"""Pure parts of the OCI commands: ids, the place of a cgroup, the process of an exec, limits of an update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rcrun.cgroup.delegated import MOUNT
from rcrun.errors import InvalidInput
from rcrun.runtime import groups, plan_resources
from rcrun.runtime.bundle import merged, with_environment
from rcrun.runtime.execute import Changes, process_of
from rcrun.runtime.state import check_id
from rcrun_cli.commands_oci.update import from_options

SPEC: Any = {
    "process": {
        "args": ["/sbin/init"],
        "cwd": "/srv",
        "env": ["PATH=/bin", "HOME=/root"],
        "user": {"uid": 1, "gid": 2, "additionalGids": [3]},
        "noNewPrivileges": True,
        "terminal": True,
        "consoleSize": {"height": 1, "width": 1},
        "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "ambient": []},
    }
}


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d+e", "_x", "A" * 255])
def test_ids(name: str) -> None:
    assert check_id(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "a/b", "a b", "ä", "a\n", "A" * 256])
def test_ids_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="container ID"):
        check_id(name)


@pytest.mark.parametrize(
    ("asked", "root", "path"),
    [
        ("", False, "/p/rcrun-c.scope"),
        ("/a/b/", True, f"{MOUNT}/a/b"),
        ("/a/b", False, "/p/b"),
        ("a/b", False, "/p/a/b"),
        ("machine.slice:libpod:x", False, "/p/libpod-x.scope"),
        ("::x", False, "/p/x.scope"),
        ("user.slice:libpod:", True, "/p/libpod-c.scope"),
    ],
)
def test_the_place_of_a_cgroup(asked: str, root: bool, path: str) -> None:
    assert groups.place(asked, "c", "/p", root=root) == path


def test_a_cgroup_below_ours_is_where_it_was_asked_for() -> None:
    parent = f"{MOUNT}/user.slice"
    assert groups.place("/user.slice/x/y", "c", parent, root=False) == f"{parent}/x/y"


@pytest.mark.parametrize("asked", ["/a/../b", "..", "../x"])
def test_a_cgroup_does_not_climb(asked: str) -> None:
    with pytest.raises(InvalidInput):
        groups.place(asked, "c", "/p", root=True)


def test_controllers_that_limits_need() -> None:
    resources = {
        "memory": {"limit": 1},
        "cpu": {"cpus": "0"},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
        "unified": {"io.weight": "x", "cgroup.freeze": "0"},
    }
    assert plan_resources.controllers(resources) == ["memory", "hugetlb", "cpuset", "io"]


@pytest.mark.parametrize("key", ["NOT", ".x", "memory.", "a/b.c"])
def test_keys_of_unified_limits(key: str) -> None:
    with pytest.raises(InvalidInput, match=r"CONTROLLER\.VALUE"):
        plan_resources.check({"unified": {key: "1"}})


def test_an_exec_takes_the_containers_process_but_not_all_of_it() -> None:
    process = process_of(SPEC, Changes(["sh"]))
    assert process == {
        "args": ["sh"],
        "capabilities": SPEC["process"]["capabilities"],
        "cwd": "/srv",
        "env": ["PATH=/bin", "HOME=/root"],
        "terminal": False,
        "user": {"uid": 1, "gid": 2, "additionalGids": [3]},
    }


def test_changes_of_an_exec() -> None:
    changes = Changes(
        ["sh"],
        terminal=True,
        user="7:8",
        groups=[9],
        env=["A=1", "PATH=/x"],
        cwd="/",
        capabilities=["net_admin"],
        no_new_privs=True,
    )
    process = process_of(SPEC, changes)
    assert process["user"] == {"uid": 7, "gid": 8, "additionalGids": [3, 9]}
    assert process["env"] == ["PATH=/x", "A=1"]  # HOME was the other user's
    assert process["cwd"] == "/"
    assert process["terminal"] is True
    assert process["noNewPrivileges"] is True
    assert process["capabilities"]["bounding"] == ["CAP_KILL", "CAP_NET_ADMIN"]
    assert process["capabilities"]["permitted"] == ["CAP_NET_ADMIN"]
    assert process["capabilities"]["ambient"] == []


def test_home_can_be_given_with_the_user() -> None:
    process = process_of(SPEC, Changes(["sh"], user="7", env=["HOME=/h"]))
    assert process["env"] == ["PATH=/bin", "HOME=/h"]
    assert process["user"]["gid"] == 2


@pytest.mark.parametrize("user", ["x", "1:", "1:y", "-1", ":1"])
def test_users_that_are_no_ids(user: str) -> None:
    with pytest.raises(InvalidInput, match="invalid user"):
        process_of(SPEC, Changes(["sh"], user=user))


def test_an_exec_needs_a_command() -> None:
    with pytest.raises(InvalidInput, match="no command"):
        process_of(SPEC, Changes([]))


def test_environments_are_merged() -> None:
    assert merged(["A=1", "B=2", "A=3", "C"]) == ["A=3", "B=2", "C"]


def test_options_of_an_update() -> None:
    assert from_options({}) == {}
    assert from_options({"memory": None, "cpu_quota": None, "cpuset_cpus": ""}) == {}
    options = {
        "memory": "50M", "memory_swap": "-1", "memory_reservation": "1024", "cpu_quota": -1, "cpu_burst": 0,
        "cpu_share": 512, "cpu_idle": 1, "cpuset_cpus": "0-1", "pids_limit": -1, "blkio_weight": 100,
    }  # fmt: skip
    assert from_options(options) == {
        "memory": {"limit": 50 << 20, "swap": -1, "reservation": 1024},
        "cpu": {"quota": -1, "burst": 0, "shares": 512, "idle": 1, "cpus": "0-1"},
        "pids": {"limit": -1},
        "blockIO": {"weight": 100},
    }


def test_an_exec_is_scheduled_as_the_container() -> None:
    spec: Any = {"process": {**SPEC["process"], "scheduler": {"policy": "SCHED_BATCH"}}}
    process = process_of(spec, Changes(["x"]))
    assert process["scheduler"] == {"policy": "SCHED_BATCH"}
    assert "noNewPrivileges" not in process


def test_a_capability_of_an_exec_is_ambient_where_it_is_inherited() -> None:
    sets = {"inheritable": ["CAP_KILL"], "ambient": ["CAP_CHOWN"]}
    spec: Any = {"process": {**SPEC["process"], "capabilities": sets}}
    given = process_of(spec, Changes(["x"], capabilities=["kill", "CAP_FLY"]))["capabilities"]
    assert given["bounding"] == ["CAP_KILL", "CAP_FLY"]
    assert given["ambient"] == ["CAP_CHOWN", "CAP_KILL"]


def test_readiness_is_told_to_the_hosts_socket(tmp_path: Path) -> None:
    socket = tmp_path / "notify.sock"
    socket.touch()
    spec: Any = {"process": {"env": ["HOME=/"]}, "root": {"path": "r"}}
    made = with_environment(spec, str(tmp_path), {"NOTIFY_SOCKET": str(socket)})
    assert made["process"]["env"] == ["HOME=/", f"NOTIFY_SOCKET={socket}/notify"]
    [mount] = made["mounts"]
    assert (mount["source"], mount["destination"]) == (str(socket), f"{socket}/notify")
    assert "mounts" not in with_environment(spec, str(tmp_path), {"NOTIFY_SOCKET": "@abstract"})


def test_the_environment_of_hooks(tmp_path: Path) -> None:
    hooks = {
        "prestart": [{"path": "/a"}, {"path": "/b", "env": []}],
        "startContainer": [{"path": "/c"}],
    }
    spec: Any = {"process": {"env": ["HOME=/"]}, "root": {"path": "r"}, "hooks": hooks}
    made = with_environment(spec, str(tmp_path), {"X": "1"})["hooks"]
    assert [hook["env"] for hook in made["prestart"]] == [["X=1"], []]
    assert [hook["env"] for hook in made["startContainer"]] == [["HOME=/"]]
    assert "env" not in spec["hooks"]["prestart"][0]
