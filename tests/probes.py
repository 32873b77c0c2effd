"""What this host allows, found by trying each thing once, as the user who would need it.

A probe returns None when the thing works, else the reason for people. A missing thing skips the test; what that means
is the matter of tests/skips.py.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from accounts import CHECKOUT, SINGLE_ID_USER, SYSTEM_PATH, USER, Account
from in_guest import IN_THE_GUEST, unusable


def said(account: Account, *argv: str) -> str | None:
    """None if the command works; else the last thing that it said."""
    result = account.run(*argv, env={"PATH": SYSTEM_PATH})
    if result.status == 0:
        return None
    return (result.err.strip().splitlines() or [f"status {result.status}"])[-1]


def userns(account: Account) -> str | None:
    # Where AppArmor confines user namespaces by path, unshare(1) may not and the shim may.
    reason = said(account, "unshare", "--user", "--map-root-user", "true")
    if reason is None or shim_makes_user_namespace(account):
        return None
    return f"no user namespaces: {reason}"


def unshare(account: Account) -> str | None:
    """unshare(1) itself, which AppArmor may confine where it does not confine the shim."""
    reason = said(account, "unshare", "--user", "--map-root-user", "true")
    return None if reason is None else f"unshare makes no user namespace: {reason}"


def shim_makes_user_namespace(account: Account) -> bool:
    shim = CHECKOUT / "rcrun/shim/rcrun-shim"
    records = (
        ("plan", "1"),
        ("session", "work"),
        ("uidmap", "", "0", str(account.uid), "1"),
        ("gidmap", "", "0", str(account.gid), "1"),
        ("unshare", "user"),
        ("exec", "/bin/true"),
    )
    words = [word for record in records for word in (str(len(record)), *record)]
    if not os.access(shim, os.X_OK):
        return False
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write("\0".join(words).encode() + b"\0")
    try:
        return account.run(shim, str(reader), pass_fds=[reader]).status == 0
    finally:
        os.close(reader)


def subids(account: Account) -> str | None:
    if account.uid == 0:
        return None
    tools = [
        tool for tool in ("newuidmap", "newgidmap") if not shutil.which(tool, path=SYSTEM_PATH)
    ]
    if tools:
        return f"{tools[0]} is not installed"
    names = (account.name, str(account.uid))
    for path in ("/etc/subuid", "/etc/subgid"):
        lines = Path(path).read_text(encoding="utf-8").splitlines() if os.path.exists(path) else []
        if not any(line.split(":")[0] in names for line in lines):
            return f"{account.name} has no range in {path}"
    return None


def overlay(account: Account) -> str | None:
    """A kernel overlay in a user namespace, over the file system that the tests' stores are on."""
    script = (
        'mkdir -p "$0/l" "$0/u" "$0/w" "$0/m" && '
        'mount -t overlay -o "userxattr,lowerdir=$0/l,upperdir=$0/u,workdir=$0/w" overlay "$0/m"'
    )
    place = account.new_dir("overlay")
    prefix = [] if account.uid == 0 else ["--user", "--map-root-user"]
    reason = said(account, "unshare", *prefix, "--mount", "sh", "-c", script, str(place))
    return None if reason is None else f"no kernel overlay in a user namespace: {reason}"


def device(path: str) -> Callable[[Account], str | None]:
    def probe(account: Account) -> str | None:
        reason = said(account, "sh", "-c", 'exec 3<>"$0"', path)
        return None if reason is None else f"{path} is not usable: {reason}"

    return probe


def fuse(account: Account) -> str | None:
    return device("/dev/fuse")(account) or tool("fuse-overlayfs")(account)


def pasta(account: Account) -> str | None:
    """Its own user namespace with a network, as a container would get it."""
    missing = tool("pasta")(account) or device("/dev/net/tun")(account)
    if missing or account.uid == 0:
        return missing
    reason = said(account, "pasta", "--config-net", "-q", "-f", "--", "true")
    return None if reason is None else f"pasta does not work: {reason}"


def slirp4netns(account: Account) -> str | None:
    return tool("slirp4netns")(account) or device("/dev/net/tun")(account)


def network(account: Account) -> str | None:
    """The default network of a container: pasta, else slirp4netns."""
    reason = pasta(account)
    return reason and slirp4netns(account) and reason


def cgroup2(account: Account) -> str | None:
    """A cgroup v2 directory that this user may write, with pids to limit."""
    lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    ours = next((line[3:] for line in lines if line.startswith("0::")), None)
    if ours is None or not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "cgroup v2 is not at /sys/fs/cgroup"
    place = f"/sys/fs/cgroup{ours}"
    reason = said(account, "sh", "-c", 'test -w "$0/cgroup.procs" && test -w "$0"', place)
    return None if reason is None else f"no delegated cgroup: {place} is not ours"


def root(account: Account) -> str | None:
    return None if os.geteuid() == 0 else "pytest is not run by root"


def kvm(account: Account) -> str | None:
    return None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "/dev/kvm is not usable"


def apparmor(account: Account) -> str | None:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    works = enabled.exists() and enabled.read_text(encoding="ascii").startswith("Y")
    return None if works else "AppArmor is not enabled"


def selinux(account: Account) -> str | None:
    return None if os.path.exists("/sys/fs/selinux/enforce") else "SELinux is not enabled"


def bundles(account: Account) -> str | None:
    made = (CHECKOUT / "examples/bundles/hello/rootfs/bin/busybox").exists()
    return None if made else "the example bundles are not made: run examples/bundles/make"


def debian_bundle(account: Account) -> str | None:
    made = (CHECKOUT / "examples/bundles/debian/rootfs").exists()
    return None if made else "the bundle debian has no root: run examples/bundles/make debian"


def tool(name: str) -> Callable[[Account], str | None]:
    def probe(account: Account) -> str | None:
        return None if shutil.which(name, path=SYSTEM_PATH) else f"{name} is not installed"

    return probe


PROBES: dict[str, Callable[[Account], str | None]] = {
    "apparmor": apparmor,
    "bundles": bundles,
    "cgroup2": cgroup2,
    "debian-bundle": debian_bundle,
    "fuse": fuse,
    "kvm": kvm,
    "network": network,
    "overlay": overlay,
    "pasta": pasta,
    "root": root,
    "selinux": selinux,
    "slirp4netns": slirp4netns,
    "subids": subids,
    "tun": device("/dev/net/tun"),
    "unshare": unshare,
    "uml": lambda account: unusable(),
    "userns": userns,
}
TOOLS = "buildah busybox catatonit containerd crun docker-registry gdb gpg mmdebstrap podman runc script skopeo strace tmux umoci".split()


@functools.cache
def lacking(name: str, account: Account) -> str | None:
    """Why the host lacks the thing, or None; an unknown name is a fault of the test."""
    if name in IN_THE_GUEST:
        reason = IN_THE_GUEST[name]()
        return f"{reason}; {unusable() or 'it runs in the guest'}" if reason else None
    probe = PROBES.get(name) or (tool(name) if name in TOOLS else None)
    if probe is None:
        raise LookupError(f"requires({name!r}): no such probe in tests/probes.py")
    return probe(account)


__all__ = ["SINGLE_ID_USER", "USER", "lacking"]
