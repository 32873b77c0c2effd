"""The table of probes, tried side by side, and what may be done without asking anybody (docs/doctor.md)."""

from __future__ import annotations

import os

from rcrun.engine.doctor import (
    container,
    devices,
    groups,
    installation,
    left,
    net,
    places,
    roots,
    settings,
    users,
)  # fmt: skip
from rcrun.engine.doctor.finding import BROKEN, OK, Finding, broken
from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.engine.doctor.here import Here

JSON_VERSION = 1
# In the order in which they are told: the first thing that is wrong is often why the others are.
TABLE: dict[str, tuple[str, Callable[[Here], Finding] | None]] = {
    "installation": ("rcrun itself", installation.try_installation),
    "modules": ("rcrun's modules", installation.try_modules),
    "user-namespaces": ("user namespaces", users.try_user_namespaces),
    "apparmor": ("AppArmor", users.try_apparmor),
    "ids": ("subordinate ids", users.try_ids),
    "other-ids": ("ids of before", left.try_other_ids),
    "store": ("the store", places.try_store),
    "room": ("room in the store", places.try_room),
    "file-system": ("the store's files", places.try_file_system),
    "devices": ("the store's parts", places.try_devices),
    "leftovers": ("leftovers of crashes", left.try_leftovers),
    "old-boots": ("state of earlier boots", left.try_old_boots),
    "runtime-dir": ("XDG_RUNTIME_DIR", places.try_runtime_dir),
    "tmp": ("temporary files", places.try_tmp),
    "shm": ("shared memory", places.try_shm),
    "overlay": ("overlays", roots.try_overlay),
    "fuse": ("fuse-overlayfs", roots.try_fuse),
    "proc": ("/proc and /sys", roots.try_proc),
    "libseccomp": ("libseccomp", roots.try_libseccomp),
    "seccomp": ("seccomp filters", None),
    "cgroup": ("cgroups", groups.try_cgroup),
    "systemd": ("systemd", groups.try_systemd),
    "linger": ("lingering", groups.try_linger),
    "limits": ("limits", groups.try_limits),
    "tun": ("tun", net.try_tun),
    "pasta": ("pasta", None),
    "slirp4netns": ("slirp4netns", None),
    "route": ("routes", net.try_route),
    "dns": ("names", net.try_dns),
    "ports": ("low ports", net.try_ports),
    "ping": ("ping", net.try_ping),
    "gpu": ("graphics processors", devices.try_gpu),
    "emulation": ("other processors", devices.try_emulation),
    "clock": ("the clock", settings.try_clock),
    "auth": ("credentials", settings.try_auth),
    "credential-helpers": ("credential helpers", settings.try_credential_helpers),
    "registries": ("registries and trust", settings.try_registries),
    "containers-conf": ("containers.conf", settings.try_containers_conf),
    "other-engine": ("other engines", settings.try_other_engine),
    "container": ("a container", None),
}


def probe(here: Here) -> dict[str, Finding]:
    """Every finding, in the order of TABLE. The containers run while the rest is tried."""
    from concurrent.futures import ThreadPoolExecutor

    found = {"leftovers": guarded(left.try_leftovers, here)}  # before our own things come and go
    with ThreadPoolExecutor(4) as pool:
        running = pool.submit(container.try_all, here)
        tried = {
            name: pool.submit(guarded, attempt, here)
            for name, (_, attempt) in TABLE.items()
            if attempt is not None and name not in found
        }
        found.update({name: future.result() for name, future in tried.items()})
        found.update(running.result())
    return {name: found[name] for name in TABLE}


def guarded(attempt: Callable[[Here], Finding], here: Here) -> Finding:
    """What a probe did not expect is a finding, too."""
    untried, means = "could not be tried", "what it is about will probably fail"
    try:
        return attempt(here)
    except RcrunError as error:
        return broken(untried, means=means, why=error.message, hint=error.hint or "")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return broken(untried, means=means, why=where + (error.strerror or str(error)).lower())


def runs(found: dict[str, Finding]) -> bool:
    return found["container"].level != BROKEN


def as_json(found: dict[str, Finding]) -> dict[str, Any]:
    return {
        "version": JSON_VERSION,
        "runs": runs(found),
        "probes": [finding.as_json(name) for name, finding in found.items()],
    }


# Fixes.


def fix(here: Here, found: dict[str, Finding], *, sudo: bool) -> list[tuple[str, str]]:
    """What was done, as (probe, what); a failure is raised by the command that failed."""
    done = []
    for name, finding in found.items():
        if finding.level == OK:
            continue
        if name in FIXES and not (name == "modules" and finding.needs_root):
            what = FIXES[name](here)
            if sudo and name == "linger" and what.startswith("failed"):
                what = run_as_root(f"sudo loginctl enable-linger {here.user}", here)
            if what:
                done.append((name, what))
        elif sudo and finding.needs_root:
            done.append((name, run_as_root(finding.command, here)))
    return done


def run_as_root(command: str, here: Here) -> str:
    """Only where sudo asks for no password."""
    import subprocess

    words = ["sh", "-c", command.replace("apt-get install", "apt-get install -y")]
    environ = {**here.environ, "USER": here.user}
    ready = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    if ready.returncode != 0:
        return f"not done, since sudo asks for a password: {command}"
    ran = subprocess.run(
        words, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if ran.returncode != 0:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        return f"failed ({last}): {command}"
    return command


def fix_leftovers(here: Here) -> str:
    from rcrun.engine.rm import remove_trees
    from rcrun.storage.leftovers import found
    from rcrun.storage.sweep import sweep

    paths = found(here.context.store)
    remove_trees(here.context, sweep(here.context.store))
    return f"removed {', '.join(paths)}" if paths else ""


def fix_old_boots(here: Here) -> str:
    from rcrun.storage.trees import remove_tree

    paths = left.old_boots(here.uid)
    for path in paths:
        remove_tree(path)
    return f"removed {len(paths)} directories of earlier boots"


def fix_linger(here: Here) -> str:
    from rcrun.engine.hostsetup import linger

    try:
        linger(here.user)
    except RcrunError as error:
        return f"failed: {error.message}; {error.hint or ''}"
    return "loginctl enable-linger"


def fix_runtime_dir(here: Here) -> str:
    given = here.environ.get("XDG_RUNTIME_DIR", "")
    seen = places.look(given)
    if seen is None or seen[0] != here.uid:
        return ""
    os.chmod(given, 0o700)
    return f"chmod 700 {given}"


def fix_auth(here: Here) -> str:
    done = []
    for path, _, command in settings.auth_documents(here.environ)[1]:
        if command and os.lstat(path).st_uid == here.uid:
            os.chmod(path, 0o600)
            done.append(f"chmod 600 {path}")
    return "; ".join(done)


FIXES: dict[str, Callable[[Here], str]] = {
    "modules": installation.fix,
    "leftovers": fix_leftovers,
    "old-boots": fix_old_boots,
    "linger": fix_linger,
    "runtime-dir": fix_runtime_dir,
    "auth": fix_auth,
}
