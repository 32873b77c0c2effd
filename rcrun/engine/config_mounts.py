"""config.json's `mounts`: what every container has, what the user asked for, and what must be made first. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.config_join import Joined
    from rcrun.engine.config_secrets import SecretUse
    from rcrun.engine.config_volumes import VolumeUse
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats import spec
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.passwd import User
    from rcrun.formats.volume import Mount

_CLOSED = ["nosuid", "noexec", "nodev"]
_DEFAULT_SHM = 64 << 20
# The recursive read-only flag of mount_setattr(2).
_KERNEL_WITH_RRO = (5, 12)
# Written into the container's directory, and bound where programs look for them.
BOUND_FILES = {
    "hosts": "/etc/hosts",
    "resolv.conf": "/etc/resolv.conf",
    "hostname": "/etc/hostname",
    "containerenv": "/run/.containerenv",
    "dockerenv": "/.dockerenv",
}


class Mounts:
    """`documents` for config.json, `records` for container.json; the rest is to be made before the start."""

    __slots__ = (
        "chowns", "documents", "make_dirs", "records", "secrets", "volumes", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.documents: list[spec.Mount] = []
        self.records: list[dict[str, Any]] = []
        self.secrets: list[SecretUse] = []
        self.volumes: list[VolumeUse] = []
        self.make_dirs: list[str] = []
        self.chowns: list[tuple[str, str, int, int]] = []  # a path, a part of it, the ids
        self.warnings: list[str] = []


def mounts(
    options: Options,
    image: ContainerConfig,
    facts: Facts,
    user: User,
    files: Iterable[str],
    joined: Joined | None = None,
) -> Mounts:
    """All of them in the order in which they are made; a mount of the user's replaces one of ours."""
    result = Mounts()
    wanted = asked(options, image, facts)
    for mount in wanted:
        add(result, mount, facts, user)
    if options.get("secret"):
        from rcrun.engine.config_secrets import add_secrets

        add_secrets(result, options["secret"], facts, {mount.destination for mount in wanted})
    taken = {entry["destination"] for entry in result.documents}
    ours = [entry for entry in _defaults(options, facts, joined) if not _is_covered(entry, taken)]
    sources = {name: f"{facts.container_dir}/{name}" for name in files}
    if joined is not None and "network" in joined:
        from rcrun.engine.config_join import network_files

        sources.update(network_files(joined))
    bound = [
        _mount(path, "bind", source, ["bind", "rprivate"])
        for path, source in _places(sources, options)
        if path not in taken
    ]
    theirs = sorted([*bound, *result.documents], key=_depth)
    result.documents = ours + theirs
    return result


def _places(sources: Mapping[str, str], options: Options) -> list[tuple[str, str]]:
    """Where our files are bound; with --chrootdirs there, too."""
    found = [(BOUND_FILES[name], source) for name, source in sources.items()]
    if options.get("chrootdirs"):
        from rcrun.formats.volume import check_destination

        dirs = [path for text in options["chrootdirs"] for path in text.split(",") if path]
        clean = [check_destination(path, "--chrootdirs") for path in dirs]
        etc = [(path, source) for path, source in found if path.startswith("/etc/")]
        found += [(f"{folder}{path}", source) for folder in clean for path, source in etc]
    return found


def _depth(entry: spec.Mount) -> int:
    return entry["destination"].count("/")


def _is_covered(entry: spec.Mount, taken: set[str]) -> bool:
    """By a mount of the user's on the same place, or on the /dev that holds it."""
    path = entry["destination"]
    return path in taken or (path.startswith("/dev/") and "/dev" in taken)


def _mount(destination: str, kind: str, source: str, options: list[str]) -> spec.Mount:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def _defaults(options: Options, facts: Facts, joined: Joined | None) -> list[spec.Mount]:
    access = "rw" if options.get("privileged") else "ro"
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if facts.identity.kind != "single":
        terminals.append("gid=5")
    return [
        _proc(options, facts),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", terminals),
        _sys(options, facts, access),
        *([] if options.get("cgroupns") == "none" else [_cgroup(access)]),
        *_ipc(options, facts, joined),
    ]


def _proc(options: Options, facts: Facts) -> spec.Mount:
    if options.get("pid") == "host" and facts.rootless:
        return _mount("/proc", "bind", "/proc", ["rbind", *_CLOSED])
    return _mount("/proc", "proc", "proc", [*_CLOSED])


def _sys(options: Options, facts: Facts, access: str) -> spec.Mount:
    """Only the owner of a network namespace can mount its sysfs: with the host's network /sys is bound."""
    if options.get("network") == "host" and facts.rootless:
        if access == "ro" and facts.kernel >= _KERNEL_WITH_RRO:
            access = "rro"
        return _mount("/sys", "bind", "/sys", ["rbind", *_CLOSED, access])
    return _mount("/sys", "sysfs", "sysfs", [*_CLOSED, access])


def _cgroup(access: str) -> spec.Mount:
    return _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*_CLOSED, "relatime", access])


def _ipc(options: Options, facts: Facts, joined: Joined | None) -> list[spec.Mount]:
    word = options.get("ipc") or "private"
    if joined is not None and "ipc" in joined.donors:
        # what a start puts there is the other container's
        return [
            _mount("/dev/shm", "bind", "/proc/0/root/dev/shm", ["rbind", *_CLOSED]),
            _mount("/dev/mqueue", "mqueue", "mqueue", [*_CLOSED]),
        ]
    if word == "host":
        return [
            _mount(path, "bind", path, ["rbind", *_CLOSED])
            for path in ("/dev/shm", "/dev/mqueue")
            if facts.stat(path) is not None
        ]
    queue = _mount("/dev/mqueue", "mqueue", "mqueue", [*_CLOSED])
    if word == "none":
        return [queue]
    limit = _DEFAULT_SHM
    if options.get("shm_size"):
        from rcrun.formats import size

        limit = size.parse(str(options["shm_size"]))
    return [
        _mount("/dev/shm", "tmpfs", "shm", [*_CLOSED, "mode=1777", f"size={limit}"]),
        queue,
    ]


# The options that bring a mount.
_ASKING = ("volume", "mount", "tmpfs", "tz", "read_only_tmpfs", "volumes_from")


def asked(options: Options, image: ContainerConfig, facts: Facts) -> list[Mount]:
    """Every mount that the user or the image wants; the same destination typed twice is an error.

    As with docker, what is typed covers what comes from other containers, and the image's VOLUMEs come last.
    """
    if not image.get("Volumes") and not any(options.get(key) for key in _ASKING):
        return []
    from rcrun.formats import volume

    found: dict[str, Mount] = {}
    for mount in _typed(options, facts):
        if mount.destination in found:
            raise InvalidInput(f'two mounts have the destination "{mount.destination}"')
        found[mount.destination] = mount
    if options.get("volumes_from"):
        from rcrun.engine.config_volumes import borrowed

        for mount in borrowed(options["volumes_from"], facts).values():
            _add_once(found, mount)
    if options.get("tz"):
        _add_once(found, _time_zone(str(options["tz"]), facts))
    if options.get("read_only") and options.get("read_only_tmpfs"):
        for path in ("/run", "/tmp", "/var/tmp"):
            _add_once(found, volume.tmpfs(path, ["mode=1777"]))
    kind = options.get("image_volume") or "anonymous"
    for path in (image.get("Volumes") or {}) if kind != "ignore" else ():
        clean = volume.check_destination(path, "VOLUME of the image")
        made = (
            volume.tmpfs(clean, ["tmpcopyup", "exec", "suid"])
            if kind == "tmpfs"
            else volume.Mount("volume", "", clean, {})
        )
        _add_once(found, made)
    return list(found.values())


def _add_once(found: dict[str, Mount], mount: Mount) -> None:
    found.setdefault(mount.destination, mount)


def _typed(options: Options, facts: Facts) -> Iterable[Mount]:
    from rcrun.formats import volume

    for text in options.get("volume") or ():
        yield volume.parse_volume(text, facts.cwd)
    if options.get("mount"):
        from rcrun.formats.mountflag import parse_mount

        for text in options["mount"]:
            mount = parse_mount(text, facts.cwd)
            if mount.kind in ("glob", "artifact"):
                from rcrun.engine.config_othermounts import expanded

                yield from expanded(mount, facts)
            else:
                yield mount
    for text in options.get("tmpfs") or ():
        yield volume.parse_tmpfs(text)


def _time_zone(zone: str, facts: Facts) -> Mount:
    path = "/etc/localtime" if zone == "local" else f"/usr/share/zoneinfo/{zone}"
    if ".." in zone.split("/") or facts.stat(path) is None:
        raise InvalidInput(f'invalid --tz "{zone}": the host has no "{path}"')
    from rcrun.formats.volume import Mount

    return Mount("bind", path, "/etc/localtime", {"access": "ro"})


def add(result: Mounts, mount: Mount, facts: Facts, user: User) -> None:
    if mount.kind == "tmpfs":
        record(result, mount, "tmpfs", "", mount.data)
        made = _mount(mount.destination, "tmpfs", "tmpfs", list(mount.data))
        result.documents.append(made)
        return
    if mount.kind in ("image", "devpts", "ramfs"):
        from rcrun.engine.config_othermounts import add_other

        add_other(result, mount, facts)
        return
    if mount.kind == "volume" or mount.subpath or "overlay" in mount.decided:
        from rcrun.engine.config_volumes import add as add_volume

        add_volume(result, mount, facts, user)
        return
    if has_source(result, mount, facts, user):
        words = bind_options(mount, facts)
        result.documents.append(_mount(mount.destination, "bind", mount.source, words))
        record(result, mount, "bind", mount.source, words)


def bind_options(mount: Mount, facts: Facts) -> list[str]:
    """As docker has it since 25, read-only means all that lies below, too, where the kernel can."""
    words = mount.options()
    if (
        mount.read_only
        and words[0] == "rbind"
        and mount.decided.get("read_only") != "writable"
        and facts.kernel >= _KERNEL_WITH_RRO
    ):
        words[1] = "rro"
    return words


def has_source(result: Mounts, mount: Mount, facts: Facts, user: User) -> bool:
    """Whether the mount can be made: a source that is missing is made for -v, as docker does."""
    if facts.stat(mount.source) is None and "links" not in mount.decided:
        if mount.source.rpartition("/")[2] == "docker.sock":
            # CI runners mount it always, and their jobs seldom use it.
            result.warnings.append(f'"{mount.source}" does not exist: it is not mounted')
            return False
        if not mount.create_source:
            raise InvalidInput(
                f'cannot mount "{mount.source}": it does not exist or cannot be looked at',
                "make it first, or add bind-create-src",
            )
        result.make_dirs.append(mount.source)
    if "chown" in mount.decided:
        result.chowns.append((mount.source, mount.subpath, user.uid, user.gid))
    return True


def record(
    result: Mounts, mount: Mount, kind: str, source: str, options: Sequence[str]
) -> dict[str, Any]:
    """For inspect and rm; whoever knows more about the mount adds it."""
    made: dict[str, Any] = {
        "type": kind,
        "source": source,
        "destination": mount.destination,
        "name": mount.source if kind == "volume" else "",
        "options": list(options),
        "mode": mount.mode,
        "rw": not mount.read_only,
    }
    if mount.is_anonymous:
        made["anonymous"] = True
    if "idmap" in mount.decided:
        made["idmap"] = mount.decided["idmap"]
    result.records.append(made)
    return made
