"""`linux.resources` as properties of a systemd scope, and what a cgroupsPath of systemd means. Pure.

A property is (name, D-Bus signature, value). Weights and protections must stand at the scope, where the container
meets its neighbours; limits stand there also, so that systemctl shows them.
"""

from __future__ import annotations

from rcrun.cgroup import limits
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Property = tuple[str, str, Any]

INFINITY = 2**64 - 1
_IDLE_VERSION = 252  # CPUWeight=idle
_ANNOTATION = "org.systemd.property."


class Place:
    """A scope in a slice, as `cgroupsPath` names them: SLICE:PREFIX:NAME, also SLICE:NAME."""

    __slots__ = ("slice", "unit")

    def __init__(self, slice_name: str, unit: str) -> None:
        self.slice = slice_name
        self.unit = unit


def place_of(cgroups_path: str, container_id: str, *, user: bool) -> Place:
    default = "user.slice" if user else "system.slice"
    if not cgroups_path:
        return Place(default, f"rcrun-{container_id}.scope")
    parts = cgroups_path.split(":")
    if len(parts) == 2:
        parts.insert(1, "")
    if len(parts) != 3 or "/" in cgroups_path:
        raise InvalidInput(
            f'"linux.cgroupsPath" "{cgroups_path}" is none of systemd\'s, which are SLICE:PREFIX:NAME',
            "write it like user.slice:rcrun:NAME, or use --cgroup-manager=cgroupfs",
        )
    slice_name, prefix, name = parts
    expand_slice(slice_name or default)
    unit = f"{prefix}{'-' if prefix else ''}{name or container_id}.scope"
    return Place(slice_name or default, unit)


def expand_slice(name: str) -> str:
    """Where a slice is below systemd's root: `a-b.slice` is in `a.slice` (systemd.slice(5))."""
    stem = name.removesuffix(".slice")
    if stem == "-":
        return ""
    parts = stem.split("-")
    if not name.endswith(".slice") or "/" in name or not all(parts):
        raise InvalidInput(
            f'invalid slice "{name}" in "linux.cgroupsPath"', "write it like user.slice"
        )
    return "".join([f"/{'-'.join(parts[: end + 1])}.slice" for end in range(len(parts))])


def properties_for(
    resources: Mapping[str, Any], current: Mapping[str, str] | None = None, version: int = 0
) -> list[Property]:
    """`current` as in limits; `version` is systemd's, for what older ones do not have."""
    limits.refuse(resources)
    now = current or {}
    memory, cpu, pids = (resources.get(key) or {} for key in ("memory", "cpu", "pids"))
    found: dict[str, Property] = {}
    for row in [
        *_memory(memory, now),
        *_cpu(cpu, now.get("cpu.max", ""), version),
        *_cpuset(cpu.get("cpus"), cpu.get("mems")),
        *_tasks(pids),
        *_io(resources.get("blockIO") or {}),
        *_unified(resources.get("unified") or {}, version),
    ]:
        found[row[0]] = row
    return list(found.values())


def _bytes(name: str, value: int) -> Property:
    return name, "t", INFINITY if value < 0 else value


def _memory(memory: Mapping[str, Any], now: Mapping[str, str]) -> list[Property]:
    found = []
    swap = limits.swap_of(memory, now.get("memory.max", ""))
    if swap is not None:
        found.append(_bytes("MemorySwapMax", swap))
    for field, name in (("limit", "MemoryMax"), ("reservation", "MemoryLow")):
        if memory.get(field):
            found.append(_bytes(name, memory[field]))
    return found


def _cpu(cpu: Mapping[str, Any], cpu_max: str, version: int) -> list[Property]:
    found: list[Property] = []
    if cpu.get("idle") and version >= _IDLE_VERSION:
        found.append(("CPUWeight", "t", 0))
    elif cpu.get("shares"):
        found.append(("CPUWeight", "t", limits.weight_of(cpu["shares"])))
    elif cpu.get("idle") == 0:
        found.append(("CPUWeight", "t", 100))
    if cpu.get("quota") or cpu.get("period"):
        found += _quota(*limits.bandwidth(cpu, cpu_max))
    return found


def _quota(quota: int, period: int) -> list[Property]:
    per_second = INFINITY if quota < 0 else _per_second(quota, period)
    return [("CPUQuotaPeriodUSec", "t", period), ("CPUQuotaPerSecUSec", "t", per_second)]


def _per_second(quota: int, period: int) -> int:
    """systemd counts whole percents: rounded up, so that the group below can have what was asked for."""
    return -(-quota * 1_000_000 // period // 10_000) * 10_000


def for_scope(resources: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the files of the scope itself are to have: as systemd writes them, now and later."""
    cpu = resources.get("cpu") or {}
    if (cpu.get("quota") or 0) <= 0:
        return resources
    quota, period = limits.bandwidth(cpu, "")
    rounded = _per_second(quota, period) * period // 1_000_000
    return {**resources, "cpu": {**cpu, "quota": rounded, "period": period}}


def _cpuset(cpus: str | None, mems: str | None) -> list[Property]:
    found: list[Property] = []
    if cpus:
        found.append(("AllowedCPUs", "ay", bits_of(cpus)))
    if mems:
        found.append(("AllowedMemoryNodes", "ay", bits_of(mems)))
    return found


def bits_of(text: str) -> bytes:
    """`0-3,8` as a mask, lowest byte first."""
    mask = 0
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise InvalidInput(
                f'invalid list "{text}" in "linux.resources.cpu"', "write it like 0-3,5"
            )
        for number in range(int(first), int(last or first) + 1):
            mask |= 1 << number
    return mask.to_bytes(mask.bit_length() // 8 + 1, "little").rstrip(b"\0") or b"\0"


def _tasks(pids: Mapping[str, Any]) -> list[Property]:
    return [_bytes("TasksMax", pids["limit"])] if pids.get("limit") else []


def _io(block: Mapping[str, Any]) -> list[Property]:
    """Limits of devices stand in the group below, where they count as well."""
    found: list[Property] = []
    if block.get("weight"):
        found.append(("IOWeight", "t", limits.io_weight_of(block["weight"])))
    rows = [
        (f"/dev/block/{row['major']}:{row['minor']}", limits.io_weight_of(row["weight"]))
        for row in block.get("weightDevice") or []
        if row.get("weight")
    ]
    if rows:
        found.append(("IODeviceWeight", "a(st)", rows))
    return found


_UNIFIED_BYTES = {
    "memory.max": "MemoryMax",
    "memory.high": "MemoryHigh",
    "memory.low": "MemoryLow",
    "memory.min": "MemoryMin",
    "memory.swap.max": "MemorySwapMax",
    "memory.zswap.max": "MemoryZSwapMax",
    "pids.max": "TasksMax",
}


def _unified(rows: Mapping[str, str], version: int) -> list[Property]:
    """As far as systemd has them; the files of the group have all."""
    found: list[Property] = []
    for name, text in rows.items():
        value = text.strip()
        if name in _UNIFIED_BYTES and (value == "max" or value.isdigit()):
            found.append(_bytes(_UNIFIED_BYTES[name], -1 if value == "max" else int(value)))
        elif name == "cpu.max":
            found += _quota(*limits.bandwidth({}, value))
        elif name == "cpuset.cpus":
            found += _cpuset(value, None)
        elif name == "cpuset.mems":
            found += _cpuset(None, value)
    return found + _unified_weights(rows, version)


def _unified_weights(rows: Mapping[str, str], version: int) -> list[Property]:
    found: list[Property] = []
    weight, io = rows.get("cpu.weight", "").strip(), rows.get("io.weight", "")
    if rows.get("cpu.idle", "").strip() == "1":
        if version >= _IDLE_VERSION:
            found.append(("CPUWeight", "t", 0))
    elif weight.isdigit():
        found.append(("CPUWeight", "t", int(weight)))
    io = io.strip().removeprefix("default ").strip()
    if io.isdigit():
        found.append(("IOWeight", "t", int(io)))
    group = rows.get("memory.oom.group", "").strip()
    if group in ("0", "1"):
        found.append(("OOMPolicy", "s", "kill" if group == "1" else "continue"))
    return found


def of_annotations(annotations: Mapping[str, str]) -> list[Property]:
    """`org.systemd.property.NAME`: a value in GVariant's text, of the types that properties have."""
    found = []
    for key, text in annotations.items():
        name = key.removeprefix(_ANNOTATION)
        if name == key:
            continue
        if len(name) < 3 or not name.isalnum():
            raise InvalidInput(f'invalid systemd property "{key}" in "annotations"')
        found.append(_annotated(key, name, text.strip()))
    return found


def _annotated(key: str, name: str, text: str) -> Property:
    factor = 1
    if name.endswith("Sec") and not name.endswith("USec"):
        name, factor = f"{name[:-3]}USec", 1_000_000
    if text in ("true", "false"):
        return name, "b", text == "true"
    if text[:1] in ("'", '"'):
        return name, "s", _strings(key, text)[0]
    if text[:1] == "[":
        return name, "as", _strings(key, text[1:].rstrip("]"))
    kind, _, digits = text.rpartition(" ")
    signature = {"uint64": "t", "int64": "x", "uint32": "u", "int32": "i", "": "i"}.get(kind)
    if signature is None or not digits.removeprefix("-").isdigit():
        raise InvalidInput(
            f'invalid value {text} of "{key}" in "annotations"',
            "it is true, false, 'text', ['text', 'text'], or a number as uint64 5",
        )
    return name, signature, int(digits) * factor


def _strings(key: str, text: str) -> list[str]:
    found, rest = [], text.strip()
    while rest:
        quote = rest[0]
        end, value = 1, ""
        while end < len(rest) and rest[end] != quote:
            end += rest[end] == "\\"
            value += rest[end : end + 1]
            end += 1
        if quote not in "'\"" or end >= len(rest):
            raise InvalidInput(f'invalid value {text} of "{key}" in "annotations"')
        found.append(value)
        rest = rest[end + 1 :].strip().removeprefix(",").strip()
    return found
