"""linux.resources → files of cgroup v2."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.cgroup.limits import completed, controllers_of, settings_for, weight_of
from rcrun.errors import InvalidInput

MIB = 1 << 20


def written(resources: dict[str, Any], **now: str) -> list[tuple[str, str]]:
    current = {name.replace("_", "."): text for name, text in now.items()}
    return [(setting.name, setting.text) for setting in settings_for(resources, current)]


def test_nothing_asked() -> None:
    assert written({}) == []
    assert (
        written({"memory": {"limit": 0}, "cpu": {"shares": 0, "quota": 0}, "pids": {"limit": 0}})
        == []
    )


def test_memory_swap_first() -> None:
    memory = {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 16 * MIB}
    assert written({"memory": memory}) == [
        ("memory.swap.max", str(32 * MIB)),
        ("memory.max", str(64 * MIB)),
        ("memory.low", str(16 * MIB)),
    ]


@pytest.mark.parametrize(
    ("memory", "now", "swap"),
    [
        ({"limit": 8, "swap": 8}, "", "0"),
        ({"limit": 8, "swap": -1}, "", "max"),
        ({"swap": 0}, "", "0"),
        ({"limit": -1}, "", "max"),  # as both were one limit in version 1
        ({"swap": 10}, "8\n", "2"),
    ],
)
def test_swap_is_counted_alone(memory: dict[str, int], now: str, swap: str) -> None:
    assert ("memory.swap.max", swap) in written({"memory": memory}, memory_max=now)


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        ({"swap": 10}, "cannot set the swap limit without the memory limit"),
        ({"swap": 10, "limit": -1}, "without the memory limit"),
        ({"swap": 10, "limit": 11}, "less than the memory limit"),
    ],
)
def test_swap_that_cannot_be(memory: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidInput, match=words.replace("+", r"\+")):
        settings_for({"memory": memory})


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(1, 1), (2, 1), (3, 2), (1024, 100), (260000, 9929), (262144, 10000), (1 << 30, 10000)],
)
def test_shares(shares: int, weight: int) -> None:
    """The values that crun's suite expects."""
    assert weight_of(shares) == weight


def test_weights_grow_with_shares() -> None:
    weights = [weight_of(shares) for shares in range(2, 5000)]
    assert weights == sorted(weights)


@pytest.mark.parametrize(
    ("cpu", "now", "text"),
    [
        ({"quota": 5000}, "", "5000 100000"),
        ({"period": 5000}, "", "max 5000"),
        ({"quota": -1, "period": 5000}, "7 8\n", "max 5000"),
        ({"quota": 5000}, "max 20000\n", "5000 20000"),
        ({"period": 20000}, "5000 100000\n", "5000 20000"),
        ({"quota": -1}, "5000 20000\n", "max 20000"),
    ],
)
def test_bandwidth_by_halves(cpu: dict[str, int], now: str, text: str) -> None:
    assert written({"cpu": cpu}, cpu_max=now) == [("cpu.max", text)]


def test_both_halves() -> None:
    halves = {"cpu": {"quota": 5000, "shares": 3}}
    assert completed(halves, {"cpu.max": "max 20000\n"}) == {
        "cpu": {"quota": 5000, "period": 20000, "shares": 3}
    }
    assert completed({"cpu": {"shares": 3}}, {"cpu.max": "max 20000\n"}) == {"cpu": {"shares": 3}}


def test_a_burst_is_never_over_the_quota() -> None:
    cpu = {"quota": 9000, "burst": 8000}
    assert [name for name, _ in written({"cpu": cpu})] == ["cpu.max.burst", "cpu.max"]
    raised = written({"cpu": cpu}, cpu_max="5000 100000\n")
    assert [name for name, _ in raised] == ["cpu.max", "cpu.max.burst"]
    assert written({"cpu": {"burst": 0}}) == [("cpu.max.burst", "0")]


def test_idle_groups_have_no_weight() -> None:
    assert written({"cpu": {"idle": 1, "shares": 512}}) == [("cpu.idle", "1")]
    assert written({"cpu": {"shares": 1024}}, cpu_idle="1\n") == [
        ("cpu.idle", "0"),
        ("cpu.weight", "100"),
    ]


def test_io() -> None:
    device = {"major": 8, "minor": 16}
    settings = settings_for(
        {
            "blockIO": {
                "weight": 750,
                "weightDevice": [{**device, "weight": 10}],
                "throttleReadBpsDevice": [{**device, "rate": 100}],
                "throttleWriteIOPSDevice": [{**device, "rate": 0}],
            }
        }
    )
    assert [(one.name, one.text, one.fallback) for one in settings] == [
        ("io.bfq.weight", "default 750", ("io.weight", "default 7475")),
        ("io.bfq.weight", "8:16 10", ("io.weight", "8:16 1")),
        ("io.max", "8:16 rbps=100", None),
        ("io.max", "8:16 wiops=max", None),
    ]
    with pytest.raises(InvalidInput, match="invalid weight 9"):
        settings_for({"blockIO": {"weight": 9}})


def test_the_other_controllers() -> None:
    assert written(
        {
            "cpu": {"cpus": "0-1", "mems": "0"},
            "pids": {"limit": -1},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
            "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "none": {}},
            "unified": {"io.max": "8:0 riops=1\n8:16 riops=2\n", "misc.max": "sev 2", "pids.max": "9"},
        }
    ) == [
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
        ("pids.max", "max"),
        ("hugetlb.2MB.max", "4194304"),
        ("hugetlb.2MB.rsvd.max", "4194304"),
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"),
        ("io.max", "8:0 riops=1"),
        ("io.max", "8:16 riops=2"),
        ("misc.max", "sev 2"),
        ("pids.max", "9"),
    ]  # fmt: skip


def test_no_limit_needs_no_controller() -> None:
    unlimited = {
        "memory": {"limit": -1, "reservation": -1},
        "pids": {"limit": -1},
        "cpu": {"quota": -1},
    }
    assert controllers_of(settings_for(unlimited)) == []
    limited = {"memory": {"limit": 1}, "cpu": {"period": 5000}, "unified": {"cgroup.freeze": "0"}}
    assert controllers_of(settings_for(limited)) == ["cpu", "memory"]


@pytest.mark.parametrize(
    ("section", "fields", "reason"),
    [
        ("memory", {"kernel": 1}, "counts the kernel's memory also"),
        ("memory", {"kernelTCP": 1}, "counts it also"),
        ("memory", {"swappiness": 60}, "vm.swappiness"),
        ("memory", {"disableOOMKiller": True}, "always ends"),
        ("memory", {"useHierarchy": False}, "always a hierarchy"),
        ("cpu", {"realtimePeriod": 1000}, "real-time"),
        ("cpu", {"realtimeRuntime": 1000}, "real-time"),
        ("blockIO", {"leafWeight": 10}, '"weight"'),
        ("network", {"classID": 5}, "nftables"),
        ("network", {"priorities": [{"name": "eth0", "priority": 1}]}, "nftables"),
    ],
)
def test_what_version_2_does_not_have_is_refused(
    section: str, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInput, match="cannot be set with cgroup v2") as caught:
        settings_for({section: fields})
    assert reason in caught.value.message
    assert caught.value.hint == f"remove {next(iter(fields))} from linux.resources.{section}"


def test_what_says_nothing_is_not_refused() -> None:
    memory = {"kernel": -1, "disableOOMKiller": False, "useHierarchy": True, "swappiness": None}
    assert written({"memory": memory, "network": {"priorities": []}}) == []
