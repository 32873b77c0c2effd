"""A container's root file system for a worker of the store: of a running one as its processes see it, else mounted for the occasion."""

from __future__ import annotations

import os

from rcrun.errors import WrongState
from rcrun.formats import idmap
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import status
from rcrun.storage.stillthere import StillThere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.spec import Mount
    from rcrun.storage.containers import Container

    Records = list[list[str]]


class Root:
    """What a worker needs: steps before it, a descriptor to keep, and where the root is then. A context manager.

    Of a container that does not run the lock is held, so that it is not started meanwhile.
    """

    __slots__ = ("_lock", "container", "context", "keep_fd", "path", "steps")

    def __init__(self, context: Context, container: Container) -> None:
        self.context = context
        self.container = container
        self.keep_fd = -1
        self.path = ""
        self.steps: Records = []
        self._lock: ContainerLock | None = None

    @property
    def job(self) -> dict[str, Any]:
        """The members of a job that name the root."""
        return {"root": self.path or self.keep_fd}

    def __enter__(self) -> Root:
        if not self._enter_running():
            self._lock = ContainerLock(self.container)
            self._lock.acquire()
            if self._enter_running():  # it was started before we had the lock
                self._release()
            else:
                self._await_monitor()
                self._mount()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self.keep_fd >= 0:
            os.close(self.keep_fd)
            self.keep_fd = -1
            StillThere(self.container).__exit__(kind, error, trace)
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.__exit__()
            self._lock = None

    def _await_monitor(self) -> None:
        """It knows no lock, and takes a --rm container away; another one's root it still has mounted."""
        from rcrun.engine.start import let_old_monitor_end

        try:
            let_old_monitor_end(self.container)
        except BaseException:
            self._release()
            raise

    def _enter_running(self) -> bool:
        from rcrun.kernel.process import is_alive

        now = status(self.container)
        if not now.is_running:
            return False
        try:
            self.keep_fd = os.open(
                f"/proc/{now.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            )
        except (FileNotFoundError, ProcessLookupError):
            return False
        except PermissionError as error:
            raise WrongState(
                f'cannot look into container "{self.container.name}": it belongs to somebody else'
            ) from error
        if is_alive(now.pid, now.pid_start):
            return True
        os.close(self.keep_fd)
        self.keep_fd = -1
        return False

    def _mount(self) -> None:
        """The root as a start would make it, with the volumes and what is bound from the host."""
        from rcrun.engine.launch import root_records

        self.path = mounted_path(self.container)
        self.steps = [
            ["propagation", "rprivate"],
            *_durable(root_records(self.context, self.container)),
            *_binds(self.container),
            *([["root-readonly"]] if self.container.record.get("read_only") else []),
        ]


def _durable(records: Records) -> Records:
    """A volatile overlay can be mounted once, which is the start's."""
    return [
        [*record[:3], record[3].replace(",volatile", "").replace("volatile", ""), *record[4:]]
        if record[0] == "root-overlay"
        else record
        for record in records
    ]


def mounted_path(container: Container) -> str:
    """Where `root_records` put the root: an overlay stands on its top lower."""
    rootfs = container.record["rootfs"]
    if rootfs["kind"] == "directory":
        return str(rootfs["path"])
    if rootfs["driver"] == "overlay":
        return container.store.path(rootfs["lowers"][0])
    return container.path("rootfs")


def _binds(container: Container) -> Records:
    mounts: list[Mount] = container.config().get("mounts") or []
    return [_bind(mount) for mount in mounts if _is_bind(mount)]


def _is_bind(mount: Mount) -> bool:
    options = mount.get("options") or []
    if mount.get("type") != "bind" and "bind" not in options and "rbind" not in options:
        return False
    return os.path.lexists(mount.get("source") or "") and not mount["destination"].startswith(
        ("/proc", "/sys", "/dev")
    )


def _bind(mount: Mount) -> list[str]:
    access = [word for word in mount.get("options") or [] if word in ("ro", "rro")]
    flags = ["rec", "optional", *access]
    return ["bind", mount["source"], mount["destination"], ",".join(flags)]


def container_ids(context: Context, container: Container) -> tuple[IdMap, IdMap]:
    """Rows from the worker's numbers to the container's, for users and for groups."""
    linux = container.config().get("linux") or {}
    if "uidMappings" not in linux:
        return [(0, 0, idmap.ID_LIMIT - 1)], [(0, 0, idmap.ID_LIMIT - 1)]
    identity = context.identity
    found = []
    for ours, rows in (
        (identity.uid_map, linux["uidMappings"]),
        (identity.gid_map, linux["gidMappings"]),
    ):
        theirs = [(row["containerID"], row["hostID"], row["size"]) for row in rows]
        found.append(idmap.between(ours, theirs))
    return found[0], found[1]


def reversed_rows(rows: IdMap) -> IdMap:
    return [(there, here, count) for here, there, count in rows]


class Layers:
    """The parts of a container's root: its upper directory and what lies below, top first. Nothing is mounted.

    `whole`: there is no upper directory, `upper` is the complete root.
    """

    __slots__ = ("driver", "lowers", "upper", "whole")

    def __init__(self, container: Container) -> None:
        rootfs = container.record["rootfs"]
        self.driver = str(rootfs.get("driver", ""))
        self.lowers = [container.store.path(path) for path in rootfs.get("lowers", ())]
        self.whole = rootfs["kind"] == "directory" or self.driver == "copy"
        self.upper = container.path("rootfs" if self.driver == "copy" else "upper")
        if rootfs["kind"] == "directory":
            self.upper = str(rootfs["path"])

    def merged(self, context: Context, container: Container) -> tuple[Records, str]:
        """Steps that show the root, without its mounts and read-only, and where it is then."""
        if self.whole:
            return [], self.upper
        place = container.path("rootfs")
        stack = [self.upper, *self.lowers]
        if self.driver == "fuse-overlayfs":
            from rcrun.engine.rootdriver import find_fuse_overlayfs

            program = find_fuse_overlayfs(context) or "fuse-overlayfs"
            options = f"lowerdir={':'.join(stack)}"
            record = ["root-fuse", place, program, "-o", options, place]
        else:
            from rcrun.engine.launch import overlay_options

            words = overlay_options(context, {})
            record = ["root-overlay", "", "", words, place, *stack]
        return [["propagation", "rprivate"], record], place
