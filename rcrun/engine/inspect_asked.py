"""What `inspect` tells of a container as it was asked for, which is not always what became of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Object = dict[str, Any]

SHM_SIZE = 64 << 20


def asked_for(asked: Mapping[str, Any]) -> Object:
    """As docker has them: a list that nobody gave is null, but those of the resolver are empty."""
    return {
        "CapAdd": _capabilities(asked, "cap_add"),
        "CapDrop": _capabilities(asked, "cap_drop"),
        "Dns": _list(asked, "dns") or [],
        "DnsOptions": _list(asked, "dns_option") or [],
        "DnsSearch": _list(asked, "dns_search") or [],
        "ExtraHosts": _list(asked, "add_host"),
        "GroupAdd": _list(asked, "group_add"),
        "PublishAllPorts": bool(asked.get("publish_all")),
        "SecurityOpt": _list(asked, "security_opt"),
        "ShmSize": _shm_size(asked),
        "CgroupParent": asked.get("cgroup_parent") or "",
        "Devices": [_device(text) for text in asked.get("device") or () if text.startswith("/")],
        "DeviceCgroupRules": _list(asked, "device_cgroup_rule"),
        "DeviceRequests": _requests(asked.get("device") or ()),
        "Mounts": [_asked_mount(text) for text in asked.get("mount") or ()] or None,
        "Tmpfs": dict(_tmpfs(text) for text in asked.get("tmpfs") or ()),
    }


def _list(asked: Mapping[str, Any], name: str) -> list[str] | None:
    return list(asked.get(name) or ()) or None


def _shm_size(asked: Mapping[str, Any]) -> int:
    from rcrun.formats.size import parse

    return parse(str(asked["shm_size"])) if asked.get("shm_size") else SHM_SIZE


def _device(text: str) -> Object:
    """`HOST[:CONTAINER][:PERMISSIONS]`."""
    host, *rest = text.split(":")
    permissions = rest.pop() if rest and not rest[-1].startswith("/") else "rwm"
    return {
        "PathOnHost": host,
        "PathInContainer": rest[0] if rest else host,
        "CgroupPermissions": permissions,
    }


def _requests(devices: tuple[str, ...]) -> list[Object] | None:
    """Devices by their CDI names, as docker tells of them."""
    names = [text for text in devices if not text.startswith("/")]
    if not names:
        return None
    rest = {"Count": 0, "Capabilities": None, "Options": None}
    return [{"Driver": "cdi", "DeviceIDs": names, **rest}]


def _tmpfs(text: str) -> tuple[str, str]:
    place, _, options = text.partition(":")
    return place, options


def _capabilities(asked: Mapping[str, Any], name: str) -> list[str] | None:
    words = [word.upper() for word in _list(asked, name) or ()]
    return [word if word == "ALL" else f"CAP_{word.removeprefix('CAP_')}" for word in words] or None


def _asked_mount(text: str) -> Object:
    """A --mount, as docker keeps it."""
    from rcrun.formats.mountflag import parse_mount

    mount = parse_mount(text)
    found: Object = {"Type": mount.kind}
    if mount.source:
        found["Source"] = mount.source
    found["Target"] = mount.destination
    if mount.read_only:
        found["ReadOnly"] = True
    return found


def binds(record: Mapping[str, Any]) -> list[str] | None:
    """The volumes and binds of -v that have a name, as they were typed."""
    by_mount = {
        each["Target"] for each in map(_asked_mount, (record.get("asked") or {}).get("mount") or ())
    }
    return [
        _bind_text(mount)
        for mount in record.get("mounts") or ()
        if mount["type"] in ("bind", "volume")
        and not mount.get("anonymous")
        and mount["destination"] not in by_mount
    ] or None


def _bind_text(mount: Mapping[str, Any]) -> str:
    source = mount["name"] if mount["type"] == "volume" else mount.get("source")
    options = mount.get("mode") or ("" if mount.get("rw", True) else "ro")
    return f"{source}:{mount['destination']}{options and ':' + options}"


def anonymous_volumes(record: Mapping[str, Any]) -> Object | None:
    """Those of -v DIR and of the image."""
    mounts = record.get("mounts") or ()
    return {mount["destination"]: {} for mount in mounts if mount.get("anonymous")} or None


def shown_mounts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Without those of --tmpfs, which are told elsewhere."""
    asked = (record.get("asked") or {}).get("tmpfs") or ()
    places = {_tmpfs(text)[0].rstrip("/") for text in asked}
    return [
        mount
        for mount in record.get("mounts") or ()
        if mount["type"] != "tmpfs" or mount["destination"].rstrip("/") not in places
    ]


def environment(record: Mapping[str, Any], process: Mapping[str, Any]) -> list[str]:
    """Without what a start adds by itself."""
    from rcrun.engine.config_process import OWN_VARIABLES

    env: list[str] = process.get("env") or []
    if "env_shown" not in record:
        return env
    hidden = set(OWN_VARIABLES).difference(record["env_shown"])
    return [word for word in env if word.partition("=")[0] not in hidden]
