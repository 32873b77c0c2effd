"""config.json's `linux.resources`, of what was asked for alone; whether the host can do it is found out later. Pure."""

from __future__ import annotations

from rcrun.engine.options import pairs
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.engine.options import Options

    Stat = Callable[[str], os.stat_result | None]

_LEAST_MEMORY = 6 << 20
# Options that are limits, here and for `update`.
ASKING = (
    "memory", "memory_reservation", "memory_swap", "cpus", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus",
    "cpuset_mems", "pids_limit", "blkio_weight", "blkio_weight_device", "device_read_bps", "device_write_bps",
    "device_read_iops", "device_write_iops", "cgroup_conf",
)  # fmt: skip
_THROTTLES = (
    ("device_read_bps", "throttleReadBpsDevice"),
    ("device_write_bps", "throttleWriteBpsDevice"),
    ("device_read_iops", "throttleReadIOPSDevice"),
    ("device_write_iops", "throttleWriteIOPSDevice"),
)


def limits(options: Options, stat: Stat, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`stat` finds the numbers of devices; `before` are the limits that `update` changes."""
    resources: dict[str, Any] = {}
    old = (before or {}).get("memory") or {}
    for name, values in (
        ("memory", _memory(options, old.get("limit") or 0)),
        ("cpu", _cpu(options)),
        ("blockIO", _block_io(options, stat)),
    ):
        if values:
            resources[name] = values
    pids = options.get("pids_limit")
    if pids is not None:  # 0 and -1: not even the default
        resources["pids"] = {"limit": pids if pids > 0 else -1}
    if options.get("cgroup_conf"):
        words = [word for text in options["cgroup_conf"] for word in text.split(",")]
        resources["unified"] = pairs(words, "--cgroup-conf", bare=False)
    return resources


def _memory(options: Options, before: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, name in (("memory", "limit"), ("memory_reservation", "reservation")):
        amount = _bytes(options[key], key) if options.get(key) else 0
        if amount:  # 0 is no limit
            found[name] = amount
    if "limit" in found and found["limit"] < _LEAST_MEMORY:
        raise InvalidInput(f'invalid --memory "{options["memory"]}": the least is 6m')
    if options.get("memory_swap") not in (None, "", "0"):
        found["swap"] = _swap(str(options["memory_swap"]), found.get("limit", before))
    return found


def _swap(text: str, limit: int) -> int:
    if not limit:
        raise InvalidInput("--memory-swap needs --memory")
    if text == "-1":
        return -1
    swap = _bytes(text, "memory_swap")
    if swap < limit:
        raise InvalidInput(f'invalid --memory-swap "{text}": it is memory and swap together')
    return swap


def _bytes(text: object, key: str) -> int:
    from rcrun.formats import size

    try:
        return size.parse(str(text))
    except InvalidInput as error:
        raise InvalidInput(f"--{key.replace('_', '-')}: {error.message}", error.hint) from error


def _cpu(options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {}
    quota = _cpus(str(options["cpus"])) if options.get("cpus") else 0
    if quota:
        found.update(quota=quota, period=100_000)
    for key, name in (("cpu_shares", "shares"), ("cpu_period", "period"), ("cpu_quota", "quota")):
        if options.get(key):
            found[name] = options[key]
    for key, name in (("cpuset_cpus", "cpus"), ("cpuset_mems", "mems")):
        if options.get(key):
            found[name] = _id_list(str(options[key]), key)
    return found


def _cpus(text: str) -> int:
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidInput(f'invalid --cpus "{text}": it is a number, and 0 is no limit')
    quota = int(float(text) * 100_000)
    if int(digits) and quota < 1000:
        raise InvalidInput(f'invalid --cpus "{text}": the least is 0.01')
    return quota


def _id_list(text: str, key: str) -> str:
    """`0-3,5`, as cpuset(7) writes lists."""
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and (not last.isdigit() or int(last) < int(first))):
            raise InvalidInput(f'invalid --{key.replace("_", "-")} "{text}"', "write it like 0-3,5")
    return text


def _block_io(options: Options, stat: Stat) -> dict[str, Any]:
    found: dict[str, Any] = {}
    weight = options.get("blkio_weight")
    if weight:
        found["weight"] = _weight(weight, "blkio_weight")
    for text in options.get("blkio_weight_device") or ():
        row, value = _device_row(text, "blkio_weight_device", stat)
        number = int(value) if value.isdecimal() else 0
        row["weight"] = _weight(number, "blkio_weight_device")
        found.setdefault("weightDevice", []).append(row)
    for key, name in _THROTTLES:
        for text in options.get(key) or ():
            row, value = _device_row(text, key, stat)
            row["rate"] = _bytes(value, key) if key.endswith("bps") else _count(value, text, key)
            found.setdefault(name, []).append(row)
    return found


def _weight(number: int, key: str) -> int:
    if not 10 <= number <= 1000:
        raise InvalidInput(f"invalid --{key.replace('_', '-')} {number}: it is 10 to 1000")
    return number


def _count(value: str, text: str, key: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise InvalidInput(f'invalid --{key.replace("_", "-")} "{text}": "{value}" is no number')
    return int(value)


def _device_row(text: str, key: str, stat: Stat) -> tuple[dict[str, Any], str]:
    import os
    import stat as modes

    path, colon, value = text.rpartition(":")
    flag = f"--{key.replace('_', '-')}"
    if not colon or not path.startswith("/") or not value:
        raise InvalidInput(f'invalid {flag} "{text}"', f"write it like {flag} /dev/sda:1m")
    there = stat(path)
    if there is None or not modes.S_ISBLK(there.st_mode):
        what = "does not exist" if there is None else "is not a block device"
        raise InvalidInput(f'invalid {flag} "{text}": "{path}" {what}', "see: lsblk")
    return {"major": os.major(there.st_rdev), "minor": os.minor(there.st_rdev)}, value
