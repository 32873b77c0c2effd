"""What `docker inspect` tells of a container, with what podman adds; read from its files, nothing is asked of a daemon."""

from __future__ import annotations

import os

from rcrun.engine import ps
from rcrun.engine.inspect_asked import anonymous_volumes, binds, environment, shown_mounts
from rcrun.engine.inspect_rest import completed, nano_cpus, ulimits
from rcrun.engine.logdrivers import log_path
from rcrun.engine.network import is_lost
from rcrun.errors import NotFound, RcrunError
from rcrun.formats.mountopts import PROPAGATION as PROPAGATIONS
from rcrun.formats.signals import name_of
from rcrun.formats.size import decimal
from rcrun.storage.containers import HOST_WENT_DOWN, find, status, time_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container, Status

    Object = dict[str, Any]

NEVER = "0001-01-01T00:00:00Z"


def inspect(
    context: Context,
    text: str,
    kind: str = "",
    *,
    size: bool = False,
    platform: str = "",
    podman: bool = False,
) -> Object:
    """The object of that name, of the kind or of the first that has it; NotFound in docker's words.

    With `podman` a network is told as podman does.
    """
    if kind in ("", "container") and not platform:
        try:
            return container_object(find(context.store, text), size=size)
        except NotFound:
            if kind:
                raise NotFound(f"no such {kind}: {text}") from None
    from rcrun.engine.inspect_kinds import object_of

    return object_of(context, text, "image" if platform else kind, platform, podman=podman)


def _spec_of(container: Container) -> Any:
    try:
        return container.config()
    except RcrunError:
        return {}  # damaged: the rest can be told


def container_object(container: Container, *, size: bool = False) -> Object:
    record = container.record
    spec = _spec_of(container)
    now = status(container)
    command = [*(record.get("entrypoint") or []), *(record.get("command") or [])]
    found: Object = {
        "Id": container.id,
        "Created": record["created"],
        "Path": command[0] if command else "",
        "Args": command[1:],
        "State": _state(container, now),
        "Image": record.get("image_id") or "",
        "ImageName": record.get("image") or "",
        "ImageDigest": record.get("manifest_digest") or "",
        "Rootfs": _rootfs_path(container),
        "ResolvConfPath": _file(container, "resolv.conf"),
        "HostnamePath": _file(container, "hostname"),
        "HostsPath": _file(container, "hosts"),
        "LogPath": log_path(container),
        "Name": f"/{container.name}",
        "RestartCount": record.get("restart_count", 0),
        "Driver": (record.get("rootfs") or {}).get("driver", "overlay"),
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": (spec.get("process") or {}).get("apparmorProfile", ""),
        "ExecIDs": None,
        "OCIConfigPath": container.path("config.json"),
        "OCIRuntime": "rcrun",
        "BoundingCaps": ((spec.get("process") or {}).get("capabilities") or {}).get("bounding"),
        "HostConfig": _host_config(container, spec),
        "GraphDriver": _graph_driver(container),
        "Mounts": [_mount(mount) for mount in shown_mounts(record)],
        "Config": _config(container, spec),
        "NetworkSettings": _network_settings(container, now),
    }
    if size:
        found["SizeRw"] = ps.tree_size(container.path("upper"))
        found["SizeRootFs"] = found["SizeRw"] + ps.layers_size(container)
    return completed(found, container, spec)


def _file(container: Container, name: str) -> str:
    path = container.path(name)
    return path if os.path.lexists(path) else ""


def _state(container: Container, now: Status) -> Object:
    word = now.word
    health = _health(container, now)
    return {
        "Status": word,
        "Running": now.is_up,
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": now.oom_killed,
        "Dead": False,
        "Pid": now.pid,
        "CgroupPath": str(container.record.get("cgroup") or "").removeprefix("/sys/fs/cgroup"),
        "ConmonPid": now.monitor if now.is_up else 0,
        "ExitCode": now.exit_code,
        "Error": _error(container, now),
        "StartedAt": time_text(now.started) if now.started else NEVER,
        "FinishedAt": time_text(now.finished) if now.finished else NEVER,
        **({"Health": health} if health else {}),
    }


def _health(container: Container, now: Status) -> Object | None:
    if not container.record.get("healthcheck"):
        return None
    from rcrun.engine.healthfile import health

    return health(container, now)


def _error(container: Container, now: Status) -> str:
    text = str(container.record.get("error") or "")
    if not text and now.word == "exited" and now.exit_code == HOST_WENT_DOWN and not now.started:
        return "the host went down while the container ran"
    if not text and is_lost(container, now):
        return f"the process that makes its network has ended: rcrun restart {container.name}"
    return text


def _lowers(container: Container) -> list[str]:
    rootfs = container.record.get("rootfs") or {}
    return [container.store.path(path) for path in rootfs.get("lowers") or []]


def _rootfs_path(container: Container) -> str:
    rootfs = container.record.get("rootfs") or {}
    return str(rootfs.get("path") or container.path("rootfs"))


def _graph_driver(container: Container) -> Object:
    rootfs = container.record.get("rootfs") or {}
    if rootfs.get("kind") != "overlay":
        return {"Name": "directory", "Data": {"MergedDir": _rootfs_path(container)}}
    data = {
        "LowerDir": ":".join(_lowers(container)),
        "MergedDir": container.path("rootfs"),
        "UpperDir": container.path("upper"),
        "WorkDir": container.path("work"),
    }
    return {"Name": rootfs["driver"], "Data": data}


def _mount(mount: Mapping[str, Any]) -> Object:
    """Docker's fields, and podman's list of options; the mode is what was typed."""
    options = list(mount.get("options") or [])
    propagation = [word for word in options if word in PROPAGATIONS]
    found: Object = {
        "Type": mount["type"],
        "Source": mount.get("source") or "",
        "Destination": mount["destination"],
        "Mode": mount.get("mode", ""),
        "Options": options,
        "RW": bool(mount.get("rw", True)),
        "Propagation": propagation[-1] if propagation and mount["type"] == "bind" else "",
    }
    if mount["type"] == "volume":
        found = {"Type": "volume", "Name": mount["name"], "Driver": "local", **found}
    if mount.get("subpath"):
        found["SubPath"] = mount["subpath"]
    return found


def _secret(secret: Mapping[str, Any]) -> Object:
    """As podman has them; the content is in no object."""
    numbers = {key.upper(): secret[key] for key in ("uid", "gid")}
    return {"Name": secret["name"], "ID": secret["id"], **numbers, "Mode": secret["mode"]}


def _config(container: Container, spec: Mapping[str, Any]) -> Object:
    record, process = container.record, spec.get("process") or {}
    return {
        "Hostname": spec.get("hostname") or "",
        "Domainname": spec.get("domainname") or "",
        "User": record.get("user") or "",
        "AttachStdin": False,
        "AttachStdout": not record.get("detached", False),
        "AttachStderr": not record.get("detached", False),
        "ExposedPorts": {port: {} for port in _exposed(record)},
        "Tty": bool(record.get("tty")),
        "OpenStdin": bool(record.get("stdin_open")),
        "StdinOnce": bool(record.get("stdin_open")),
        "Env": environment(record, process),
        "Cmd": record.get("command") or None,
        "Image": ps.shown_image(container),
        "Volumes": anonymous_volumes(record),
        "WorkingDir": process.get("cwd") or "",
        "Entrypoint": record.get("entrypoint") or None,
        "OnBuild": None,
        "Labels": dict(sorted((record.get("labels") or {}).items())),
        "StopSignal": name_of(record.get("stop_signal") or 15),
        "StopTimeout": record.get("stop_timeout", 10),
        "Timeout": record.get("timeout", 0),
        **({"Healthcheck": record["healthcheck"]} if record.get("healthcheck") else {}),
        "HealthcheckOnFailureAction": record.get("health_on_failure") or "none",
        "Secrets": [_secret(secret) for secret in record.get("secrets") or []],
    }


def _host_config(container: Container, spec: Mapping[str, Any]) -> Object:
    record = container.record
    network, log = record.get("network") or {}, record.get("log") or {}
    resources = (spec.get("linux") or {}).get("resources") or {}
    memory, cpu, pids = (resources.get(key) or {} for key in ("memory", "cpu", "pids"))
    return {
        "Binds": binds(record),
        "ContainerIDFile": record.get("cidfile") or "",
        "LogConfig": {
            "Type": log.get("asked") or log.get("driver") or "",
            "Config": _log_options(log),
            "Path": log_path(container),
            "Tag": log.get("tag", ""),
            "Size": decimal(log.get("max_size") or 0),
        },
        "NetworkMode": record.get("network_mode")
        or next(iter(ps.network_names(container)), "none"),
        "PortBindings": _asked_ports(network.get("ports") or []),
        "RestartPolicy": _restart_policy(record),
        "AutoRemove": bool(record.get("auto_remove")),
        "VolumeDriver": "",
        "VolumesFrom": record.get("volumes_from") or None,
        "CgroupnsMode": record.get("cgroupns") or "private",
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": None,
        "GroupAdd": None,
        "IpcMode": record.get("ipc") or "private",
        "Cgroup": "",
        "Links": None,
        "OomScoreAdj": (spec.get("process") or {}).get("oomScoreAdj", 0),
        "PidMode": record.get("pid") or "",
        "Privileged": bool(record.get("privileged")),
        "PublishAllPorts": False,
        "ReadonlyRootfs": bool(record.get("read_only")),
        "SecurityOpt": record.get("security_opt") or None,
        "UTSMode": record.get("uts") or "",
        "UsernsMode": record.get("userns") or "",
        "ShmSize": record.get("shm_size", 64 << 20),
        "Runtime": "rcrun",
        "Init": bool(record.get("init")),
        "Memory": memory.get("limit") or 0,
        "MemoryReservation": memory.get("reservation") or 0,
        "MemorySwap": memory.get("swap") or 0,
        "NanoCpus": nano_cpus(cpu),
        "CpuShares": cpu.get("shares") or 0,
        "CpuPeriod": cpu.get("period") or 0,
        "CpuQuota": cpu.get("quota") or 0,
        "CpusetCpus": cpu.get("cpus") or "",
        "PidsLimit": pids.get("limit") or None,
        "Ulimits": ulimits(spec),
        "MaskedPaths": (spec.get("linux") or {}).get("maskedPaths") or [],
        "ReadonlyPaths": (spec.get("linux") or {}).get("readonlyPaths") or [],
    }


def _restart_policy(record: Mapping[str, Any]) -> Object:
    policy = record.get("restart_policy") or {"name": "no", "max": 0}
    return {"Name": policy["name"], "MaximumRetryCount": policy["max"]}


def _log_options(log: Mapping[str, Any]) -> Object:
    found = dict(log.get("options") or {})
    if log.get("max_size") and not found:
        found["max-size"] = str(log["max_size"])
        found["max-file"] = str(log.get("max_files", 1))
    return found


def _exposed(record: Mapping[str, Any]) -> list[str]:
    """A port that is published is exposed, too."""
    ports = (record.get("network") or {}).get("ports") or []
    return sorted({_port_name(port) for port in ports}.union(record.get("exposed") or []))


def _asked_ports(ports: list[dict[str, Any]]) -> Object:
    """`80/tcp` → where on the host, as it was asked for."""
    found: Object = {}
    for port in sorted(ports, key=_port_name):
        host_port = str(port["host_port"]) if port["host_port"] else ""
        if port.get("host_last"):
            host_port += f"-{port['host_last']}"
        binding = {"HostIp": port["host_ip"], "HostPort": host_port}
        found.setdefault(_port_name(port), []).append(binding)
    return found


def _port_name(port: Mapping[str, Any]) -> str:
    return f"{port['container_port']}/{port['protocol']}"


def _bound_ports(container: Container) -> Object:
    """`80/tcp` → where it is now."""
    found: Object = {}
    for port in ps.published(container):
        bindings = found.setdefault(_port_name(port), [])
        for ip in ps.host_addresses(port):
            bindings.append({"HostIp": ip, "HostPort": str(port["host_port"])})
    return found


def _network_settings(container: Container, now: Status) -> Object:
    record = container.record
    ports: Object = {**dict.fromkeys(_exposed(record)), **_bound_ports(container)}
    networks = _networks(container, now)
    first: Object = next(iter(networks.values()), {})
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": f"/proc/{now.pid}/ns/net" if now.is_running else "",
        "Ports": ports if now.is_running else {},
        **{key: first.get(key, "") for key in ("Gateway", "IPAddress", "MacAddress")},
        "IPPrefixLen": first.get("IPPrefixLen", 0),
        "Networks": networks,
    }


def _networks(container: Container, now: Status) -> Object:
    network = container.record.get("network") or {}
    if network.get("mode") == "bridge":
        from rcrun.engine.inspect_networks import networks_of

        return networks_of(container, now)
    from rcrun.engine.inspect_networks import EMPTY

    aliases = network.get("aliases") or None
    return {name: {**EMPTY, "Aliases": aliases} for name in ps.network_names(container)}
