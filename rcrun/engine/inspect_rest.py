"""The rest of what `inspect` tells of a container: what was asked for, and the fields that scripts expect to be there."""

from __future__ import annotations

from rcrun.engine.inspect_asked import asked_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.storage.containers import Container

    Object = dict[str, Any]

NEVER = "0001-01-01T00:00:00Z"


def completed(found: Object, container: Container, spec: Mapping[str, Any]) -> Object:
    """What is in `found` stays as it is, but for what the record's `asked` tells."""
    record = container.record
    _fill(found, _top(container, spec))
    _fill(
        found["State"],
        {
            "OciVersion": str(spec.get("ociVersion") or ""),
            "CheckpointedAt": NEVER,
            "RestoredAt": NEVER,
        },
    )
    _fill(found["Config"], _config(record, spec))
    found["Config"]["Hostname"] = found["Config"]["Hostname"] or _name_of_donor(container)
    found["HostConfig"].update(asked_for(record.get("asked") or {}))
    _fill(found["HostConfig"], _resources(spec))
    _fill(found["HostConfig"], {**_PODMAN_HOST, **_groups(record)})
    found["HostConfig"]["AutoRemoveImage"] = bool(record.get("remove_image"))
    found["HostConfig"].setdefault("Annotations", _annotations(spec))
    _fill(found["HostConfig"]["LogConfig"], _log(container))
    _fill(found["NetworkSettings"], _NETWORK)
    for network in found["NetworkSettings"].get("Networks", {}).values():
        _fill(network, {"DriverOpts": None, "GwPriority": 0, "DNSNames": None})
    return found


def _fill(object_: Object, more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        object_.setdefault(key, value)


def _top(container: Container, spec: Mapping[str, Any]) -> Object:
    capabilities = (spec.get("process") or {}).get("capabilities") or {}
    return {
        "Pod": (container.record.get("pod") or {}).get("id") or "",
        "StaticDir": container.dir,
        "ConmonPidFile": "",
        "PidFile": container.record.get("pidfile") or "",
        "EffectiveCaps": capabilities.get("effective") or [],
        "Dependencies": _dependencies(container.record),
        "Namespace": "",
        "IsInfra": bool(container.record.get("infra")),
        "IsService": False,
        "KubeExitCodePropagation": "invalid",
        "lockNumber": 0,
        "UseImageHosts": False,
        "UseImageHostname": False,
    }


def _dependencies(record: Mapping[str, Any]) -> list[str]:
    """The containers whose namespaces it joins, and those that it requires."""
    joined = [where.get("container") for where in (record.get("joins") or {}).values()]
    return list(
        dict.fromkeys([each for each in (*joined, *(record.get("requires") or ())) if each])
    )


def _name_of_donor(container: Container) -> str:
    """The host name of whose namespace it shares, as of a pod's containers."""
    from rcrun.errors import RcrunError
    from rcrun.storage.containers import load

    joined = (container.record.get("joins") or {}).get("uts") or {}
    donor = load(container.store, joined["container"]) if joined.get("container") else None
    try:
        return str(donor.config().get("hostname") or "") if donor is not None else ""
    except RcrunError:
        return ""  # damaged


def _annotations(spec: Mapping[str, Any]) -> Object | None:
    return dict(sorted((spec.get("annotations") or {}).items())) or None


def _config(record: Mapping[str, Any], spec: Mapping[str, Any]) -> Object:
    """Podman's."""
    umask = ((spec.get("process") or {}).get("user") or {}).get("umask", 0o022)
    return {
        "Annotations": _annotations(spec),
        "HealthcheckOnFailureAction": "none",
        "HealthLogDestination": "local",
        "HealthcheckMaxLogCount": 5,
        "HealthcheckMaxLogSize": 500,
        "CreateCommand": record.get("create_command") or [],
        "Umask": f"{umask:04o}",
        "Timeout": record.get("timeout", 0),
        "Passwd": True,
        "sdNotifyMode": record.get("notify") or "container",
    }


def _resources(spec: Mapping[str, Any]) -> Object:
    resources = (spec.get("linux") or {}).get("resources") or {}
    cpu, memory, block = (resources.get(key) or {} for key in ("cpu", "memory", "blockIO"))
    return {
        "ConsoleSize": [0, 0],
        "Isolation": "",
        "Sysctls": dict(sorted(((spec.get("linux") or {}).get("sysctl") or {}).items())),
        "BlkioWeight": block.get("weight") or 0,
        "BlkioWeightDevice": _block_devices(block, "weightDevice", "weight", "Weight"),
        "BlkioDeviceReadBps": _block_devices(block, "throttleReadBpsDevice"),
        "BlkioDeviceWriteBps": _block_devices(block, "throttleWriteBpsDevice"),
        "BlkioDeviceReadIOps": _block_devices(block, "throttleReadIOPSDevice"),
        "BlkioDeviceWriteIOps": _block_devices(block, "throttleWriteIOPSDevice"),
        "CpuRealtimePeriod": cpu.get("realtimePeriod") or 0,
        "CpuRealtimeRuntime": cpu.get("realtimeRuntime") or 0,
        "CpusetMems": cpu.get("mems") or "",
        "MemorySwappiness": memory.get("swappiness"),
        "OomKillDisable": memory.get("disableOOMKiller"),
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "DiskQuota": 0,
        "KernelMemory": 0,
    }


def _block_devices(
    block: Mapping[str, Any], key: str, member: str = "rate", title: str = "Rate"
) -> list[Object] | None:
    """By number, since that is what config.json keeps."""
    return [
        {"Path": f"/dev/block/{each['major']}:{each['minor']}", title: each[member]}
        for each in block.get(key) or []
    ] or None


def _log(container: Container) -> Object:
    return {"Path": container.path("log"), "Tag": ""}


def _groups(record: Mapping[str, Any]) -> Object:
    manager = "systemd" if record.get("scope") else "cgroupfs"
    return {"CgroupManager": manager, "Cgroups": record.get("cgroups") or "default"}


_PODMAN_HOST = {
    "CgroupMode": "private",
    "HostsFile": "",
    "CgroupConf": None,
}
_NETWORK = {
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
    "EndpointID": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPv6Gateway": "",
}


def nano_cpus(cpu: Mapping[str, Any]) -> int:
    quota, period = cpu.get("quota") or 0, cpu.get("period") or 0
    return quota * 1_000_000_000 // period if quota > 0 and period else 0


def ulimits(spec: Mapping[str, Any]) -> list[Object]:
    return [
        {
            "Name": limit["type"].removeprefix("RLIMIT_").lower(),
            "Hard": _limit(limit["hard"]),
            "Soft": _limit(limit["soft"]),
        }
        for limit in (spec.get("process") or {}).get("rlimits") or []
    ]


def _limit(number: int) -> int:
    """As docker and podman write "unlimited"."""
    return -1 if number == 2**64 - 1 else number
