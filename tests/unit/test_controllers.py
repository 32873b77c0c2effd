"""Limits written into a group, over ordinary directories; statistics read from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rcrun.cgroup import controllers, delegated
from rcrun.cgroup.stats import stats
from rcrun.errors import HostLacks, InvalidInput

ALL = "cpu io memory pids\n"


class Tree:
    """A hierarchy with app/box in it."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self.box = mount / "app/box"
        self.box.mkdir(parents=True)
        for group in (mount, mount / "app", self.box):
            self.put(group, "cgroup.controllers", ALL)
            self.put(group, "cgroup.subtree_control", "")

    def put(self, group: Path, name: str, text: str) -> None:
        (group / name).write_text(text, encoding="ascii")

    def has(self, **files: str) -> Tree:
        for name, text in files.items():
            self.put(self.box, name.replace("_", "."), text)
        return self

    def limit(self, **resources: Any) -> None:
        controllers.limit(str(self.box), resources, str(self.mount))

    def text(self, name: str) -> str:
        return (self.box / name).read_text(encoding="ascii")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_limits_are_written(tree: Tree) -> None:
    tree.has(memory_max="", memory_swap_max="", pids_max="")
    tree.limit(memory={"limit": 64 << 20, "swap": 96 << 20}, pids={"limit": 20})
    assert tree.text("memory.max") == "67108864"
    assert tree.text("memory.swap.max") == "33554432"
    assert tree.text("pids.max") == "20"
    above = (tree.mount / "app/cgroup.subtree_control").read_text(encoding="ascii")
    assert above == "+pids"  # each is written by itself


def test_a_controller_that_is_not_delegated_is_named(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.has(cgroup_controllers="pids\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HostLacks) as caught:
        tree.limit(memory={"limit": 1 << 20}, cpu={"shares": 512})
    assert caught.value.message == (
        "cannot set the limits asked for: no delegation of the cgroup controllers "
        '"cpu" and "memory" to this user'
    )
    assert caught.value.hint is not None
    assert "Delegate=cpu cpuset io memory pids\\n" in caught.value.hint
    assert "user@.service.d/delegate.conf" in caught.value.hint


def test_for_root_it_is_a_group_that_holds_processes(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.has(cgroup_controllers="pids\n")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(HostLacks, match='"memory" cannot be let down to the group') as caught:
        tree.limit(memory={"limit": 1 << 20})
    assert "linux.cgroupsPath" in (caught.value.hint or "")


def test_a_controller_that_the_host_lacks(tree: Tree) -> None:
    with pytest.raises(HostLacks, match="controller `foo` is not available on this host"):
        tree.limit(unified={"foo.bar": "1"})


def test_no_limit_needs_nothing(tree: Tree) -> None:
    for group in (tree.mount, tree.mount / "app", tree.box):
        tree.put(group, "cgroup.controllers", "")
    tree.limit(memory={"limit": -1, "swap": 0}, pids={"limit": -1}, cpu={"quota": -1})
    assert sorted(path.name for path in tree.box.iterdir()) == [
        "cgroup.controllers",
        "cgroup.subtree_control",
    ]


def test_io_weight_without_bfq(tree: Tree) -> None:
    tree.has(io_weight="")
    tree.limit(blockIO={"weight": 750})
    assert tree.text("io.weight") == "default 7475"


def test_what_the_kernel_says(tree: Tree) -> None:
    with pytest.raises(HostLacks) as caught:
        tree.limit(unified={"memory.DOESNTEXIST": "baz"})
    assert (
        caught.value.message == 'cannot set "memory.DOESNTEXIST" to baz: no such file or directory'
    )


def test_check_before_update(tree: Tree) -> None:
    tree.has(memory_current="5000\n", memory_swap_current="0\n", memory_max="max\n")
    with pytest.raises(InvalidInput, match="lower than its current usage"):
        tree.limit(memory={"limit": 4096, "checkBeforeUpdate": True})
    assert tree.text("memory.max") == "max\n"
    tree.limit(memory={"limit": 8192, "checkBeforeUpdate": True})
    assert tree.text("memory.max") == "8192"


def test_only_what_is_there_is_let_down(tree: Tree) -> None:
    tree.put(tree.mount, "cgroup.subtree_control", "cpu memory pids\n")
    delegated.let_down_usual(str(tree.box), str(tree.mount))
    assert (tree.mount / "cgroup.subtree_control").read_text(encoding="ascii") == "+io"
    delegated.let_down_all(str(tree.box))
    assert tree.text("cgroup.subtree_control") == "+pids"


def test_statistics(tree: Tree) -> None:
    """The fields of runc's types/events.go."""
    tree.has(
        cpu_stat="usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 3\nnr_throttled 2\nthrottled_usec 7\n",
        cpu_pressure="some avg10=0.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
        cpuset_cpus="0-1,4\n",
        memory_stat="anon 5\nfile 6\n",
        memory_current="100\n",
        memory_max="4096\n",
        memory_peak="200\n",
        memory_events="low 0\nhigh 0\nmax 8\noom 1\noom_kill 1\n",
        memory_swap_current="50\n",
        memory_swap_max="max\n",
        pids_current="3\n",
        pids_max="10\n",
        io_stat="8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\nbroken\n",
    )
    tree.put(tree.box, "hugetlb.2MB.current", "2097152\n")
    tree.put(tree.box, "hugetlb.2MB.events", "max 4\n")
    found = json.loads(json.dumps(stats(str(tree.box))))
    assert found["cpu"]["usage"] == {"kernel": 10000, "user": 20000, "total": 30000}
    assert found["cpu"]["throttling"] == {
        "periods": 3,
        "throttledPeriods": 2,
        "throttledTime": 7000,
    }
    assert found["cpu"]["psi"]["some"] == {"avg10": 0.5, "avg60": 0.0, "avg300": 0.0, "total": 9}
    assert found["cpuset"]["cpus"] == [0, 1, 4]
    assert found["memory"]["cache"] == 6
    assert found["memory"]["usage"] == {"limit": 4096, "usage": 100, "max": 200, "failcnt": 8}
    assert found["memory"]["swap"] == {"limit": 2**64 - 1, "usage": 150, "failcnt": 0}
    assert found["memory"]["raw"] == {"anon": 5, "file": 6}
    assert found["pids"] == {"current": 3, "limit": 10}
    assert {"major": 8, "minor": 16, "op": "Write", "value": 2} in found["blkio"][
        "ioServiceBytesRecursive"
    ]
    assert found["hugetlb"] == {"2MB": {"usage": 2097152, "failcnt": 4}}


def test_statistics_of_nothing(tmp_path: Path) -> None:
    found = stats(str(tmp_path / "gone"))
    assert (found["pids"], found["hugetlb"], found["blkio"]) == ({}, {}, {})
