"""The mounts of a container that is there → volumeMounts, and the volumes of its pod."""

from __future__ import annotations

import stat

from rcrun.formats import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.kube.written import PodParts, Seen

    Object = dict[str, Any]

# What --read-only brings by itself.
_OWN_TMPFS = ("/run", "/tmp", "/var/tmp")
_PROPAGATIONS = {"slave": "HostToContainer", "rslave": "HostToContainer", "shared": "Bidirectional", "rshared": "Bidirectional"}  # fmt: skip
_LONGEST = 63  # of a name, in Kubernetes


def add_mounts(found: Object, seen: Seen, parts: PodParts) -> None:
    mounts = []
    for mount in seen.record.get("mounts") or ():
        source = _source(mount, seen)
        if source is None:
            continue
        name = _named(parts, *source)
        each: Object = {"name": name, "mountPath": mount["destination"]}
        if not mount.get("rw", True):
            each["readOnly"] = True
        if mount.get("subpath"):
            each["subPath"] = mount["subpath"]
        spread = [
            _PROPAGATIONS[word] for word in mount.get("options") or () if word in _PROPAGATIONS
        ]
        if spread and mount["type"] == "bind":
            each["mountPropagation"] = spread[-1]
        mounts.append(each)
    for device in seen.asked.get("device") or ():
        if device.startswith("/"):
            mounts.append(_device(device, seen, parts))
    if mounts:
        found["volumeMounts"] = mounts


def _named(parts: PodParts, name: str, source: Object) -> str:
    """The name under which the pod has the source; one that is there already is shared."""
    for known, volume in parts.volumes.items():
        if {**source, "name": known} == volume and "emptyDir" not in source:
            return known
    base = name[: _LONGEST - 4].strip("-") or "volume"
    free, number = base, 0
    while free in parts.volumes:
        if parts.volumes[free] == {**source, "name": free}:
            return free
        number += 1
        free = f"{base}-{number}"
    parts.volumes[free] = {"name": free, **source}
    return free


def _source(mount: Mapping[str, Any], seen: Seen) -> tuple[str, Object] | None:
    """A name for it and what it is; None for what a container gets without being asked."""
    kind = mount["type"]
    if kind == "tmpfs":
        if seen.record.get("read_only") and mount["destination"] in _OWN_TMPFS:
            return None
        return f"tmp-{_plain(mount['destination'])}", {"emptyDir": _memory(mount)}
    if kind == "bind":
        return _host_path(str(mount["source"]), seen)
    if kind == "image":
        return f"{_plain(str(mount['name'] or mount['source']))}-image", {
            "image": {"reference": mount["source"]}
        }
    if kind != "volume":
        return None
    name = str(mount["name"])
    if seen.kind_of(name) == "empty":
        return _empty_name(name, seen), {"emptyDir": {}}
    if mount.get("anonymous"):
        if mount["destination"] in (seen.image.get("Volumes") or {}):
            return None
        return f"empty-{_plain(mount['destination'])}", {"emptyDir": {}}
    return f"{_plain(name)}-pvc", {"persistentVolumeClaim": {"claimName": name}}


def _empty_name(name: str, seen: Seen) -> str:
    """As the document had it, if a play made it."""
    pod = str((seen.record.get("pod") or {}).get("name") or "")
    return _plain(name.removeprefix(f"{pod}-"))


def _memory(mount: Mapping[str, Any]) -> Object:
    sizes = [
        word.partition("=")[2] for word in mount.get("options") or () if word.startswith("size=")
    ]
    if not sizes or "%" in sizes[0]:
        return {"medium": "Memory"}
    return {"medium": "Memory", "sizeLimit": str(size.parse(sizes[0]))}


def _host_path(path: str, seen: Seen) -> tuple[str, Object]:
    found = seen.stat(path)
    kind = "DirectoryOrCreate"
    if found is not None:
        kind = (
            "Directory"
            if stat.S_ISDIR(found.st_mode)
            else "Socket"
            if stat.S_ISSOCK(found.st_mode)
            else "File"
        )
        if not stat.S_ISREG(found.st_mode) and kind == "File":
            kind = ""
    source: Object = {"path": path, **({"type": kind} if kind else {})}
    return f"{_plain(path) or 'root'}-host", {"hostPath": source}


def _device(text: str, seen: Seen, parts: PodParts) -> Object:
    path, _, rest = text.partition(":")
    inside = rest.partition(":")[0] if rest.startswith("/") else path
    found = seen.stat(path)
    is_block = found is not None and stat.S_ISBLK(found.st_mode)
    source = {"hostPath": {"path": path, "type": "BlockDevice" if is_block else "CharDevice"}}
    return {"name": _named(parts, f"{_plain(path)}-dev", source), "mountPath": inside}


def _plain(text: str) -> str:
    """Letters, digits and dashes, as names there have them."""
    letters = [letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower()]
    return "".join(letters).strip("-")
