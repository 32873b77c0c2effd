"""What podman's `info` tells beside docker's: its `host`, `store` and `version`."""

from __future__ import annotations

import os
import time

from rcrun.engine.config_process import DEFAULT_CAPABILITIES
from rcrun.engine.info import (
    API_VERSION,
    cgroup_driver,
    controllers,
    has_seccomp,
    memory_row,
    program_of,
    seccomp_profile,
    storage_driver,
)
from rcrun.files import read_text
from rcrun.kernel.shim import shim_path
from rcrun.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context


def podman_host(context: Context, system: Mapping[str, str], memory: int) -> dict[str, Any]:
    from rcrun.formats.image import platform_of

    host, identity = os.uname(), context.identity
    return {
        "arch": platform_of(host.machine)[0],
        "buildahVersion": VERSION,
        "cgroupControllers": controllers(context),
        "cgroupManager": cgroup_driver(context).replace("none", "disabled"),
        "cgroupVersion": "v2" if context.host.unified else "v1",
        "conmon": {"package": "", "path": shim_path(), "version": f"rcrun {VERSION}"},
        "cpuUtilization": cpu_utilization(read_text("/proc/stat")),
        "cpus": len(os.sched_getaffinity(0)),
        "databaseBackend": "",
        "distribution": {
            "codename": system.get("VERSION_CODENAME", ""),
            "distribution": system.get("ID", ""),
            "variant": system.get("VARIANT_ID", ""),
            "version": system.get("VERSION_ID", ""),
        },
        "eventLogger": "file",
        "freeLocks": None,
        "hostname": host.nodename,
        "idMappings": {"gidmap": _map(identity.gid_map), "uidmap": _map(identity.uid_map)},
        "kernel": host.release,
        "logDriver": "k8s-file",
        "memFree": memory_row(read_text("/proc/meminfo"), "MemFree"),
        "memTotal": memory,
        "networkBackend": "pasta",
        "networkBackendInfo": {"backend": "pasta", "dns": {}},
        "ociRuntime": {
            "name": "rcrun-oci",
            "package": "",
            "path": "rcrun-oci",
            "version": VERSION,
        },
        "os": "linux",
        "remoteSocket": {"exists": False, "path": ""},
        "pasta": {"executable": program_of(context, "pasta")},
        "rootlessNetworkCmd": "pasta" if program_of(context, "pasta") else "slirp4netns",
        "security": {
            "apparmorEnabled": context.host.apparmor,
            "capabilities": ",".join(DEFAULT_CAPABILITIES),
            "rootless": context.host.rootless,
            "seccompEnabled": has_seccomp(),
            "seccompProfilePath": seccomp_profile(),
            "selinuxEnabled": context.host.selinux,
        },
        "serviceIsRemote": False,
        "slirp4netns": {"executable": program_of(context, "slirp4netns")},
        "swapFree": memory_row(read_text("/proc/meminfo"), "SwapFree"),
        "swapTotal": memory_row(read_text("/proc/meminfo"), "SwapTotal"),
        "uptime": uptime_words(time.clock_gettime(time.CLOCK_BOOTTIME)),
        "variant": "",
    }


def podman_store(context: Context, counts: Mapping[str, int], images: int) -> dict[str, Any]:
    allocated, used = _room(context.store.root_dir)
    return {
        "containerStore": {
            "number": counts["Containers"],
            "paused": counts["ContainersPaused"],
            "running": counts["ContainersRunning"],
            "stopped": counts["ContainersStopped"],
        },
        "configFile": "",
        "graphDriverName": storage_driver(context),
        "graphOptions": {},
        "graphRoot": context.store.root_dir,
        "graphRootAllocated": allocated,
        "graphRootUsed": used,
        "graphStatus": {"Layers": context.identity.layer_kind()},
        "imageCopyTmpDir": context.store.tmp_dir(),
        "imageStore": {"number": images},
        "runRoot": context.store.live_dir,
        "transientStore": False,
        "volumePath": context.store.path("volumes"),
    }


def _map(ids: list[tuple[int, int, int]]) -> list[dict[str, int]]:
    return [
        {"container_id": inside, "host_id": outside, "size": size} for inside, outside, size in ids
    ]


def podman_version(told: str) -> dict[str, Any]:
    from rcrun.formats.image import platform_of

    return {
        "APIVersion": API_VERSION,
        "Version": told,
        "GoVersion": "",
        "GitCommit": "",
        "BuiltTime": "",
        "Built": 0,
        "OsArch": f"linux/{platform_of(os.uname().machine)[0]}",
        "Os": "linux",
    }


def cpu_utilization(text: str) -> dict[str, float]:
    """Since the host started, in per cent, of the first line of /proc/stat."""
    ticks = [int(word) for word in text.partition("\n")[0].split()[1:9] if word.isdigit()]
    total = sum(ticks)
    if len(ticks) < 5 or not total:
        return {"userPercent": 0.0, "systemPercent": 0.0, "idlePercent": 0.0}
    user, idle = ticks[0] + ticks[1], ticks[3] + ticks[4]
    shares = {"userPercent": user, "systemPercent": total - user - idle, "idlePercent": idle}
    return {name: round(100 * share / total, 2) for name, share in shares.items()}


def uptime_words(seconds: float) -> str:
    """`52h 3m 1.00s (Approximately 2.17 days)`, as podman writes it."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}h {int(minutes)}m {rest:.2f}s"
    return f"{text} (Approximately {seconds / 86_400:.2f} days)" if seconds >= 86_400 else text


def _room(path: str) -> tuple[int, int]:
    """Bytes of the file system that the store is on, or will be, and how many are in use."""
    while not os.path.isdir(path) and path not in ("", "/"):
        path = os.path.dirname(path)
    try:
        found = os.statvfs(path)
    except OSError:
        return 0, 0
    return found.f_blocks * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize
