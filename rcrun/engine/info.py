"""What `version` and `info` tell: docker's fields, and podman's `host`, `store` and `version` beside them."""

from __future__ import annotations

import os

from rcrun.engine.config_process import HOSTS_SECCOMP
from rcrun.files import read_text
from rcrun.paths import find_program
from rcrun.storage.containers import time_text
from rcrun.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context

API_VERSION = "1.48"
MIN_API_VERSION = "1.24"
# Scripts compare the version of what they think they talk to.
TOLD_VERSIONS = {"docker": "28.0.0", "podman": "5.8.0"}


def told_version(personality: str) -> str:
    """Our own version, or that of the program whose name and command line we took."""
    return TOLD_VERSIONS.get(personality, VERSION)


def version_data(personality: str) -> dict[str, Any]:
    from rcrun.formats.image import platform_of

    told, host = told_version(personality), os.uname()
    common = {
        "Version": told,
        "ApiVersion": API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "PythonVersion": python_version(),
        "Os": "linux",
        "Arch": platform_of(host.machine)[0],
        "BuildTime": "",
    }
    details = {
        "ApiVersion": API_VERSION,
        "Arch": common["Arch"],
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": host.release,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
    }
    parts = [{"Name": "rcrun", "Version": VERSION, "Details": details}]
    return {
        "Client": {
            "Platform": {"Name": "rcrun"},
            **common,
            "DefaultAPIVersion": API_VERSION,
            "OsArch": f"linux/{common['Arch']}",
            "Built": 0,
            "BuiltTime": "",
            "BuildOrigin": "",
            "Context": "default",
        },
        "Server": {
            "Platform": {"Name": "rcrun"},
            "Components": parts,
            **common,
            "MinAPIVersion": MIN_API_VERSION,
            "KernelVersion": host.release,
            "Experimental": False,
        },
    }


def python_version() -> str:
    import sys

    return ".".join([str(number) for number in sys.version_info[:3]])


def info_data(context: Context, personality: str, now: int) -> dict[str, Any]:
    """`now` is in nanoseconds since the epoch."""
    from rcrun.engine.config_log import DRIVERS
    from rcrun.engine.infopodman import podman_host, podman_store, podman_version

    counts, images = _container_counts(context), _image_count(context)
    host = os.uname()
    system = _os_release(read_text("/etc/os-release"))
    memory = _memory_total(read_text("/proc/meminfo"))
    return {
        "ID": "",
        **counts,
        "Images": images,
        "Driver": storage_driver(context),
        "DriverStatus": [
            ["Layers", context.identity.layer_kind()],
            *([["Blobs of layers", "dropped once unpacked"]] if context.drops_blobs else []),
        ],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "none", "host", "pasta", "slirp4netns"],
            "Authorization": None,
            "Log": list(DRIVERS),
        },
        **_limits(context),
        "NFd": 0,
        "NGoroutines": 0,
        "NEventsListener": 0,
        "IPv4Forwarding": read_text("/proc/sys/net/ipv4/ip_forward").strip() == "1",
        "Debug": False,
        "SystemTime": time_text(now),
        "LoggingDriver": "json-file" if personality == "docker" else "k8s-file",
        "CgroupDriver": cgroup_driver(context),
        "CgroupVersion": "2" if context.host.unified else "1",
        "KernelVersion": host.release,
        "OperatingSystem": system.get("PRETTY_NAME", "Linux"),
        "OSVersion": system.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": host.machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "InsecureRegistryCIDRs": [],
            "IndexConfigs": {},
            "Mirrors": [],
        },
        "GenericResources": None,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": memory,
        "DockerRootDir": context.store.root_dir,
        "HttpProxy": _variable(context, "http_proxy"),
        "HttpsProxy": _variable(context, "https_proxy"),
        "NoProxy": _variable(context, "no_proxy"),
        "Name": host.nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": told_version(personality),
        "Runtimes": {"rcrun": {"path": "rcrun-oci"}},
        "DefaultRuntime": "rcrun",
        "Swarm": {"LocalNodeState": "inactive"},
        "LiveRestoreEnabled": True,
        "InitBinary": "rcrun-shim",
        "Isolation": "",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": f"rcrun-{VERSION}"},
        "InitCommit": {"ID": f"rcrun-{VERSION}"},
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
        "SecurityOptions": _security(context),
        "Warnings": warnings(context),
        "host": podman_host(context, system, memory),
        "store": podman_store(context, counts, images),
        "ClientInfo": {
            "Debug": False,
            "Version": told_version(personality),
            "Context": "default",
            "Plugins": [],
            "Warnings": None,
        },
        "plugins": {
            "authorization": None,
            "log": list(DRIVERS),
            "network": ["bridge", "none", "host", "pasta", "slirp4netns"],
            "volume": ["local"],
        },
        "registries": {"search": ["docker.io"]},
        "version": podman_version(told_version(personality)),
    }


def warnings(context: Context) -> list[str]:
    """What will not work here, and why."""
    found = []
    if context.identity.kind == "single":
        from rcrun.runtime.hints_host import HostFacts, single_id_hint

        hint = single_id_hint(context.identity.why, HostFacts())
        more = f"; {hint}" if hint else ""
        found.append(f"one id is mapped into containers: {context.identity.why}{more}")
    have = controllers(context)
    missing = [name for name in ("cpu", "cpuset", "io", "memory", "pids") if name not in have]
    if not have:
        found.append("no cgroup (version 2) is ours to write: limits of memory and processors fail")
    elif missing:
        found.append(
            f"controllers of cgroups that we were not given: {' '.join(missing)}; their limits fail"
        )
    if not program_of(context, "pasta") and not program_of(context, "slirp4netns"):
        found.append("neither pasta nor slirp4netns is installed: containers have no network")
    return found


def storage_driver(context: Context) -> str:
    """How a container's root is put together here; users may mount overlays since Linux 5.11."""
    numbers = [int(number) for number in os.uname().release.split(".")[:2] if number.isdecimal()]
    if context.host.rootless and numbers < [5, 11] and program_of(context, "fuse-overlayfs"):
        return "fuse-overlayfs"
    return "overlay"


def _container_counts(context: Context) -> dict[str, int]:
    from rcrun.storage.containers import every, status

    words = [status(container).word for container in every(context.store)]
    running, paused = words.count("running"), words.count("paused")
    return {
        "Containers": len(words),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(words) - running - paused,
    }


def _image_count(context: Context) -> int:
    from rcrun.storage.layout import references

    if not os.path.exists(context.store.path("index.json")):
        return 0
    return len({entry["digest"] for entry in references(context.store)})


def controllers(context: Context) -> list[str]:
    """Those that containers can have, of systemd or where a cgroup is delegated."""
    from rcrun.cgroup.delegated import MOUNT, find_parent

    driver = cgroup_driver(context)
    parent = find_parent() if driver == "cgroupfs" else None
    if driver == "systemd":
        uid = context.identity.uid
        own = f"/user.slice/user-{uid}.slice/user@{uid}.service" if context.host.rootless else ""
        parent = f"{MOUNT}{own}"
    return read_text(f"{parent}/cgroup.controllers").split() if parent else []


def cgroup_driver(context: Context) -> str:
    """Who would make the group of a container that is started now."""
    from rcrun.cgroup.delegated import find_parent
    from rcrun.engine.cgroup import systemd_is_there

    if not context.host.unified or context.cgroup_manager:
        return context.cgroup_manager if context.host.unified else "none"
    if systemd_is_there(context):
        return "systemd"
    return "cgroupfs" if find_parent() else "none"


def _limits(context: Context) -> dict[str, bool]:
    have = controllers(context)
    return {
        "MemoryLimit": "memory" in have,
        "SwapLimit": "memory" in have,
        "CpuCfsPeriod": "cpu" in have,
        "CpuCfsQuota": "cpu" in have,
        "CPUShares": "cpu" in have,
        "CPUSet": "cpuset" in have,
        "PidsLimit": "pids" in have,
        "OomKillDisable": False,
    }


def _security(context: Context) -> list[str]:
    words = [f"name=seccomp,profile={seccomp_profile()}"] if has_seccomp() else []
    if context.host.apparmor and not context.host.rootless:
        words.append("name=apparmor")
    if context.host.rootless:
        words.append("name=rootless")
    return [*words, "name=cgroupns"]


def seccomp_profile() -> str:
    return HOSTS_SECCOMP if os.path.exists(HOSTS_SECCOMP) else "builtin"


def has_seccomp() -> bool:
    return os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def program_of(context: Context, name: str) -> str:
    return find_program(name, context.search)


def _variable(context: Context, name: str) -> str:
    return context.environ.get(name) or context.environ.get(name.upper()) or ""


def _memory_total(text: str) -> int:
    return memory_row(text, "MemTotal")


def memory_row(text: str, name: str) -> int:
    """A line of /proc/meminfo in bytes."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _os_release(text: str) -> dict[str, str]:
    rows = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
    return {key: value.strip("\"'") for key, equals, value in rows if equals}
