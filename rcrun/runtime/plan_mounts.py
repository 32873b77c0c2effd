"""The file system of a container as steps: mounts, devices, masked paths. Pure."""

from __future__ import annotations

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import idmap, mountopts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.mountopts import MountOptions
    from rcrun.formats.spec import Device, Mount, Spec
    from rcrun.runtime.host import Host
    from rcrun.runtime.plan_namespaces import Namespaces

NO_TREES: Mapping[str, int] = {}
# path, major, minor: what every container has (config-linux.md, "Default Devices").
DEFAULT_DEVICES = (
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
)
DEV_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)
# Pseudo file systems show a namespace. Who does not own that namespace cannot mount them; the
# host's mount, bound, shows the same: type → (namespace, the host's mount).
_VIEWS = {
    "sysfs": ("network", "/sys"),
    "proc": ("pid", "/proc"),
    "mqueue": ("ipc", "/dev/mqueue"),
    "cgroup": ("cgroup", "/sys/fs/cgroup"),
    "cgroup2": ("cgroup", "/sys/fs/cgroup"),
}


def opens_no_devices(spec: Spec, host: Host, namespaces: Namespaces) -> bool:
    """Whether mounts must keep a container from the host's devices.

    In a user namespace nobody can make a node. Root's rules are meant for a devices cgroup, which may not be there:
    rules that deny what they do not name make every mount `nodev`.
    """
    if host.rootless or "user" in namespaces:
        return False
    denied = False
    for rule in _device_rules(spec):
        if rule.get("type", "a") == "a" and _numbers(rule) == (-1, -1):
            denied = not rule.get("allow")
    return denied


def _device_rules(spec: Spec) -> list[dict[str, Any]]:
    resources: dict[str, Any] = (spec.get("linux") or {}).get("resources") or {}
    return resources.get("devices") or []


def _numbers(entry: Mapping[str, Any]) -> tuple[int, int]:
    """-1 and what is missing: any."""
    major, minor = entry.get("major"), entry.get("minor")
    return -1 if major is None else major, -1 if minor is None else minor


def _allows_more(spec: Spec) -> bool:
    """Whether rules allow devices that no node of ours stands for: those of a bound /dev."""
    ours = {(major, minor) for _, major, minor in DEFAULT_DEVICES} | {(5, 2), (136, -1)}
    ours |= {_numbers(device) for device in (spec.get("linux") or {}).get("devices") or []}
    return any(
        rule.get("allow") and rule.get("access", "rwm") != "m" and _numbers(rule) not in ours
        for rule in _device_rules(spec)
    )


def mount_records(
    spec: Spec,
    bundle_dir: str,
    host: Host,
    namespaces: Namespaces,
    trees: Mapping[str, int] = NO_TREES,
) -> list[list[str]]:
    """`trees`: by destination, the descriptors of mounts that were made outside (rcrun.runtime.outside)."""
    label = (spec.get("linux") or {}).get("mountLabel") or ""
    if label and not host.selinux:
        raise HostLacks(
            '"linux.mountLabel" needs SELinux, which is off on this host',
            'remove "linux.mountLabel" from config.json',
        )
    closed = opens_no_devices(spec, host, namespaces)
    has_more = closed and _allows_more(spec)
    records: list[list[str]] = [["root-nodev"]] if closed else []
    late = read_only_late(spec)
    for mount in spec.get("mounts") or []:
        if mount["destination"] in late:
            mount = _writable(mount)
        if closed and not (has_more and _is_dev(mount)):
            mount = _without_devices(mount)
        made = _mount(mount, bundle_dir, host, namespaces, label, trees)
        if made[0][:2] == ["mount", "cgroup2"] and ["bind", "/sys"] in [row[:2] for row in records]:
            # The host's cgroups came along with its sysfs, and the kernel refuses the same file
            # system on top of itself.
            records.append(
                ["mount", "tmpfs", "cgroup", made[0][3], "nosuid,nodev,noexec", "size=0k"]
            )
        records += made
    return records


def read_only_late(spec: Spec) -> list[str]:
    """A read-only tmpfs that others are mounted on, or that gets the devices, is made so when it is complete."""
    mounts = spec.get("mounts") or []
    places = [f"{mount['destination'].rstrip('/')}/" for mount in mounts] + ["/dev/null"]
    return [
        mount["destination"]
        for index, mount in enumerate(mounts)
        if mount.get("type") == "tmpfs"
        and "ro" in (mount.get("options") or [])
        and any(place.startswith(places[index]) for place in places[index + 1 :])
    ]


def _writable(mount: Mount) -> Mount:
    return {**mount, "options": [word for word in mount.get("options") or [] if word != "ro"]}


# File systems on which the kernel opens no devices; the terminals of a devpts are devices.
_WITHOUT_DEVICES = frozenset(("proc", "sysfs", "mqueue", "cgroup", "cgroup2", "devpts"))


def _without_devices(mount: Mount) -> Mount:
    """Unless its options say otherwise."""
    options = mount.get("options") or []
    if mount.get("type") in _WITHOUT_DEVICES or "dev" in options or "rdev" in options:
        return mount
    word = "rnodev" if "rbind" in options or mount.get("type") == "rbind" else "nodev"
    return {**mount, "options": [*options, word]}


def _mount(
    mount: Mount,
    bundle_dir: str,
    host: Host,
    namespaces: Namespaces,
    label: str,
    trees: Mapping[str, int],
) -> list[list[str]]:
    destination = inside(mount["destination"])
    options = mountopts.parse(mount.get("options") or [])
    kind = mount.get("type") or ("bind" if options.bind else "")
    if options.bind or kind in ("bind", "rbind"):
        options.recursive |= kind == "rbind"
        record = _bind(mount, destination, options, bundle_dir)
        if destination in trees:
            record = ["bind-fd", str(trees[destination]), *record[1:]]
        elif is_idmapped(mount):
            raise InvalidInput(f'mount "{destination}": idmapped mounts are not supported here')
    elif not kind or kind == "none":
        raise InvalidInput(f'mount "{destination}" has no "type" and is no bind mount')
    elif _is_foreign(kind, host, namespaces):
        record = _host_view(kind, destination, options, host)
    else:
        record = _new_mount(kind, mount, destination, options, namespaces, label)
    if not options.propagation:
        return [record]
    return [record, ["mount-propagation", destination, options.propagation]]


def inside(path: str) -> str:
    """A path of the container, absolute and without dots; older configurations leave the first slash out."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    if not parts:
        raise InvalidInput(f'nothing can be mounted on "{path}" of the container')
    return "/" + "/".join(parts)


def _bind(mount: Mount, destination: str, options: MountOptions, bundle_dir: str) -> list[str]:
    source = mount.get("source") or ""
    if not source:
        raise InvalidInput(f'bind mount "{destination}" has no "source"')
    unknown = options.data
    if unknown or options.copy_up:
        word = unknown[0] if unknown else "tmpcopyup"
        raise InvalidInput(f'bind mount "{destination}": unknown option "{word}"')
    flags = ["rec"] if options.recursive else []
    flags += options.flags + options.links
    return ["bind", absolute(source, bundle_dir), destination, ",".join(flags)]


def absolute(source: str, bundle_dir: str) -> str:
    return source if source.startswith("/") else f"{bundle_dir}/{source}"


def _is_foreign(kind: str, host: Host, namespaces: Namespaces) -> bool:
    if kind in ("cgroup", "cgroup2") and not (host.unified and "cgroup" in namespaces):
        return True  # without a namespace of cgroups a new mount would be the host's once more
    view = _VIEWS.get(kind)
    if view is None:
        return False
    unprivileged = host.rootless or "user" in namespaces
    return unprivileged and not namespaces.owned(view[0])


def _host_view(kind: str, destination: str, options: MountOptions, host: Host) -> list[str]:
    flags = ["rec", *options.flags]
    if kind in ("cgroup", "cgroup2") and not host.unified and "rro" not in flags:
        # Version 1 hierarchies have no namespace boundary: root inside could write the whole host's.
        flags.append("rro")
    return ["bind", _VIEWS[kind][1], destination, ",".join(flags)]


def _new_mount(
    kind: str,
    mount: Mount,
    destination: str,
    options: MountOptions,
    namespaces: Namespaces,
    label: str,
) -> list[str]:
    data = options.data
    if kind == "devpts":
        data = [word for word in data if _group_exists(word, namespaces)]
    if label and kind in ("tmpfs", "devpts", "mqueue", "shm"):
        data = [*data, f'context="{label}"']
    flags = ",".join(options.flags)
    if options.copy_up:
        if kind != "tmpfs":
            raise InvalidInput(f'mount "{destination}": "tmpcopyup" is only for tmpfs')
        return ["tmpfs-copyup", destination, flags, ",".join(data)]
    file_system = "cgroup2" if kind == "cgroup" else kind
    return ["mount", file_system, mount.get("source") or kind, destination, flags, ",".join(data)]


def _group_exists(word: str, namespaces: Namespaces) -> bool:
    """The tty group that configurations give devpts has no number where few ids are mapped."""
    name, _, value = word.partition("=")
    if name != "gid" or not value.isdigit() or "user" not in namespaces.new:
        return True
    return idmap.to_outside(namespaces.gid_map, int(value)) is not None


def device_records(
    spec: Spec, *, closed: bool = False, trees: Mapping[str, int] = NO_TREES
) -> list[list[str]]:
    """The default devices, the links beside them, and `linux.devices`.

    None when /dev is the host's, but for those that can be opened where the mounts are `closed`.
    """
    is_bound = _dev_is_bound(spec)
    if is_bound and not closed:
        return []
    asked = (spec.get("linux") or {}).get("devices") or []
    given = {device["path"] for device in asked}
    records = [
        ["device", path, "c", str(major), str(minor), "666", "0", "0"]
        for path, major, minor in DEFAULT_DEVICES
        if path not in given
    ]
    records += [_device(device, trees) for device in asked]
    return records if is_bound else records + [["symlink", *link] for link in DEV_LINKS]


def _dev_is_bound(spec: Spec) -> bool:
    return any(_is_dev(mount) and is_bind(mount) for mount in spec.get("mounts") or [])


def _is_dev(mount: Mount) -> bool:
    return mount["destination"].rstrip("/") == "/dev"


def is_idmapped(mount: Mount) -> bool:
    if mount.get("uidMappings") or mount.get("gidMappings"):
        return True
    options = mount.get("options") or []
    return "idmap" in options or "ridmap" in options


def is_bind(mount: Mount) -> bool:
    options = mount.get("options") or []
    return mount.get("type") in ("bind", "rbind") or "bind" in options or "rbind" in options


def _device(device: Device, trees: Mapping[str, int]) -> list[str]:
    path, kind = device["path"], device["type"]
    if kind not in ("c", "u", "b", "p"):
        raise InvalidInput(f'device "{path}": unknown type "{kind}"; write c, b or p')
    if kind != "p" and ("major" not in device or "minor" not in device):
        raise InvalidInput(f'device "{path}" has no "major" and "minor"')
    if inside(path) in trees:
        return ["bind-fd", str(trees[inside(path)]), path, inside(path), ""]
    return [
        "device",
        inside(path),
        "c" if kind == "u" else kind,
        str(device.get("major", 0)),
        str(device.get("minor", 0)),
        f"{device.get('fileMode', 0o666) & 0o7777:o}",
        str(device.get("uid", 0)),
        str(device.get("gid", 0)),
    ]


def mask_records(spec: Spec) -> list[list[str]]:
    """Before the pivot: a masked file is covered by the host's /dev/null, never by the image's."""
    paths = (spec.get("linux") or {}).get("maskedPaths") or []
    return [["mask", inside(path)] for path in paths]


def readonly_records(spec: Spec) -> list[list[str]]:
    paths = (spec.get("linux") or {}).get("readonlyPaths") or []
    return [["readonly", inside(path)] for path in [*read_only_late(spec), *paths]]
