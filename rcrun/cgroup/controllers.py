"""Writing limits into a group: what is missing named, each refusal worded. Cold: for who asks for a limit."""

from __future__ import annotations

import errno
import os

from rcrun.cgroup import limits
from rcrun.cgroup.delegated import MOUNT, let_down
from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.cgroup.limits import Setting


def limit(
    path: str, resources: Mapping[str, Any], mount: str = MOUNT, *, by_systemd: bool = False
) -> None:
    """Write the limits; HostLacks names the controller that is missing and how to get it."""
    settings = limits.settings_for(resources, current(path))
    if not settings:
        return
    wanted = limits.controllers_of(settings)
    _on_this_host(wanted, mount)
    let_down(path, wanted, mount)
    given = read_text(f"{path}/cgroup.controllers").split()
    missing = [name for name in wanted if name not in given]
    if missing:
        raise lacks(missing, root=os.geteuid() == 0, by_systemd=by_systemd)
    check(path, resources)
    for setting in settings:
        write(path, setting)


def current(path: str) -> dict[str, str]:
    """What halves of a limit are completed with."""
    return {name: read_text(f"{path}/{name}") for name in ("cpu.max", "cpu.idle", "memory.max")}


def _on_this_host(wanted: Sequence[str], mount: str) -> None:
    known = read_text(f"{mount}/cgroup.controllers").split()
    for name in wanted:
        if name not in known:
            raise HostLacks(
                f"the requested cgroup controller `{name}` is not available on this host",
                "the kernel does not have it, or a hierarchy of cgroup v1 holds it: see /proc/cgroups",
            )


def _put(path: str, text: str) -> None:
    """One write, which is what the kernel takes as one request."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)


def write(path: str, setting: Setting) -> None:
    name, text = setting.name, setting.text
    try:
        try:
            _put(f"{path}/{name}", text)
        except FileNotFoundError:
            if setting.optional:
                return
            if setting.fallback is None:
                raise
            name, text = setting.fallback
            _put(f"{path}/{name}", text)
    except OSError as error:
        reason = (error.strerror or "").lower()
        hint = _REASONS.get(error.errno or 0, "give a value that this kernel takes")
        raise HostLacks(f'cannot set "{name}" to {text}: {reason}', hint) from error


_REASONS = {
    errno.ENOENT: "this kernel has no such file; see: ls /sys/fs/cgroup/*/",
    errno.EACCES: "the group above must be delegated to you; log in with systemd (cgroup v2)",
    errno.EBUSY: "memory or processes in use are over it: give more, or stop some first",
    errno.ENODEV: "there is no such device; see: lsblk",
}


def check(path: str, resources: Mapping[str, Any]) -> None:
    """`checkBeforeUpdate`: an error instead of the OOM killer (config-linux.md, "Memory")."""
    memory = resources.get("memory") or {}
    if not memory.get("checkBeforeUpdate"):
        return
    limit_, swap = memory.get("limit") or 0, limits.swap_of(memory)
    if limit_ <= 0:
        return
    used = _number(path, "memory.current")
    room = limit_ + (swap if swap is not None and swap > 0 else 0)
    if used + _number(path, "memory.swap.current") > room:
        raise InvalidInput(
            f"cannot set the memory limit lower than its current usage: {limit_} is asked for, {used} in use",
            "stop processes of the container first, or leave checkBeforeUpdate out",
        )


def _number(path: str, name: str) -> int:
    text = read_text(f"{path}/{name}").strip()
    return int(text) if text.isdigit() else 0


def lacks(controllers: Sequence[str], *, root: bool = False, by_systemd: bool = False) -> HostLacks:
    """`by_systemd`: who has logged in needs no group of his own."""
    names = " and ".join(f'"{name}"' for name in controllers)
    many = "s" if len(controllers) > 1 else ""
    if root:
        return HostLacks(
            f"cannot set the limits asked for: the cgroup controller{many} {names} cannot be let down to the group",
            "a group that holds processes cannot share controllers: start rcrun in another, or name a"
            ' "linux.cgroupsPath" elsewhere',
        )
    delegate = " ".join(sorted({"cpu", "cpuset", "io", "memory", "pids", *controllers}))
    own = (
        ""
        if by_systemd
        else " and start it with: systemd-run --user --scope -p Delegate=yes rcrun …"
    )
    return HostLacks(
        f"cannot set the limits asked for: no delegation of the cgroup controller{many} {names} to this user",
        "sudo mkdir -p /etc/systemd/system/user@.service.d && printf "
        f"'[Service]\\nDelegate={delegate}\\n'"
        " | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload; then log in again"
        f"{own}",
    )
