"""`linux.resources` as files of cgroup v2 and the text for each (config-linux.md, "Control groups"). Pure.

The values are those of version 1, so they are converted, by the formulas of the reference runtimes.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_PERIOD = 100_000
LEAST_SHARES, MOST_SHARES = 2, 262_144
_LEAST_IO, _MOST_IO = 10, 1000


class Setting:
    """One write. `fallback`: file and text where the kernel lacks the file; `optional`: without it nothing is lost."""

    __slots__ = ("fallback", "name", "optional", "text")

    def __init__(
        self,
        name: str,
        text: str,
        fallback: tuple[str, str] | None = None,
        *,
        optional: bool = False,
    ) -> None:
        self.name = name
        self.text = text
        self.fallback = fallback
        self.optional = optional

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self._words() == other._words()

    def __hash__(self) -> int:
        return hash(self._words())

    def __repr__(self) -> str:
        return f"Setting{self._words()!r}"

    def _words(self) -> tuple[object, ...]:
        return self.name, self.text, self.fallback, self.optional


def settings_for(
    resources: Mapping[str, Any], current: Mapping[str, str] | None = None
) -> list[Setting]:
    """In the order of writing. `current`: what `cpu.max` and `memory.max` hold, for what is given by halves."""
    refuse(resources)
    now = current or {}
    return [
        *_memory(resources.get("memory") or {}, now),
        *_cpu(resources.get("cpu") or {}, now),
        *_cpuset(resources.get("cpu") or {}),
        *_pids(resources.get("pids") or {}),
        *_io(resources.get("blockIO") or {}),
        *_hugetlb(resources.get("hugepageLimits") or []),
        *_rdma(resources.get("rdma") or {}),
        *_unified(resources.get("unified") or {}),
    ]


def controllers_of(settings: list[Setting]) -> list[str]:
    """What `settings` cannot be written without."""
    names = {setting.name.partition(".")[0] for setting in settings if not setting.optional}
    return sorted(names - {"cgroup"})


# ---- what version 2 does not have

_GONE = (
    ("memory", "kernel", "memory.max counts the kernel's memory also"),
    ("memory", "kernelTCP", "memory.max counts it also"),
    ("memory", "swappiness", "write vm.swappiness of the host instead"),
    ("cpu", "realtimePeriod", "real-time processes are outside its cpu controller"),
    ("cpu", "realtimeRuntime", "real-time processes are outside its cpu controller"),
    ("blockIO", "leafWeight", 'its processes are in leaves: use "weight"'),
    ("network", "classID", "use nftables with the socket's cgroup"),
    ("network", "priorities", "use nftables with the socket's cgroup"),
)


def refuse(resources: Mapping[str, Any]) -> None:
    """What has no meaning in version 2 is an error, never silently left out."""
    for section, field, reason in _GONE:
        if (resources.get(section) or {}).get(field) not in (None, 0, -1, []):
            raise _no_meaning(section, field, reason)
    memory = resources.get("memory") or {}
    if memory.get("disableOOMKiller"):
        reason = "the kernel always ends what exceeds memory.max"
        raise _no_meaning("memory", "disableOOMKiller", reason)
    if memory.get("useHierarchy") is False:
        raise _no_meaning("memory", "useHierarchy", "groups are always a hierarchy")


def _no_meaning(section: str, field: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f'"linux.resources.{section}.{field}" cannot be set with cgroup v2: {reason}',
        f"remove {field} from linux.resources.{section}",
    )


# ---- the controllers


def number(value: int) -> str:
    return "max" if value < 0 else str(value)


def _limit(name: str, value: int) -> Setting:
    """No limit is what a group without the controller has."""
    return Setting(name, number(value), optional=value < 0)


def _memory(memory: Mapping[str, Any], now: Mapping[str, str]) -> list[Setting]:
    """Swap first: lowering memory.max then has somewhere to put what is over."""
    found = []
    swap = swap_of(memory, now.get("memory.max", ""))
    if swap is not None:
        # Without swap (CONFIG_SWAP, swapaccount=0) there is no file, and none can be used up either.
        found.append(Setting("memory.swap.max", number(swap), optional=swap <= 0))
    if memory.get("limit"):
        found.append(_limit("memory.max", memory["limit"]))
    if memory.get("reservation"):
        found.append(_limit("memory.low", memory["reservation"]))
    return found


def swap_of(memory: Mapping[str, Any], current_limit: str = "") -> int | None:
    """The configuration counts memory and swap together, the kernel swap alone; -1 is no limit, None nothing asked."""
    limit, swap = memory.get("limit") or 0, memory.get("swap")
    if swap is None:
        return -1 if limit < 0 else None
    if swap <= 0:
        return int(swap)
    if not limit:
        limit = int(current_limit) if current_limit.strip().isdigit() else 0
    if limit <= 0:
        raise InvalidInput(
            "cannot set the swap limit without the memory limit",
            'set "limit" in linux.resources.memory also',
        )
    if swap < limit:
        raise InvalidInput(
            f"cannot set the memory+swap limit {swap} less than the memory limit {limit}",
            'it counts both: give "swap" at least the value of "limit"',
        )
    return int(swap - limit)


def _cpu(cpu: Mapping[str, Any], now: Mapping[str, str]) -> list[Setting]:
    found = []
    idle, cpu_max = cpu.get("idle"), now.get("cpu.max", "")
    if idle is None and cpu.get("shares") and now.get("cpu.idle", "").strip() == "1":
        idle = 0
    if idle is not None:
        found.append(Setting("cpu.idle", str(idle)))
    if cpu.get("shares") and not idle:  # the kernel refuses a weight of an idle group
        found.append(Setting("cpu.weight", str(weight_of(cpu["shares"]))))
    limits = []
    if cpu.get("burst") is not None:
        limits.append(Setting("cpu.max.burst", str(cpu["burst"])))
    if cpu.get("quota") or cpu.get("period"):
        quota, period = bandwidth(cpu, cpu_max)
        none = quota < 0 and not cpu.get("period")
        limits.append(Setting("cpu.max", f"{number(quota)} {period}", optional=none))
    return found + (limits[::-1] if _is_quota_first(cpu, cpu_max) else limits)


def _is_quota_first(cpu: Mapping[str, Any], cpu_max: str) -> bool:
    """The kernel wants a burst of at most the quota, after each write."""
    quota = cpu_max.partition(" ")[0]
    return quota.isdigit() and int(quota) < (cpu.get("burst") or 0)


def weight_of(shares: int) -> int:
    """cpu.weight: a curve through least, default (1024 → 100) and most, as runc 1.3 and crun 1.23 have it."""
    if shares <= LEAST_SHARES:
        return 1
    if shares >= MOST_SHARES:
        return 10000
    from math import ceil, log2

    bits = log2(shares)
    return ceil(10 ** ((bits * bits + 125 * bits) / 612 - 7 / 34))


def bandwidth(cpu: Mapping[str, Any], cpu_max: str) -> tuple[int, int]:
    """Quota (-1: none) and period; the half that is not given stays what it is."""
    words = cpu_max.split()
    quota = int(words[0]) if words and words[0].isdigit() else -1
    period = int(words[1]) if len(words) > 1 else DEFAULT_PERIOD
    asked = cpu.get("quota") or quota
    return (asked if asked > 0 else -1), cpu.get("period") or period


def completed(resources: Mapping[str, Any], current: Mapping[str, str]) -> Mapping[str, Any]:
    """With both halves of cpu.max, where one is given."""
    cpu = resources.get("cpu") or {}
    if not (cpu.get("quota") or cpu.get("period")):
        return resources
    quota, period = bandwidth(cpu, current.get("cpu.max", ""))
    return {**resources, "cpu": {**cpu, "quota": quota, "period": period}}


def _cpuset(cpu: Mapping[str, Any]) -> list[Setting]:
    return [Setting(f"cpuset.{field}", cpu[field]) for field in ("cpus", "mems") if cpu.get(field)]


def _pids(pids: Mapping[str, Any]) -> list[Setting]:
    return [_limit("pids.max", pids["limit"])] if pids.get("limit") else []


_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


def _io(block: Mapping[str, Any]) -> list[Setting]:
    """Weights of the BFQ scheduler, which counts them as version 1 did; else of the io cost model."""
    found = []
    if block.get("weight"):
        found.append(_io_weight("default ", block["weight"]))
    for row in block.get("weightDevice") or []:
        if row.get("weight"):
            found.append(_io_weight(f"{row['major']}:{row['minor']} ", row["weight"]))
    for field, key in _THROTTLES:
        for row in block.get(field) or []:
            rate = row["rate"] or "max"
            found.append(Setting("io.max", f"{row['major']}:{row['minor']} {key}={rate}"))
    return found


def _io_weight(device: str, weight: int) -> Setting:
    other = f"{device}{io_weight_of(weight)}"
    return Setting("io.bfq.weight", f"{device}{weight}", ("io.weight", other))


def io_weight_of(weight: int) -> int:
    """10 … 1000 → 1 … 10000"""
    if not _LEAST_IO <= weight <= _MOST_IO:
        raise InvalidInput(
            f'invalid weight {weight} in "linux.resources.blockIO"', "it is 10 to 1000"
        )
    return 1 + (weight - _LEAST_IO) * 9999 // (_MOST_IO - _LEAST_IO)


def _hugetlb(rows: list[Mapping[str, Any]]) -> list[Setting]:
    found = []
    for row in rows:
        size, text = row["pageSize"], str(row["limit"])
        found.append(Setting(f"hugetlb.{size}.max", text))
        found.append(Setting(f"hugetlb.{size}.rsvd.max", text, optional=True))  # 5.7
    return found


def _rdma(devices: Mapping[str, Mapping[str, Any]]) -> list[Setting]:
    found = []
    for device, row in devices.items():
        words = [
            f"{key}={row[field]}"
            for field, key in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
            if row.get(field) is not None
        ]
        if words:
            found.append(Setting("rdma.max", " ".join([device, *words])))
    return found


def _unified(rows: Mapping[str, str]) -> list[Setting]:
    """Last, so that they win; a file of devices takes one line a write."""
    return [Setting(name, line) for name, text in rows.items() for line in text.splitlines()]
