"""A bundle in every respect, for who asks (`rcrun-oci validate`): its configuration, and what that names on this host."""

from __future__ import annotations

import os

from rcrun.formats import configrules, validate
from rcrun.formats.rules import at, items, members, words_of
from rcrun.runtime import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.formats.rules import Fault

_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2); answers with the flag of clone(2)
_FLAGS = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
    "time": 0x00000080,
}
# Its path is one of the container.
_INSIDE = "startContainer"


def bundle_faults(bundle_dir: str, config_path: str = "") -> list[str]:
    _, document = bundle.read(bundle_dir, config_path)
    faults = validate.config_faults(document)
    here = os.path.abspath(bundle_dir)
    return [*faults, *validate.worded(_host_faults(document, here))]


def _host_faults(document: object, bundle_dir: str) -> Iterator[Fault]:
    yield from _root(at(document, "root", "path"), bundle_dir)
    for index, mount in items(at(document, "mounts")):
        source = at(mount, "source")
        bound = {"bind", "rbind"} & words_of(at(mount, "options"))
        if bound and _is_path(source) and not _is_there(source, bundle_dir):
            yield ("mounts", index, "source"), f'there is no "{source}"'
    for kind, hooks in members(at(document, "hooks")).items():
        for index, hook in items(hooks if kind != _INSIDE else []):
            yield from _hook(("hooks", kind, index, "path"), at(hook, "path"))
    for index, row in items(at(document, "linux", "namespaces")):
        yield from _namespace(index, at(row, "type"), at(row, "path"))


def _is_path(text: object) -> bool:
    """That can be asked for; what our own /proc/self shows is the runtime's later."""
    if not isinstance(text, str) or not text or "\0" in text or text.startswith("/proc/self/"):
        return False
    return configrules.is_encodable(text)


def _is_there(path: str, bundle_dir: str) -> bool:
    try:
        os.lstat(os.path.join(bundle_dir, path))
    except PermissionError:
        return True  # nothing is known of it
    except OSError:
        return False
    return True


def _root(path: object, bundle_dir: str) -> Iterator[Fault]:
    if not isinstance(path, str) or not _is_path(path):
        return
    whole = os.path.normpath(os.path.join(bundle_dir, path))
    if not os.path.isdir(whole):
        what = "is no directory" if os.path.lexists(whole) else "does not exist"
        yield ("root", "path"), f'"{whole}" {what}'


def _hook(place: tuple[str | int, ...], path: object) -> Iterator[Fault]:
    if not isinstance(path, str) or not _is_path(path) or not path.startswith("/"):
        return
    if not _is_there(path, "/"):
        yield place, f'there is no "{path}"'
    elif os.path.isdir(path) or not os.access(path, os.X_OK):
        yield place, f'"{path}" cannot be run'


def _namespace(index: int, kind: object, path: object) -> Iterator[Fault]:
    if (
        not isinstance(path, str)
        or not _is_path(path)
        or not isinstance(kind, str)
        or kind not in _FLAGS
    ):
        return
    place = ("linux", "namespaces", index, "path")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        return
    except OSError as error:
        yield place, f'"{path}": {(error.strerror or str(error)).lower()}'
        return
    try:
        if _type_of(fd) != _FLAGS[kind]:
            yield place, f'"{path}" is no {kind} namespace'
    finally:
        os.close(fd)


def _type_of(fd: int) -> int:
    import fcntl

    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError:
        return 0
