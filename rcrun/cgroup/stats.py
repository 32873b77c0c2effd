"""What a group has used, in the words of `runc events` (its types/events.go), from the files of cgroup v2."""

from __future__ import annotations

import os

from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = 2**64 - 1  # what version 1 called unlimited
_PRESSURES = (("cpu", "cpu"), ("memory", "memory"), ("blkio", "io"))


def stats(path: str) -> dict[str, Any]:
    """As much as the controllers of the group tell."""
    found: dict[str, Any] = {
        "cpu": _cpu(path),
        "cpuset": _cpuset(path),
        "memory": _memory(path),
        "pids": _without_zeros({"current": number(path, "pids.current"), "limit": _pids_limit(path)}),
        "blkio": _blkio(path),
        "hugetlb": _hugetlb(path),
        "intel_rdt": {},
        "network_interfaces": None,
    }  # fmt: skip
    for section, controller in _PRESSURES:
        pressure = _pressure(read_text(f"{path}/{controller}.pressure"))
        if pressure:
            found[section]["psi"] = pressure
    return found


def number(path: str, name: str) -> int:
    """0 where there is no such file, the most that there is for `max`."""
    text = read_text(f"{path}/{name}").strip()
    return _MOST if text == "max" else int(text) if text.isdigit() else 0


def rows(path: str, name: str) -> dict[str, int]:
    """A file of lines `KEY NUMBER`."""
    words = [line.split() for line in read_text(f"{path}/{name}").splitlines()]
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _without_zeros(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value}


def _pids_limit(path: str) -> int:
    limit = number(path, "pids.max")
    return 0 if limit == _MOST else limit


def _cpu(path: str) -> dict[str, Any]:
    found = rows(path, "cpu.stat")
    usage = {
        "kernel": found.get("system_usec", 0) * 1000,
        "user": found.get("user_usec", 0) * 1000,
        "total": found.get("usage_usec", 0) * 1000,
    }
    throttling = {
        "periods": found.get("nr_periods", 0),
        "throttledPeriods": found.get("nr_throttled", 0),
        "throttledTime": found.get("throttled_usec", 0) * 1000,
    }
    return {"usage": usage, "throttling": _without_zeros(throttling)}


_CPUSET_OF_V1 = (
    "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
    "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
)  # fmt: skip


def _cpuset(path: str) -> dict[str, Any]:
    lists = {field: _list(read_text(f"{path}/cpuset.{field}")) for field in ("cpus", "mems")}
    return {**_without_zeros(lists), **dict.fromkeys(_CPUSET_OF_V1, 0)}


def _list(text: str) -> list[int]:
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found += range(int(first), int(last or first) + 1)
    return found


def _memory(path: str) -> dict[str, Any]:
    """Swap is told together with memory, as version 1 did."""
    raw = rows(path, "memory.stat")
    usage = _entry(path, "memory")
    swap = _entry(path, "memory.swap")
    swap["usage"] += usage["usage"]
    if swap["limit"] != _MOST:
        swap["limit"] += usage["limit"]
    swap.pop("max", None)
    found: dict[str, Any] = {"usage": usage, "swap": swap, "raw": raw}
    return {**_without_zeros({"cache": raw.get("file", 0)}), **found}


def _entry(path: str, name: str) -> dict[str, int]:
    peak = number(path, f"{name}.peak")  # 5.19, of swap 6.5
    entry = {
        "limit": number(path, f"{name}.max"),
        "usage": number(path, f"{name}.current"),
        "failcnt": rows(path, f"{name}.events").get("max", 0),
    }
    return {**entry, **_without_zeros({"max": peak})}


_IO_FIELDS = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "dbytes": ("ioServiceBytesRecursive", "Discard"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
    "dios": ("ioServicedRecursive", "Discard"),
}


def _blkio(path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in read_text(f"{path}/io.stat").splitlines():
        device, *words = line.split()
        major, _, minor = device.partition(":")
        if not (major.isdigit() and minor.isdigit()):
            continue
        for word in words:
            key, _, value = word.partition("=")
            if key in _IO_FIELDS and value.isdigit():
                section, operation = _IO_FIELDS[key]
                row = {"major": int(major), "minor": int(minor), "op": operation}
                found.setdefault(section, []).append({**row, "value": int(value)})
    return found


def _hugetlb(path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        names = os.listdir(path)
    except OSError:
        return found
    for name in sorted(names):
        if name.startswith("hugetlb.") and name.endswith("B.current"):
            size = name.split(".")[1]
            failures = rows(path, f"hugetlb.{size}.events").get("max", 0)
            usage = _without_zeros({"usage": number(path, name)})
            found[size] = {**usage, "failcnt": failures}
    return found


def _pressure(text: str) -> dict[str, Any]:
    """`some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and a line `full`."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        kind, *words = line.split()
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        found[kind] = {
            key: int(value) if key == "total" else float(value) for key, value in pairs.items()
        }
    return found
