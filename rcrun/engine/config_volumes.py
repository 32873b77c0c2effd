"""Volumes as a new container mounts them: those that it names, other containers' (--volumes-from), overlays, parts. Pure."""

from __future__ import annotations

from rcrun.engine import config_mounts
from rcrun.errors import InvalidInput
from rcrun.formats import volume, volumeoptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.config_mounts import Mounts
    from rcrun.engine.facts import Facts
    from rcrun.formats import spec
    from rcrun.formats.passwd import User
    from rcrun.formats.volume import Mount
    from rcrun.formats.volumeoptions import LocalVolume

# What the driver's words decide where the mount itself says nothing.
_DRIVER_WORDS = {
    "ro": "access", "exec": "exec", "noexec": "exec", "dev": "dev", "nodev": "dev", "suid": "suid",
    "nosuid": "suid", "atime": "atime", "noatime": "atime", "relatime": "atime",
}  # fmt: skip


class VolumeUse:
    """A volume that a container needs; it is made, and filled from the image, if it does not exist.

    `options` are the driver's by which the mount was decided: of the volume that is there, else of the new one.
    `place` is where its files are, empty for a tmpfs.
    """

    __slots__ = (
        "anonymous", "borrowed", "chown", "copy_up", "destination", "labels", "name", "options", "part", "place",
    )  # fmt: skip

    def __init__(
        self, name: str, mount: Mount, options: Mapping[str, str], chown: tuple[int, int] | None
    ) -> None:
        self.name = name
        self.destination = mount.destination
        self.anonymous = mount.is_anonymous
        self.borrowed = mount.borrowed
        self.copy_up = not (
            mount.borrowed or mount.subpath or mount.decided.get("copy") == "nocopy"
        )
        self.labels = mount.labels
        self.options = dict(options)
        self.chown = chown
        self.part = mount.subpath
        self.place = ""


def _document(destination: str, kind: str, source: str, options: list[str]) -> spec.Mount:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def borrowed(flags: Sequence[str], facts: Facts) -> dict[str, Mount]:
    """The volumes and directories of other containers, by destination; the last one to have one gives it."""
    found: dict[str, Mount] = {}
    for flag in flags:
        name, _, mode = flag.partition(":")
        if not name:
            raise InvalidInput(f'invalid --volumes-from "{flag}"', "write CONTAINER[:ro]")
        for record in facts.mounts_of(name):
            if record["type"] in ("bind", "volume"):
                found[record["destination"]] = volume.of_record(record, mode, flag)
    return found


def add(result: Mounts, mount: Mount, facts: Facts, user: User) -> None:
    """A volume, or a directory of the host that is mounted in part or has an overlay over it."""
    source = mount.source
    if mount.kind == "volume":
        local = _use(result, mount, facts, user)
        source = f"{facts.store_dir}/volumes/{mount.source}/_data"
        if local.kind == "tmpfs":
            _add_tmpfs(result, mount, local, source, user)
            return
        source = local.device or source
        _decide(mount, local)
    elif not config_mounts.has_source(result, mount, facts, user):
        return
    if mount.decided.get("overlay"):
        _add_overlay(result, mount, source, facts)
        return
    words = config_mounts.bind_options(mount, facts)
    below = f"{source}/{mount.subpath}" if mount.subpath else source
    result.documents.append(_document(mount.destination, "bind", below, words))
    record = _record(result, mount, facts, words)
    if mount.subpath:
        record["subpath"] = mount.subpath


def _use(result: Mounts, mount: Mount, facts: Facts, user: User) -> LocalVolume:
    """The volume is noted, and its name becomes the mount's source."""
    known = facts.volume(mount.source) if mount.source else None
    if mount.borrowed and known is None:
        raise InvalidInput(f'the volume "{mount.source}" of --volumes-from is not there any more')
    options = mount.driver_options if known is None else known["options"]
    mount.source = mount.source or facts.new_id()
    chown = (user.uid, user.gid) if "chown" in mount.decided else None
    use = VolumeUse(mount.source, mount, options, chown)
    local = volumeoptions.parse(options)
    if local.kind != "tmpfs":
        use.place = local.device or f"{facts.store_dir}/volumes/{mount.source}/_data"
    if local.device and facts.stat(local.device) is None:
        raise InvalidInput(
            f'cannot mount the volume "{mount.source}": its device "{local.device}" does not exist '
            "or cannot be looked at",
            f"mkdir -p {local.device}",
        )
    result.volumes.append(use)
    return local


def _decide(mount: Mount, local: LocalVolume) -> None:
    for word in local.words:
        if word in _DRIVER_WORDS:
            mount.decided.setdefault(_DRIVER_WORDS[word], word)
        elif word in volume.PROPAGATIONS:
            mount.decided.setdefault("propagation", word)
    if "ro" in local.words:
        mount.decided["access"] = "ro"
    if local.kind == "bind" and "rbind" not in local.words:
        mount.decided.setdefault("recursion", "bind")


def _add_tmpfs(result: Mounts, mount: Mount, local: LocalVolume, source: str, user: User) -> None:
    """Nothing of ours lives on to hold a file system between containers: each has one of its own."""
    if mount.subpath or mount.decided.get("overlay"):
        raise InvalidInput(f'the tmpfs volume "{mount.source}" has neither subpath nor overlay')
    words = ["nosuid", "nodev", *local.words]
    if mount.read_only:
        words.append("ro")
    if mount.decided.get("copy") != "nocopy":
        words.append("tmpcopyup")
    if "chown" in mount.decided:
        words += [f"uid={user.uid}", f"gid={user.gid}"]
    result.documents.append(_document(mount.destination, "tmpfs", "tmpfs", words))
    config_mounts.record(result, mount, "volume", source, words)


def _record(result: Mounts, mount: Mount, facts: Facts, words: Sequence[str]) -> dict[str, Any]:
    """inspect shows where docker has the files of a volume, even of one that is another directory."""
    source = mount.source
    if mount.kind == "volume":
        source = f"{facts.store_dir}/volumes/{mount.source}/_data"
    return config_mounts.record(result, mount, mount.kind, source, words)


def _add_overlay(result: Mounts, mount: Mount, source: str, facts: Facts) -> None:
    """`:O`: what the container changes goes to an upper directory of its own, which each start renews."""
    if mount.subpath or "chown" in mount.decided:
        word = "a subpath" if mount.subpath else "the option U"
        raise InvalidInput(f'"{mount.destination}": {word} does not go with the option O')
    number = sum("overlay" in record for record in result.records)
    folder = f"{facts.container_dir}/overlay/{number}"
    upper = mount.decided.get("upperdir") or f"{folder}/upper"
    work = mount.decided.get("workdir") or f"{folder}/work"
    words = [
        f"lowerdir={_escaped(source, ':')}",
        f"upperdir={_escaped(upper)}",
        f"workdir={_escaped(work)}",
    ]
    words += ["userxattr"] if facts.rootless else []
    words += ["ro"] if mount.read_only else []
    words += [mount.decided[key] for key in ("exec", "dev", "suid") if key in mount.decided]
    result.documents.append(_document(mount.destination, "overlay", "overlay", words))
    record = _record(result, mount, facts, config_mounts.bind_options(mount, facts))
    record["overlay"] = {"lower": source, "upper": upper, "work": work}
    record["overlay"]["kept"] = "upperdir" in mount.decided


def _escaped(path: str, more: str = "") -> str:
    """As overlayfs reads its options; a comma would end one."""
    return "".join([f"\\{char}" if char in "\\," or char in more else char for char in path])
