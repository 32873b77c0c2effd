"""linux.resources → properties of a systemd scope; cgroupsPath of systemd; annotations."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.cgroup import properties
from rcrun.cgroup.properties import INFINITY, bits_of, expand_slice, of_annotations, place_of
from rcrun.errors import InvalidInput

MIB = 1 << 20


def given(resources: dict[str, Any], version: int = 252, **now: str) -> dict[str, Any]:
    current = {name.replace("_", "."): text for name, text in now.items()}
    rows = properties.properties_for(resources, current, version)
    return {name: value for name, _, value in rows}


def test_limits() -> None:
    resources = {
        "memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 16 * MIB},
        "cpu": {"shares": 1024, "quota": 50_000, "period": 100_000, "cpus": "0,2", "mems": "0"},
        "pids": {"limit": 20},
        "blockIO": {"weight": 750, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]},
    }
    assert given(resources) == {
        "MemorySwapMax": 32 * MIB,
        "MemoryMax": 64 * MIB,
        "MemoryLow": 16 * MIB,
        "CPUWeight": 100,
        "CPUQuotaPeriodUSec": 100_000,
        "CPUQuotaPerSecUSec": 500_000,
        "AllowedCPUs": b"\x05",
        "AllowedMemoryNodes": b"\x01",
        "TasksMax": 20,
        "IOWeight": 7475,
        "IODeviceWeight": [("/dev/block/8:0", 1)],
    }


def test_no_limit_is_infinity() -> None:
    unlimited = {"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}}
    assert given(unlimited) == {
        "MemorySwapMax": INFINITY,
        "MemoryMax": INFINITY,
        "CPUQuotaPeriodUSec": 100_000,
        "CPUQuotaPerSecUSec": INFINITY,
        "TasksMax": INFINITY,
    }
    assert given({"devices": [{"allow": False}]}) == {}


def test_quota_in_whole_percents_rounded_up() -> None:
    assert given({"cpu": {"quota": 33_333, "period": 100_000}})["CPUQuotaPerSecUSec"] == 340_000
    rounded = properties.for_scope({"cpu": {"quota": 600_000, "period": 900_000, "shares": 5}})
    assert rounded == {"cpu": {"quota": 603_000, "period": 900_000, "shares": 5}}
    assert properties.for_scope({"cpu": {"quota": -1}}) == {"cpu": {"quota": -1}}
    period_alone = given({"cpu": {"period": 200_000}}, cpu_max="50000 100000\n")
    assert period_alone == {"CPUQuotaPeriodUSec": 200_000, "CPUQuotaPerSecUSec": 250_000}


@pytest.mark.parametrize(
    ("cpu", "version", "expected"),
    [
        ({"idle": 1, "shares": 100}, 252, {"CPUWeight": 0}),
        ({"idle": 1}, 247, {}),
        ({"idle": 0}, 252, {"CPUWeight": 100}),
        ({"idle": 0, "shares": 2}, 252, {"CPUWeight": 1}),
    ],
)
def test_idle(cpu: dict[str, int], version: int, expected: dict[str, int]) -> None:
    assert given({"cpu": cpu}, version) == expected


def test_unified_as_far_as_systemd_has_it_and_over_the_rest() -> None:
    unified = {
        "memory.max": "max", "memory.high": "5", "memory.min": "4", "memory.swap.max": "0", "pids.max": "9",
        "cpu.max": "10000 100000", "cpu.weight": "42", "io.weight": "default 50", "cpuset.cpus": "8",
        "cpuset.mems": "0-1", "memory.oom.group": "1", "hugetlb.2MB.max": "0", "io.max": "8:0 riops=1",
    }  # fmt: skip
    assert given({"pids": {"limit": 3}, "unified": unified}) == {
        "TasksMax": 9,
        "MemoryMax": INFINITY,
        "MemoryHigh": 5,
        "MemoryMin": 4,
        "MemorySwapMax": 0,
        "CPUQuotaPeriodUSec": 100_000,
        "CPUQuotaPerSecUSec": 100_000,
        "AllowedCPUs": b"\x00\x01",
        "AllowedMemoryNodes": b"\x03",
        "CPUWeight": 42,
        "IOWeight": 50,
        "OOMPolicy": "kill",
    }
    assert given({"unified": {"cpu.idle": "1", "cpu.weight": "8"}}) == {"CPUWeight": 0}


def test_bits() -> None:
    assert bits_of("0-3,8") == b"\x0f\x01"
    assert bits_of("0") == b"\x01"
    for wrong in ("a", "1-", "0,,1", "-1"):
        with pytest.raises(InvalidInput, match="invalid list"):
            bits_of(wrong)


@pytest.mark.parametrize(
    ("path", "slice_name", "unit"),
    [
        ("user.slice:libpod:abc", "user.slice", "libpod-abc.scope"),
        ("machine.slice:libpod:abc", "machine.slice", "libpod-abc.scope"),
        (":cri:abc", "system.slice", "cri-abc.scope"),
        ("a.slice::abc", "a.slice", "abc.scope"),
        ("a.slice:abc.scope", "a.slice", "abc.scope.scope"),
        ("", "system.slice", "rcrun-ID.scope"),
    ],
)
def test_places(path: str, slice_name: str, unit: str) -> None:
    place = place_of(path, "ID", user=False)
    assert (place.slice, place.unit) == (slice_name, unit)


@pytest.mark.parametrize("path", ["/a/b", "a", "a:b", "a.slice:b:c/d", "a--b.slice:c:d", "a:b:c"])
def test_places_that_are_none(path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        place_of(path, "ID", user=True)
    assert caught.value.hint


def test_slices() -> None:
    assert expand_slice("user.slice") == "/user.slice"
    assert expand_slice("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice"
    assert expand_slice("-.slice") == ""


def test_annotations() -> None:
    prefix = "org.systemd.property."
    assert of_annotations(
        {
            "other": "x",
            f"{prefix}Delegate": "true",
            f"{prefix}CollectMode": "'inactive'",
            f"{prefix}After": "['a.target', 'b.target']",
            f"{prefix}TimeoutStopSec": "uint64 7",
            f"{prefix}TimeoutStartUSec": "uint64 5000000",
            f"{prefix}Nice": "-5",
            f"{prefix}Empty": "[]",
        }
    ) == [
        ("Delegate", "b", True),
        ("CollectMode", "s", "inactive"),
        ("After", "as", ["a.target", "b.target"]),
        ("TimeoutStopUSec", "t", 7_000_000),
        ("TimeoutStartUSec", "t", 5_000_000),
        ("Nice", "i", -5),
        ("Empty", "as", []),
    ]


@pytest.mark.parametrize("text", ["'open", "[a]", "five", "byte 5", "uint64 x", ""])
def test_annotations_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid value"):
        of_annotations({"org.systemd.property.Some": text})
