"""What a container's root and processes are made of: overlays, /proc, seccomp."""

from __future__ import annotations

import os

from rcrun.engine.doctor.finding import broken, fine, limited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here
    from rcrun.errors import RcrunError
    from rcrun.runtime.hints_host import HostFacts

FUSE = "/dev/fuse"


def try_overlay(here: Here) -> Finding:
    from rcrun.engine.rootdriver import found_by_trying

    try:
        driver, why = found_by_trying(here.context)
    except OSError as error:
        return judge_overlay("", f"{error.strerror}: {error.filename}", here.facts)
    return judge_overlay(driver, why, here.facts)


def judge_overlay(driver: str, why: str, facts: HostFacts) -> Finding:
    elsewhere = "or keep the store on a local file system (ext4, xfs, btrfs): --root DIR"
    if driver == "overlay":
        return fine("the kernel mounts overlays for us in the store")
    if driver == "fuse-overlayfs":
        return limited(
            "the kernel refuses them, fuse-overlayfs does it",
            means="files in containers are slower",
            why=why,
            hint="Linux 5.11 and newer let users mount overlays; " + elsewhere,
        )
    if driver == "copy":
        return limited(
            "neither the kernel nor fuse-overlayfs mounts them",
            means="every container copies its whole image: starts are slow and take room",
            why=why,
            hint=f"{elsewhere.removeprefix('or ')}; or run: {facts.install_command('fuse-overlayfs')}",
        )
    return broken(
        "cannot be tried: the store cannot be written",
        means="no container can be made",
        why=why,
        hint="see the probe store",
    )


def try_fuse(here: Here) -> Finding:
    try:
        os.close(os.open(FUSE, os.O_RDWR | os.O_CLOEXEC))
        error = ""
    except OSError as fault:
        error = (fault.strerror or str(fault)).lower()
    return judge_fuse(error, here.program("fuse-overlayfs"), here.facts)


def judge_fuse(device_error: str, program: str, facts: HostFacts) -> Finding:
    """Only where the kernel's own overlay does not work it is missed; the probe overlay says so."""
    if not device_error and program:
        return fine("can be used")
    if not program:
        return fine("not installed, and not needed where the kernel mounts overlays")
    missing = "no such file" in device_error
    return limited(
        f'"{FUSE}" cannot be opened',
        means="fuse-overlayfs cannot stand in for the kernel's overlays",
        why=device_error,
        hint="run: sudo modprobe fuse" if missing else f"run: sudo chmod 666 {FUSE}",
    )


def try_proc(here: Here) -> Finding:
    from rcrun.paths import make_private_dir
    from rcrun.storage.scratch import Scratch

    make_private_dir(here.context.store.tmp_dir())
    scratch = Scratch(here.context.store, "doctor")
    scratch.make_dir()
    try:
        os.mkdir(f"{scratch.path}/proc")
        os.mkdir(f"{scratch.path}/sys")
        root = ["root-bind", scratch.path]
        proc = here.failure("mount,pid", [root, mount("proc", "/proc")])
        sysfs = here.failure("mount,pid,network", [root, mount("sysfs", "/sys")])
    finally:
        for name in ("proc", "sys", ""):
            os.rmdir(f"{scratch.path}/{name}")
        scratch.close()
    return judge_proc(proc, sysfs)


def mount(kind: str, place: str) -> list[str]:
    return ["mount", kind, kind, place, "nosuid,nodev,noexec", ""]


def judge_proc(proc: RcrunError | None, sysfs: RcrunError | None) -> Finding:
    error = proc or sysfs
    if error is None:
        return fine("/proc and /sys are mounted afresh")
    name = "/proc" if proc else "/sys"
    return broken(
        f"a fresh {name} is refused",
        means=f"containers start with --pid=host only: a container around us masks parts of {name}"
        if proc
        else "containers start with --network=host only",
        why=error.message,
        hint=error.hint or "",
    )


def try_libseccomp(here: Here) -> Finding:
    from rcrun.errors import RcrunError
    from rcrun.kernel.seccomp import compile_filter

    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}],
    }
    try:
        compile_filter(profile)
    except RcrunError as error:
        return judge_libseccomp(error, here.facts)
    return judge_libseccomp(None, here.facts)


def judge_libseccomp(error: RcrunError | None, facts: HostFacts) -> Finding:
    if error is None:
        return fine("compiles filters")
    return broken(
        "cannot compile a filter",
        means="containers start with --security-opt seccomp=unconfined only, which lets them call everything",
        why=error.message,
        hint=f"run: {facts.install_command('libseccomp2')}",
    )
