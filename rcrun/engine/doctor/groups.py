"""Limits: delegated cgroups, the user's systemd, what the kernel counts."""

from __future__ import annotations

import os
import resource

from rcrun.engine.doctor.finding import fine, limited
from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here
    from rcrun.engine.doctor.scope import Tried

WANTED = {
    "cpu": "--cpus and --cpu-shares",
    "cpuset": "--cpuset-cpus",
    "io": "--device-read-bps and its kin",
    "memory": "--memory",
    "pids": "--pids-limit",
}
# What is scarce where many containers run, with what a desktop of today has.
SYSCTLS = {
    "fs.inotify.max_user_instances": (128, "programs that watch files fail with too many open files"),
    "fs.inotify.max_user_watches": (8192, "programs that watch files see only some of them"),
    "kernel.keys.maxkeys": (200, "containers of other engines fail with disk quota exceeded"),
    "user.max_net_namespaces": (100, "containers with a network of their own fail beyond it"),
    "user.max_mnt_namespaces": (100, "containers fail beyond it"),
}  # fmt: skip
LEAST_PROCESSES, LEAST_FILES = 1000, 1024


def try_cgroup(here: Here) -> Finding:
    """Where `run` would put a container: in a scope of systemd, if one answers, else in a group that is ours."""
    from rcrun.cgroup.delegated import MOUNT, find_parent

    unified = os.path.exists(f"{MOUNT}/cgroup.controllers")
    known = read_text(f"{MOUNT}/cgroup.controllers").split()
    scope = tried_scope(here) if unified else None
    if scope is not None:
        return judge_cgroup(
            unified=True, parent=scope.group, fault=scope.fault, given=scope.given, known=known,
            has_systemd=True, is_root=here.uid == 0, by_systemd=True,
        )  # fmt: skip
    parent = find_parent() if unified else None
    fault = made_fault(parent) if parent else ""
    given = read_text(f"{parent}/cgroup.controllers").split() if parent else []
    return judge_cgroup(
        unified=unified, parent=parent or "", fault=fault, given=given, known=known,
        has_systemd=has_systemd(), is_root=here.uid == 0,
    )  # fmt: skip


def tried_scope(here: Here) -> Tried | None:
    from rcrun.engine.cgroup import systemd_is_there

    asked = here.context.cgroup_manager
    if asked not in ("", "systemd") or not systemd_is_there(here.context):
        return None
    from rcrun.engine.doctor.scope import try_scope

    return try_scope(here)


def made_fault(parent: str) -> str:
    """Why no group can be made there."""
    path = f"{parent}/rcrun-doctor-{os.getpid()}"
    try:
        os.mkdir(path)
        os.rmdir(path)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def judge_cgroup(
    *, unified: bool, parent: str, fault: str, given: Sequence[str], known: Sequence[str],
    has_systemd: bool, is_root: bool, by_systemd: bool = False,
) -> Finding:  # fmt: skip
    from rcrun.cgroup.controllers import lacks

    none = "limits of memory, processors and processes are refused; pause and stats do not work"
    if not unified:
        return limited(
            "version 2 is not mounted alone",
            means=none,
            why="/sys/fs/cgroup has no cgroup.controllers: this is version 1, or the hybrid",
            hint=(
                "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line; run: "
                "sudo grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1"
                if has_systemd
                else "mount it: docs/cgroups.md"
            ),
        )
    if by_systemd and fault:
        return limited(
            "systemd makes no scope",
            means=none,
            why=fault,
            hint="see: systemctl --user status, journalctl --user -e",
        )
    if not parent or fault:
        return limited(
            "no group is delegated to this user" if not fault else "no group can be made",
            means=none,
            why=fault or "neither our own cgroup nor the one above is ours to write",
            hint=(
                "log in with systemd, or run: systemd-run --user --scope -p Delegate=yes rcrun …"
                if has_systemd
                else "a group of your own, made and given to you by root: docs/cgroups.md"
            ),
        )
    how = "delegated by systemd" if by_systemd else "delegated"
    missing = [name for name in WANTED if name in known and name not in given]
    absent = [name for name in WANTED if name not in known]
    if missing:
        return limited(
            f"{how}, without {' and '.join(missing)}",
            means=f"refused: {', '.join(WANTED[name] for name in missing)}",
            why=f"{parent}/cgroup.controllers has {' '.join(given) or 'nothing'}",
            hint=f"run: {lacks(missing, root=is_root, by_systemd=by_systemd).hint}",
        )
    if absent:
        return limited(
            f"{how}; the kernel offers no {' and '.join(absent)}",
            means=f"refused: {', '.join(WANTED[name] for name in absent)}",
            why="the kernel does not have it, or a hierarchy of version 1 holds it: /proc/cgroups",
        )
    return fine(f"{how}, with {' '.join(given)}")


def has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def try_systemd(here: Here) -> Finding:
    from rcrun.cgroup.systemd import connect
    from rcrun.errors import RcrunError

    if not has_systemd():
        return judge_systemd(has_systemd=False, version="", fault="")
    try:
        manager = connect(here.environ, user=here.uid != 0)
    except RcrunError as error:
        return judge_systemd(has_systemd=True, version="", fault=error.message)
    try:
        return judge_systemd(has_systemd=True, version=str(manager.version()), fault="")
    finally:
        manager.close()


def judge_systemd(*, has_systemd: bool, version: str, fault: str) -> Finding:
    if not has_systemd:
        return fine("does not run this host, and is not needed")
    if fault:
        return limited(
            "your own manager does not answer",
            means="containers have no delegated group, and no unit starts them after a boot",
            why=fault,
            hint="log in on a terminal or with ssh, not with su or sudo; or run: sudo loginctl enable-linger $USER",
        )
    return fine(f"answers, version {version}" if version else "answers")


def try_linger(here: Here) -> Finding:
    from rcrun.engine.hostsetup import linger_path

    return judge_linger(
        has_systemd=has_systemd(), is_root=here.uid == 0, on=os.path.exists(linger_path(here.user))
    )


def judge_linger(*, has_systemd: bool, is_root: bool, on: bool) -> Finding:
    if is_root or not has_systemd:
        return fine("not needed: nothing ends containers at logout here")
    if on:
        return fine("on: containers go on when you log out")
    return limited(
        "off",
        means="containers end with your last login, and none starts after a boot",
        hint="run: rcrun setup linger",
    )


def try_limits(here: Here) -> Finding:
    numbers = {name: here.facts.sysctl(name) for name in SYSCTLS}
    return judge_limits(
        numbers,
        processes=resource.getrlimit(resource.RLIMIT_NPROC)[0],
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        pids_max=own_pids_max(),
    )


def own_pids_max() -> str:
    from rcrun.cgroup.delegated import MOUNT, own_path

    return read_text(f"{MOUNT}{own_path() or ''}/pids.max").strip()


def judge_limits(
    sysctls: Mapping[str, str], *, processes: int, files: int, pids_max: str
) -> Finding:
    """RLIM_INFINITY is -1."""
    for name, (least, lost) in SYSCTLS.items():
        text = sysctls.get(name, "")
        if text.isdecimal() and int(text) < least:
            return limited(
                f"{name} is {text}",
                means=lost,
                hint=f"run: sudo sysctl -w {name}={max(least * 8, 1024)}",
            )
    if 0 <= processes < LEAST_PROCESSES:
        return limited(
            f"you may have {processes} processes",
            means="all containers together have no more, and fail with resource temporarily unavailable",
            why="ulimit -u",
            hint="raise nproc for you in /etc/security/limits.conf",
        )
    if pids_max.isdecimal() and int(pids_max) < LEAST_PROCESSES:
        return limited(
            f"your cgroup may have {pids_max} processes",
            means="all containers together have no more",
            why="pids.max of our own cgroup",
            hint="raise TasksMax= of your slice or session",
        )
    if 0 <= files < LEAST_FILES:
        return limited(
            f"a process may have {files} open files",
            means="servers in containers fail with too many open files",
            why="ulimit -Hn",
            hint="raise nofile for you in /etc/security/limits.conf",
        )
    return fine("of processes, files, watches and namespaces are high enough")
