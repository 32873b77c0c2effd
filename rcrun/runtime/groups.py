"""The cgroup of a container of rcrun-oci: its place, its limits, freezing and emptying it (cgroup v2)."""

from __future__ import annotations

import os
import time

from rcrun.cgroup import delegated
from rcrun.errors import HostLacks, InvalidInput, RcrunError
from rcrun.runtime import plan_resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.spec import Spec

_FREEZE_SECONDS = 10.0
_EMPTY_SECONDS = 5.0


def make(spec: Spec, container_id: str, manager: str, *, root: bool) -> str:
    """The container's group with its limits set; "" where there is none to be had and no limit was asked for."""
    linux = spec.get("linux") or {}
    resources = linux.get("resources") or {}
    plan_resources.check(resources)
    parent = None if manager == "disabled" else delegated.find_parent()
    if parent is None:
        return ""
    path = place(linux.get("cgroupsPath") or "", container_id, parent, root=root)
    if not _make_directories(path):
        return ""
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


def limit(path: str, resources: Mapping[str, Any]) -> None:
    wanted = plan_resources.controllers(resources)
    if not wanted:
        return
    with open(f"{delegated.MOUNT}/cgroup.controllers", encoding="ascii") as file:
        known = file.read().split()
    for name in wanted:
        if name not in known:
            raise HostLacks(
                f"the requested cgroup controller `{name}` is not available on this host",
                "the kernel does not have it, or a hierarchy of cgroup v1 holds it: see /proc/cgroups",
            )
    _enable_along(path, wanted)
    delegated.limit(path, resources)


def _enable_along(path: str, controllers: list[str]) -> None:
    """Let the controllers down to the group. What is refused shows as missing afterwards."""
    above = delegated.MOUNT
    for part in os.path.dirname(path).removeprefix(above).split("/"):
        above = f"{above}/{part}" if part else above
        for name in controllers:
            try:
                with open(f"{above}/cgroup.subtree_control", "w", encoding="ascii") as file:
                    file.write(f"+{name}")
            except OSError:
                pass


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
    return _write(f"{path}/cgroup.kill", "1")


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
    if not _write(f"{path}/cgroup.freeze", "1" if frozen else "0"):
        raise HostLacks(
            "cannot freeze the container's cgroup", "Linux 5.2 with cgroup v2 is needed for it"
        )
    deadline = time.monotonic() + _FREEZE_SECONDS
    while is_frozen(path) != frozen:
        if time.monotonic() > deadline:
            _write(f"{path}/cgroup.freeze", "0")
            raise RcrunError("the container's processes cannot be frozen: one does not answer")
        time.sleep(0.005)


def _write(path: str, text: str) -> bool:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError:
        return False
    return True


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
