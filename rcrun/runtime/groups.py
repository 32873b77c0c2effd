"""The cgroup of a container of rcrun-oci: its place, its limits, freezing and emptying it (cgroup v2)."""

from __future__ import annotations

import os
import time

from rcrun.cgroup import delegated
from rcrun.errors import HostLacks, InUse, InvalidInput, RcrunError, WrongState
from rcrun.files import read_text
from rcrun.runtime import plan_resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.formats.spec import Spec
    from rcrun.runtime.host import Host
    from rcrun.runtime.scopes import Scope

_FREEZE_SECONDS = 10.0
_EMPTY_SECONDS = 5.0


class Group:
    """A container's own; `path` is "" without one. `holds_devices`: no device that the rules deny can be opened in it."""

    __slots__ = ("holds_devices", "path", "scope")

    def __init__(
        self, path: str = "", *, holds_devices: bool = False, scope: Scope | None = None
    ) -> None:
        self.path = path
        self.holds_devices = holds_devices
        self.scope = scope  # of systemd, yet to be made


class Devices:
    """The program for `linux.resources.devices`, loaded, where rules are given and this kernel lets us."""

    __slots__ = ("_program",)

    def __init__(self, spec: Spec, *, root: bool) -> None:
        self._program = -1
        rules: Any = ((spec.get("linux") or {}).get("resources") or {}).get("devices")
        if not rules or not root:
            return  # who is not root can make no device node, and opens those that he may
        from rcrun.cgroup.devices import program
        from rcrun.kernel import bpf

        instructions = program(rules)
        try:
            self._program = bpf.load_device_program(instructions)
        except OSError:
            pass  # a kernel without, or a container's root: then mounts hold the devices (plan_mounts)

    @property
    def are_held(self) -> bool:
        return self._program >= 0

    def fds(self) -> list[int]:
        return [self._program] if self.are_held else []

    def attach(self, path: str) -> None:
        if not self.are_held:
            return
        from rcrun.kernel import bpf

        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            before = bpf.device_programs(folder)
            bpf.attach_to_group(folder, self._program)
            for program in before:
                bpf.detach_from_group(folder, program)
        except OSError as error:
            raise HostLacks(
                f'cannot restrict the devices of the cgroup "{path}": {(error.strerror or "").lower()}',
                'remove "devices" from linux.resources',
            ) from error
        finally:
            os.close(folder)


def make_group(
    spec: Spec, container_id: str, manager: str, host: Host, environ: Mapping[str, str]
) -> Group:
    """What `linux.resources` and `--cgroup-manager` ask for."""
    if not host.unified or manager == "disabled":
        return Group()
    devices = Devices(spec, root=not host.rootless)
    if manager == "systemd":
        from rcrun.runtime import scopes

        scope = scopes.prepare(spec, container_id, host, environ, devices)
        if scope is None:
            return Group()
        return Group(scope.path, holds_devices=devices.are_held, scope=scope)
    path = make(spec, container_id, manager, root=not host.rootless)
    if not path:
        return Group()
    try:
        devices.attach(path)
        give(path, owner_of(spec))
    except BaseException:
        remove(path)
        raise
    return Group(path, holds_devices=devices.are_held)


def without_device_rules(spec: Spec) -> Spec:
    """For the plan: they are the cgroup's now."""
    linux = spec.get("linux") or {}
    resources = {
        key: value for key, value in (linux.get("resources") or {}).items() if key != "devices"
    }
    return {**spec, "linux": {**linux, "resources": resources}}


def owner_of(spec: Spec) -> tuple[int, int] | None:
    """The ids outside of a container's root who shall have groups of his own below his: where he sees his alone."""
    linux = spec.get("linux") or {}
    made = {row.get("type") for row in linux.get("namespaces") or [] if not row.get("path")}
    if not {"user", "cgroup"} <= made or os.geteuid() != 0:
        return None
    ids = []
    for field in ("uidMappings", "gidMappings"):
        rows: Any = linux.get(field) or []
        ids += [row["hostID"] for row in rows if row.get("containerID") == 0]
    return (ids[0], ids[1]) if len(ids) == 2 else None


_DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")  # cgroups(7)


def give(path: str, owner: tuple[int, int] | None) -> None:
    """The group to its new owner, but not its limits."""
    if owner is None:
        return
    names = read_text("/sys/kernel/cgroup/delegate").split() or _DELEGATED
    for place in (path, *[f"{path}/{name}" for name in names]):
        try:
            os.chown(place, *owner)
        except FileNotFoundError:
            pass  # of a controller that is not enabled


def make(
    spec: Spec,
    container_id: str,
    manager: str,
    *,
    root: bool,
    note: Callable[[str], None] = lambda path: None,
    parent: str | None = None,
) -> str:
    """A group with its limits set; "" where there is none to be had and no limit was asked for.

    `note` is told of it before it is there, for who may be killed and has to find it again. `parent`: not where
    `delegated` finds one.
    """
    linux = spec.get("linux") or {}
    resources = linux.get("resources") or {}
    plan_resources.check(resources)
    wanted = linux.get("cgroupsPath") or ""
    path = ""
    if parent is None and manager != "disabled":
        if wanted.startswith("/") and ".." not in wanted.split("/") and not root:
            path = delegated.named(wanted)
        parent = delegated.find_parent()
    if not path and parent is None:
        return ""
    path = path or place(wanted, container_id, str(parent), root=root)
    note(path)
    if not _make_directories(path):
        return ""
    refuse_used(path)
    try:
        limit(path, resources)
    except BaseException:
        remove(path)
        raise
    return path


def place(cgroups_path: str, container_id: str, parent: str, *, root: bool) -> str:
    """Where `cgroupsPath` is meant (config-linux.md): below the mount for root, else below what is ours."""
    if ".." in cgroups_path.split("/"):
        raise InvalidInput(f'"linux.cgroupsPath" "{cgroups_path}" contains ".."')
    if not cgroups_path:
        return f"{parent}/rcrun-{container_id}.scope"
    if cgroups_path.startswith("/"):
        whole = delegated.MOUNT + cgroups_path.rstrip("/")
        if root or whole.startswith(f"{parent}/"):
            return whole
        return f"{parent}/{os.path.basename(whole)}"
    _, colon, rest = cgroups_path.partition(":")
    if not colon:
        return f"{parent}/{cgroups_path.rstrip('/')}"
    # systemd's SLICE:PREFIX:NAME, without systemd
    prefix, _, name = rest.partition(":")
    return f"{parent}/{prefix}{'-' if prefix else ''}{name or container_id}.scope"


def _make_directories(path: str) -> bool:
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError:
        return False
    return os.access(f"{path}/cgroup.procs", os.W_OK)


def refuse_used(path: str) -> None:
    """Two in one group would be limited, frozen and killed together; in a frozen one nothing begins."""
    if "populated 1" in read_text(f"{path}/cgroup.events"):
        raise InUse(
            f'cannot use the cgroup "{path}": the container\'s cgroup is not empty',
            'name another "linux.cgroupsPath", or end what runs there',
        )
    if read_text(f"{path}/cgroup.freeze").strip() == "1":
        raise InUse(
            f'cannot use the cgroup "{path}": the container\'s cgroup unexpectedly frozen',
            f"echo 0 | sudo tee {path}/cgroup.freeze",
        )


_SECTIONS = ("memory", "cpu", "pids", "blockIO", "hugepageLimits", "rdma", "network", "unified")


def limit(path: str, resources: Mapping[str, Any]) -> None:
    delegated.let_down_usual(path)
    if any(resources.get(section) for section in _SECTIONS):
        from rcrun.cgroup import controllers

        controllers.limit(path, resources)


def members(path: str) -> list[int]:
    """The processes in the group and below it."""
    pids: list[int] = []
    for folder, _, _ in os.walk(path):
        try:
            with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
                pids += [int(line) for line in file]
        except OSError:
            continue  # a threaded group, or one that was removed meanwhile
    return sorted(pids)


def kill(path: str) -> bool:
    """Kill every process of the group at once; False where the kernel has no cgroup.kill (before 5.14)."""
    return delegated.write(f"{path}/cgroup.kill", "1")


def remove(path: str) -> None:
    """The group with those below it, and with what still runs in them."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    if members(path):
        kill(path)
    while os.path.isdir(path):
        for folder, _, _ in os.walk(path, topdown=False):
            delegated.remove(folder)
        if time.monotonic() > deadline:
            return  # something of it is in uninterruptible sleep
        if os.path.isdir(path):
            time.sleep(0.01)


def is_frozen(path: str) -> bool:
    try:
        with open(f"{path}/cgroup.events", encoding="ascii") as file:
            return "frozen 1" in file.read().splitlines()
    except OSError:
        return False


def freeze(path: str, frozen: bool) -> None:
    if not delegated.write(f"{path}/cgroup.freeze", "1" if frozen else "0"):
        if not os.path.isdir(path):
            raise WrongState("container not running: it has ended meanwhile")
        raise HostLacks(
            "cannot freeze the container's cgroup", "Linux 5.2 with cgroup v2 is needed for it"
        )
    deadline = time.monotonic() + _FREEZE_SECONDS
    while is_frozen(path) != frozen:
        word = read_text(f"{path}/cgroup.freeze").strip()
        if not word:
            raise WrongState("container not running: it has ended meanwhile")
        if word != ("1" if frozen else "0"):
            return  # somebody asked for the contrary after us
        if time.monotonic() > deadline:
            delegated.write(f"{path}/cgroup.freeze", "0")
            raise RcrunError("the container's processes cannot be frozen: one does not answer")
        time.sleep(0.005)


def for_exec(path: str, init: int, below: str) -> str:
    """The container's group; where that shares controllers out, which keeps it from holding processes, its init's."""
    if below:
        return f"{path}/{below}".rstrip("/")
    if read_text(f"{path}/cgroup.subtree_control").strip() or not os.path.isdir(path):
        return of_process(init)
    return path


def joining(record: Mapping[str, Any], path: str) -> int:
    """A descriptor for the plan's `scope`, where systemd has to do it; -1 where we may ourselves."""
    if not record.get("scope") or delegated.may_enter(path):
        return -1
    from rcrun.runtime import scopes

    return scopes.joining(record["scope"], path)


def of_process(pid: int) -> str:
    """The directory of the group that a process is in; "" without cgroup v2."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            for line in file:
                if line.startswith("0::/"):
                    return delegated.MOUNT + line[3:].rstrip("\n").rstrip("/")
    except OSError:
        pass
    return ""
