"""A pod's volumes, and what containers mount of them: words of `run`, and what must be there before. Pure."""

from __future__ import annotations

import posixpath
import stat

from rcrun.formats.kube import fields, quantity
from rcrun.formats.names import is_valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from rcrun.engine.kube.around import Around
    from rcrun.engine.kube.objects import Keyed, PodDocument
    from rcrun.formats.kube.value import Value

_KINDS = ("hostPath", "emptyDir", "configMap", "secret", "persistentVolumeClaim", "image")
_HOST_TYPES: dict[str, Callable[[int], bool] | None] = {
    "": None, "DirectoryOrCreate": None, "FileOrCreate": None, "Directory": stat.S_ISDIR, "File": stat.S_ISREG,
    "Socket": stat.S_ISSOCK, "CharDevice": stat.S_ISCHR, "BlockDevice": stat.S_ISBLK,
}  # fmt: skip
_DEVICES = ("CharDevice", "BlockDevice")
_DEFAULT_MODE = 0o644
_PROPAGATIONS = {"None": "private", "HostToContainer": "rslave", "Bidirectional": "rshared"}
_BIND_OPTIONS = "bind-mount-options"  # podman's annotation: PATH:z
# What podman takes behind a colon in mountPath, as --mount has it.
_WORDS = {"ro": "readonly", "rw": "rw", "z": "relabel=shared", "Z": "relabel=private", "U": "U"}
_PLAIN_WORDS = ("exec", "noexec", "dev", "nodev", "suid", "nosuid", "noatime")


class PodVolume:
    """`kind` is bind, device, volume (of a claim), files, empty, memory, image or absent: optional, and not there.

    `source` is a path, the name of a volume of the store, or an image. `make` is directory or file: it may have to be
    made. `files` are those of a volume that play makes, with their modes.
    """

    __slots__ = ("files", "kind", "make", "policy", "read_only", "size", "source", "value")

    def __init__(self, kind: str, source: str, value: Value) -> None:
        self.kind = kind
        self.source = source
        self.value = value
        self.files: dict[str, tuple[bytes, int]] = {}
        self.make = ""
        self.policy = ""
        self.read_only = False
        self.size = 0


def pod_volumes(pod: PodDocument, around: Around) -> dict[str, PodVolume]:
    found: dict[str, PodVolume] = {}
    for value in pod.spec.field("volumes").rows():
        name = value.field("name").required()
        if name in found:
            raise value.field("name").fault(f'there are two volumes "{name}"')
        found[name] = _volume(value, name, pod, around)
    return found


def _volume(value: Value, name: str, pod: PodDocument, around: Around) -> PodVolume:
    given = [key for key in value.fields() if key != "name"]
    if len(given) != 1 or given[0] not in _KINDS:
        other = next((key for key in given if key not in _KINDS), "")
        reason = f'"{other}" is not supported' if other else "it is of one kind"
        raise value.fault(f"{reason}: there are {', '.join(_KINDS)}")
    source = value.field(given[0])
    if given[0] == "hostPath":
        return _host_path(source, around)
    if given[0] == "emptyDir":
        return _empty(source, f"{pod.name}-{name}")
    if given[0] == "configMap":
        return _config_map(source, around)
    if given[0] == "secret":
        return _secret(source, around)
    if given[0] == "image":
        volume = PodVolume("image", source.field("reference").required(), source)
        volume.policy = source.field("pullPolicy").text()
        return volume
    volume = PodVolume("volume", _name(source.field("claimName")), source)
    volume.read_only = source.field("readOnly").truth() or False
    return volume


def _name(value: Value) -> str:
    """Of a volume of the store."""
    name = value.required()
    if not is_valid(name):
        raise value.fault(f'"{name}" is no name of a volume')
    return name


def _host_path(value: Value, around: Around) -> PodVolume:
    path = posixpath.normpath(posixpath.join(around.cwd, value.field("path").required()))
    kind = value.field("type").one_of(list(_HOST_TYPES))
    found = around.exists(path)
    volume = PodVolume("device" if kind in _DEVICES else "bind", path, value)
    if found is None and kind in ("DirectoryOrCreate", "FileOrCreate"):
        volume.make = "directory" if kind == "DirectoryOrCreate" else "file"
    elif found is None:
        raise value.field("path").fault(
            f'"{path}" does not exist or cannot be looked at',
            "make it, or say type: DirectoryOrCreate",
        )
    elif not _is_kind(found, kind):
        raise value.field("path").fault(f'"{path}" is no {kind}')
    return volume


def _is_kind(found: os.stat_result, kind: str) -> bool:
    test = _HOST_TYPES[kind]
    return test is None or test(found.st_mode)


def _empty(value: Value, name: str) -> PodVolume:
    fields.look(value, fields.EMPTY_DIR)
    medium = value.field("medium")
    volume = PodVolume("memory" if medium.text() == "Memory" else "empty", name, value)
    if medium.text() not in ("", "Memory"):
        raise medium.fault(f'"{medium.text()}" is not supported: it is Memory, or nothing')
    volume.size = quantity.up(quantity.parse(value.field("sizeLimit")))
    if volume.size and volume.kind == "empty":
        value.field("sizeLimit").note("the size of a directory cannot be limited")
    return volume


def _config_map(value: Value, around: Around) -> PodVolume:
    name = _name(value.field("name"))
    return _filled(value, name, around.config_maps.get(name), "ConfigMap")


def _secret(value: Value, around: Around) -> PodVolume:
    from rcrun.engine.kube.objects import Keyed

    name = _name(value.field("secretName"))
    data = around.secret(name)
    return _filled(value, name, None if data is None else Keyed(name, data, value), "secret")


def _filled(value: Value, name: str, keyed: Keyed | None, what: str) -> PodVolume:
    """The keys as files, or those of `items` under their paths."""
    mode = value.field("defaultMode").number(0, 0o777)
    if keyed is None:
        if value.field("optional").truth():
            return PodVolume("absent", name, value)
        raise value.fault(f'there is no {what} "{name}"')
    volume = PodVolume("files", name, value)
    mode = _DEFAULT_MODE if mode is None else mode
    items = value.field("items").rows()
    for item in items:
        key, own = item.field("key").required(), item.field("mode").number(0, 0o777)
        if key not in keyed.data:
            if value.field("optional").truth():
                continue
            raise item.field("key").fault(f'the {what} "{name}" has no "{key}"')
        path = _inside(item.field("path"))
        volume.files[path] = (keyed.data[key], mode if own is None else own)
    if not items:
        for key, data in keyed.data.items():
            if not _is_file_name(key):
                raise value.fault(
                    f'the {what} "{name}" has the key "{key}", which is no name of a file'
                )
            volume.files[key] = (data, mode)
    return volume


def _is_file_name(key: str) -> bool:
    plain = key.replace("-", "").replace("_", "").replace(".", "")
    return key not in (".", "..") and (plain.isalnum() or not plain) and len(key) <= 253


def _inside(value: Value, path: str | None = None) -> str:
    path = value.required() if path is None else path
    if path.startswith("/") or ".." in path.split("/") or not path.strip("/."):
        raise value.fault(f'"{path}" is no path inside of the volume')
    return posixpath.normpath(path)


def mount_words(
    mount: Value, volumes: Mapping[str, PodVolume], subpath: str, annotations: Mapping[str, str]
) -> tuple[str, str] | None:
    """An option of `run` and its value; None where nothing is mounted. `subpath` has its variables written out."""
    fields.look(mount, fields.MOUNT)
    name = mount.field("name").required()
    if name not in volumes:
        raise mount.field("name").fault(f'there is no volume "{name}" in spec.volumes')
    volume = volumes[name]
    target, words = _target(mount)
    if volume.kind == "absent":
        return None
    if volume.kind == "device":
        return "device", f"{volume.source}:{target}"
    inside = _inside(mount.field("subPath"), subpath) if subpath else ""
    if volume.kind == "memory":
        if inside:
            raise mount.field("subPath").fault("a volume of memory has none")
        size = [f"tmpfs-size={volume.size}"] if volume.size else []
        words = [word for word in words if not word.startswith("bind-propagation")]
        return "mount", _csv(["type=tmpfs", f"target={target}", *size, "tmpfs-mode=1777", *words])
    if volume.read_only and "readonly" not in words:
        words.append("readonly")
    part = [f"subpath={inside}"] if inside else []
    if volume.kind == "bind":
        if part and "bind-propagation=rshared" in words:
            raise mount.field("mountPropagation").fault("a part of a volume is not Bidirectional")
        words += _annotated(volume.source, annotations, words)
        source = f"source={volume.source}"
        return "mount", _csv(["type=bind", source, f"target={target}", *part, *words])
    # Propagation is for directories of the host: nobody mounts in a volume.
    words = [word for word in words if not word.startswith("bind-propagation")]
    kind = "image" if volume.kind == "image" else "volume"
    if kind == "image":
        words = [word for word in words if word != "readonly"]
    elif volume.kind == "files":
        part.append("volume-nocopy=true")
    return "mount", _csv(
        [f"type={kind}", f"source={volume.source}", f"target={target}", *part, *words]
    )


def _target(mount: Value) -> tuple[str, list[str]]:
    """Where, and the words for --mount; podman takes options behind a colon of mountPath."""
    value = mount.field("mountPath")
    target, _, options = value.required().partition(":")
    if not target.startswith("/") or posixpath.normpath(target) in ("/", "//"):
        raise value.fault(f'"{target}" is no absolute path beneath /')
    words = []
    for word in filter(None, options.split(",")):
        if word not in _WORDS and word not in _PLAIN_WORDS:
            raise value.fault(f'there is no option "{word}"')
        words.append(_WORDS.get(word, word))
    if mount.field("readOnly").truth() and "readonly" not in words:
        words.append("readonly")
    propagation = mount.field("mountPropagation").one_of(list(_PROPAGATIONS))
    if propagation and propagation != "None":
        words.append(f"bind-propagation={_PROPAGATIONS[propagation]}")
    return target, words


def _annotated(source: str, annotations: Mapping[str, str], words: list[str]) -> list[str]:
    path, colon, word = annotations.get(_BIND_OPTIONS, "").rpartition(":")
    if not colon or path != source or word not in ("z", "Z") or any("relabel" in w for w in words):
        return []
    return [_WORDS[word]]


def _csv(words: list[str]) -> str:
    """As --mount reads them: what has a comma or a quote stands in quotes."""
    return ",".join(
        '"' + word.replace('"', '""') + '"' if any(mark in word for mark in ',"\n\r') else word
        for word in words
    )
