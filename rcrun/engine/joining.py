"""The namespaces that a container joins, found anew for each start and held by descriptors: a number can become another process's.

Everything of the other container is hostile: what is opened is checked to be its namespace, and its own mounts are
looked at from within its root alone.
"""

from __future__ import annotations

import fcntl
import os

from rcrun.engine.config_linux import namespace_path
from rcrun.errors import HostLacks, InvalidInput, NotFound, WrongState
from rcrun.storage.containers import load, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container, Status

_NS_GET_USERNS, _NS_GET_NSTYPE = 0xB701, 0xB703  # ioctl_ns(2)
_TYPES = {
    "user": 0x10000000, "pid": 0x20000000, "network": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000,
    "cgroup": 0x02000000,
}  # fmt: skip
_CLOSED = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a path may be anything


class Joining:
    """`spec` with the paths of the plan, `fds` for the shim, `trees` by destination; config.json says where they were."""

    __slots__ = ("fds", "spec", "trees")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.fds: list[int] = []
        self.trees: dict[str, int] = {}

    def close(self) -> None:
        for fd in (*self.fds, *self.trees.values()):
            os.close(fd)


def join(context: Context, container: Container, spec: Spec) -> Joining:
    made = Joining(spec)
    try:
        found, kept = _open_all(context, container, made)
        _check_owners(container, found, made)
        _keep(container, spec, kept)
        made.spec = _with_paths(spec, {kind: f"/proc/self/fd/{fd}" for kind, fd in found.items()})
        if "user" in found and "container" not in (container.record["joins"].get("user") or {}):
            _learn_maps(made.spec, found["user"])
        donor = (container.record["joins"].get("ipc") or {}).get("container")
        if donor and "ipc" in found:
            made.trees["/dev/shm"] = shared_memory(*_running(container, context, donor))
    except BaseException:
        made.close()
        raise
    return made


def _open_all(
    context: Context, container: Container, made: Joining
) -> tuple[dict[str, int], dict[str, str]]:
    """Descriptors by type, and the paths that they were opened by."""
    found, paths = {}, {}
    for kind, where in container.record["joins"].items():
        if "path" in where:
            path = str(where["path"])
            fd = _open_path(path, kind)
        else:
            donor, now = _running(container, context, str(where["container"]))
            path = namespace_path(kind, now.pid)
            fd = _open_of(donor, now, path)
        made.fds.append(fd)
        found[kind], paths[kind] = fd, path
    return found, paths


def _open_path(path: str, kind: str) -> int:
    try:
        fd = os.open(path, _CLOSED)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise NotFound(f'cannot join the {kind} namespace "{path}": {reason}') from error
    try:
        found = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError:
        found = 0
    if found != _TYPES[kind]:
        os.close(fd)
        what = f"a namespace, but no {kind} namespace" if found else "no namespace"
        raise InvalidInput(f'cannot join the {kind} namespace "{path}": it is {what}')
    return fd


def _running(container: Container, context: Context, donor_id: str) -> tuple[Container, Status]:
    donor = load(context.store, donor_id)
    if donor is None:
        raise NotFound(
            f'cannot start "{container.name}": the container {donor_id[:12]} whose namespace it joins is gone',
            f"make it anew: rcrun rm {container.name}",
        )
    now = status(donor)
    if not now.is_running:
        raise WrongState(
            f'cannot join the namespace of container "{donor.name}": it is not running',
            f"rcrun start {donor.name}",
        )
    return donor, now


def _open_of(donor: Container, now: Status, path: str) -> int:
    from rcrun.kernel.process import is_alive

    try:
        fd = os.open(path, _CLOSED)
    except (FileNotFoundError, ProcessLookupError):
        _gone(donor)
    except PermissionError as error:
        raise WrongState(
            f'cannot join the namespace of container "{donor.name}": it belongs to somebody else'
        ) from error
    if not is_alive(now.pid, now.pid_start):
        os.close(fd)
        _gone(donor)
    return fd


def _gone(donor: Container) -> NoReturn:
    raise WrongState(
        f'cannot join the namespace of container "{donor.name}": it is not running',
        f"rcrun start {donor.name}",
    )


def _inode(fd: int) -> int:
    return os.fstat(fd).st_ino


def _owner_of(fd: int) -> int:
    """A descriptor of the user namespace that owns this one; -1: it is above ours, whose it may not be."""
    try:
        return int(fcntl.ioctl(fd, _NS_GET_USERNS))
    except OSError:
        return -1


def _check_owners(container: Container, found: dict[str, int], made: Joining) -> None:
    """The user namespace that gives the rights over all of them is joined with them."""
    ours = os.stat("/proc/self/ns/user").st_ino
    wanted: dict[int, str] = {_inode(found["user"]): "user"} if "user" in found else {}
    for kind, fd in list(found.items()):
        if kind == "user":
            continue
        owner = _owner_of(fd)
        if owner < 0:
            raise HostLacks(
                f"cannot join the {kind} namespace: it belongs to a user namespace above ours",
                "join one that you made: unshare --user --map-root-user --net",
            )
        number = _inode(owner)
        if number == ours and "user" not in found:
            os.close(owner)
            _require_rights(kind)
            continue
        wanted.setdefault(number, kind)
        if "user" not in found:
            made.fds.append(owner)
            found["user"] = owner
        else:
            os.close(owner)
    if len(wanted) > 1:
        kinds = " and ".join(wanted.values())
        raise InvalidInput(
            f'cannot start "{container.name}": its {kinds} namespaces belong to different user namespaces',
            "make the containers that it joins with one: --userns container:NAME",
        )


def _require_rights(kind: str) -> None:
    """What is our own user namespace's needs its root."""
    if os.geteuid() != 0:
        raise HostLacks(
            f"cannot join the {kind} namespace: only root may, for it belongs to no user namespace of ours",
            "join one that you made: unshare --user --map-root-user --net",
        )


def _keep(container: Container, spec: Spec, paths: dict[str, str]) -> None:
    """config.json tells where the namespaces of this run are."""
    from rcrun.files import write_json

    write_json(container.path("config.json"), _with_paths(spec, paths), durable=False)


def _with_paths(spec: Spec, paths: dict[str, str]) -> Spec:
    linux: dict[str, Any] = dict(spec.get("linux") or {})
    rows = []
    for row in linux.get("namespaces") or []:
        path = paths.get(row["type"])
        rows.append({**row, "path": path} if path else row)
    present = {row["type"] for row in rows}
    rows[:0] = [{"type": kind, "path": path} for kind, path in paths.items() if kind not in present]
    return {**spec, "linux": {**linux, "namespaces": rows}}  # type: ignore[typeddict-item]


def _learn_maps(spec: Spec, namespace: int) -> None:
    """Which ids there are decides what can be mounted; of a namespace at a path nobody knew until now."""
    linux: dict[str, Any] = spec["linux"]  # type: ignore[assignment]
    from rcrun.formats.idmap import parse_map
    from rcrun.kernel.entering import id_maps

    for key, text in zip(("uidMappings", "gidMappings"), id_maps(namespace), strict=False):
        linux[key] = [
            {"containerID": inside, "hostID": outside, "size": count}
            for inside, outside, count in parse_map(text)
        ]


# ---- /dev/shm of the other container, which is a mount of its mount namespace


def shared_memory(donor: Container, now: Status) -> int:
    """A tree that is its /dev/shm; made within its mount namespace, where alone the kernel copies it."""
    from rcrun.kernel.entering import tree_of

    try:
        return tree_of(now.pid, now.pid_start, b"dev/shm")
    except ProcessLookupError:
        _gone(donor)
    except OSError as error:
        raise WrongState(
            f'cannot share /dev/shm of container "{donor.name}": {(error.strerror or "").lower()}'
        ) from error
