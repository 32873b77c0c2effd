"""Where files go: the store's file system, the live state, /tmp, /dev/shm."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from rcrun.engine.doctor.finding import broken, fine, limited
from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here

MIB = 1 << 20
FULL, NEARLY_FULL = 16 * MIB, 1024 * MIB
LEAST_SHM = 64 * MIB
SHARED = {
    "nfs": "NFS", "nfs4": "NFS", "lustre": "Lustre", "gpfs": "GPFS", "beegfs": "BeeGFS", "ceph": "CephFS",
    "cifs": "CIFS", "smb3": "CIFS", "smbfs": "CIFS", "afs": "AFS", "9p": "9p", "fuse.sshfs": "sshfs", "panfs": "PanFS",
    "glusterfs": "GlusterFS", "fuse.glusterfs": "GlusterFS", "virtiofs": "virtiofs", "orangefs": "OrangeFS",
}  # fmt: skip
ELSEWHERE = "keep the store on a local disk: export RCRUN_ROOT=/var/tmp/rcrun-$USER"


def try_store(here: Here) -> Finding:
    folder = here.context.store.root_dir
    fault = written(folder)
    mount, kind, options = mount_of(read_text("/proc/self/mountinfo"), standing(folder))
    return judge_store(folder, fault, kind, mount, options)


def written(folder: str) -> str:
    """Why no file can be made there; empty when one can."""
    probe = f"{folder}/.doctor.{os.getpid()}~"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.unlink(probe)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def standing(path: str) -> str:
    """The path, or what of it exists."""
    path = os.path.realpath(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def mount_of(mountinfo: str, path: str) -> tuple[str, str, list[str]]:
    """Mount point, type and options of what a path lies on, in the text of /proc/self/mountinfo."""
    found = ("/", "", [""])
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()[:1]
        if len(fields) < 6 or not kind:
            continue
        point = fields[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(found[0]):
            found = (point, kind[0], fields[5].split(","))
    return found


def judge_store(folder: str, fault: str, kind: str, mount: str, options: Sequence[str]) -> Finding:
    if fault:
        read_only = "ro" in options or "read-only" in fault
        return broken(
            f'"{folder}" cannot be written',
            means="images and containers can be neither made nor removed",
            why=fault,
            hint=f"run: sudo mount -o remount,rw {mount}" if read_only else ELSEWHERE,
        )
    if kind in SHARED:
        return limited(
            f'"{folder}" is on {SHARED[kind]}',
            means="containers start slowly, other users' ids are refused there, and overlays may be",
            why=f"{mount} is {kind}",
            hint=ELSEWHERE,
        )
    closed = [word for word in ("noexec", "nodev", "nosuid") if word in options]
    if "noexec" in closed:
        return limited(
            f'"{folder}" is mounted noexec',
            means="containers with --rootfs, and rcrun itself when it is installed there, cannot run programs",
            why=f"{mount} has {','.join(closed)}",
            hint=f"run: sudo mount -o remount,exec {mount}",
        )
    return fine(
        f"{folder} on {kind or 'an unknown file system'}{' (' + ','.join(closed) + ')' if closed else ''}"
    )


def try_room(here: Here) -> Finding:
    place = standing(here.context.store.root_dir)
    status = os.statvfs(place)
    return judge_room(place, status.f_bavail * status.f_frsize, status.f_files, status.f_favail)


def judge_room(place: str, free: int, files: int, free_files: int) -> Finding:
    """Some file systems count no files: 0 of 0 are free."""
    prune = "rcrun container prune -f; rcrun image prune -af"
    if free < FULL or (files and free_files < 100):
        what = "no room" if free < FULL else "no room for new files (inodes)"
        return broken(
            f'{what} in "{place}"',
            means="images and containers cannot be made",
            why=f"{free // MIB} MiB and {free_files} files are free",
            hint=f"run: {prune}",
        )
    if free < NEARLY_FULL:
        return limited(
            f'little room in "{place}"',
            means="larger images will not fit",
            why=f"{free // MIB} MiB are free",
            hint=f"run: {prune}",
        )
    return fine(f"{free // (1024 * MIB)} GiB are free")


def try_file_system(here: Here) -> Finding:
    from rcrun.paths import make_private_dir

    folder = here.context.store.tmp_dir()
    make_private_dir(folder)
    return judge_file_system(file_system_faults(folder), here.context.store.root_dir)


def file_system_faults(folder: str) -> list[str]:
    """What files there cannot do: `locks`, `xattrs`, `case`, `links`."""
    path = f"{folder}/Doctor.{os.getpid()}~"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return [name for name, tried in TRIED.items() if not tried(fd, path)]
    finally:
        os.close(fd)
        os.unlink(path)


def _locks(fd: int, path: str) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    return True


def _has_xattrs(fd: int, path: str) -> bool:
    try:
        os.setxattr(fd, "user.rcrun", b"x")
    except OSError:
        return False
    return True


def _tells_case(fd: int, path: str) -> bool:
    folder, name = os.path.split(path)
    return not os.path.lexists(f"{folder}/{name.upper()}")


def _links(fd: int, path: str) -> bool:
    try:
        os.link(path, f"{path}.link")
        os.unlink(f"{path}.link")
        os.symlink("x", f"{path}.link")
        os.unlink(f"{path}.link")
    except OSError:
        return False
    return True


TRIED = {"locks": _locks, "xattrs": _has_xattrs, "case": _tells_case, "links": _links}
LOST = {
    "locks": ("has no locks", "two commands at once can spoil each other's work"),
    "xattrs": ("has no user attributes", "in containers a directory of the image that is removed cannot be made again"),
    "case": ("does not tell Makefile from makefile", "images that have both lose one"),
    "links": ("has no links", "images that have them cannot be unpacked, and containers have no names"),
}  # fmt: skip


def judge_file_system(faults: Sequence[str], folder: str) -> Finding:
    if not faults:
        return fine("locks, attributes, links and case work")
    worst = broken if {"locks", "links"} & set(faults) else limited
    return worst(
        f'what holds "{folder}" {" and ".join(LOST[name][0] for name in faults)}',
        means="; ".join(LOST[name][1] for name in faults),
        hint=ELSEWHERE,
    )


def try_devices(here: Here) -> Finding:
    store = here.context.store
    names = ["", "blobs/sha256", "containers", "layers", "names", "tmp", "trash", "volumes"]
    numbers = {}
    for name in names:
        try:
            numbers[name] = os.stat(store.path(name)).st_dev
        except OSError:
            continue
    return judge_devices(numbers, store.root_dir)


def judge_devices(numbers: Mapping[str, int], folder: str) -> Finding:
    """Volumes may be elsewhere: nothing is renamed into them."""
    of_store = numbers.get("", 0)
    others = [n for n, number in numbers.items() if number != of_store and n not in ("", "volumes")]
    if not others:
        return fine("one file system")
    return broken(
        f'"{folder}/{others[0]}" is on another file system than the store',
        means="nothing can be moved between them: pulls, containers and removals fail",
        why="rename(2) does not cross file systems",
        hint="move the whole store and not parts of it: RCRUN_ROOT, or a link in place of the folder itself",
    )


def try_runtime_dir(here: Here) -> Finding:
    given, live = here.environ.get("XDG_RUNTIME_DIR", ""), here.context.store.live_dir
    fault = written(live)
    if fault:
        return judge_live_dir(live, fault)
    usual = f"/run/user/{here.uid}"
    return judge_runtime_dir(given, look(given), here.uid, usual, look(usual), live)


def judge_live_dir(live: str, fault: str) -> Finding:
    return broken(
        f'"{live}" cannot be written',
        means="no container can be started",
        why=fault,
        hint="keep the live state elsewhere, run: export RCRUN_RUNROOT=/tmp/rcrun-live-$(id -u)",
    )


def look(path: str) -> tuple[int, int] | None:
    """Owner and mode; None where no directory is."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return (status.st_uid, status.st_mode) if stat.S_ISDIR(status.st_mode) else None


def judge_runtime_dir(
    given: str, of_given: tuple[int, int] | None, uid: int, usual: str,
    of_usual: tuple[int, int] | None, live: str,
) -> Finding:  # fmt: skip
    if uid == 0:
        return fine("not needed: this is root")
    fault = runtime_dir_fault(given, of_given, uid)
    if not fault:
        return fine(given)
    hint = "log in with systemd (a terminal, ssh, machinectl shell), not with su or sudo"
    if of_usual is not None and of_usual[0] == uid:
        hint = f"run: export XDG_RUNTIME_DIR={usual}"
    if of_given is not None and of_given[0] == uid:
        hint = f"run: chmod 700 {given}"
    return limited(
        fault,
        means=f"other programs miss it; rcrun keeps what runs in {live} instead",
        hint=hint,
    )


def runtime_dir_fault(given: str, seen: tuple[int, int] | None, uid: int) -> str:
    if not given:
        return "is not set"
    if not given.startswith("/"):
        return f'"{given}" is no absolute path'
    if seen is None:
        return f'"{given}" does not exist'
    if seen[0] != uid:
        return f'"{given}" belongs to user {seen[0]}'
    return f'"{given}" can be written by others' if seen[1] & 0o022 else ""


def try_shm(here: Here) -> Finding:
    try:
        status = os.statvfs("/dev/shm")
    except OSError as error:
        return judge_shm(-1, (error.strerror or str(error)).lower())
    return judge_shm(status.f_bavail * status.f_frsize, written("/dev/shm"))


def judge_shm(free: int, fault: str) -> Finding:
    if fault:
        return limited(
            "/dev/shm cannot be written",
            means="containers with --ipc=host cannot share memory; others have a /dev/shm of their own",
            why=fault,
            hint="run: sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
        )
    if free < LEAST_SHM:
        return limited(
            f"/dev/shm has {free // MIB} MiB left",
            means="containers with --ipc=host share little memory; others have a /dev/shm of their own",
            hint="run: sudo mount -o remount,size=50% /dev/shm",
        )
    return fine(f"{free // MIB} MiB are free")


def try_tmp(here: Here) -> Finding:
    named = here.environ.get("TMPDIR", "")
    folder = named or "/tmp"
    fault = written(folder) if os.path.isdir(folder) else "no such directory"
    free = 0
    if not fault:
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
    return judge_tmp(folder, fault, free, named=bool(named))


def judge_tmp(folder: str, fault: str, free: int, *, named: bool) -> Finding:
    what = f'TMPDIR, "{folder}",' if named else f'"{folder}"'
    if fault:
        return limited(
            f"{what} cannot be written",
            means="programs that rcrun starts, and the network of root's containers, fail",
            why=fault,
            hint="run: unset TMPDIR" if named else f"run: sudo chmod 1777 {folder}",
        )
    if free < FULL:
        return limited(
            f"{what} is full", means="programs that need temporary files fail",
            why=f"{free // MIB} MiB are free", hint=f"remove what is not needed: ls -lS {folder}",
        )  # fmt: skip
    return fine(folder)
