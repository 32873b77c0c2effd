"""A room for other people's engines: namespaces in which they find a host of their own, and leave nothing behind.

Mounts, network, processes and a cgroup v2 hierarchy are the room's; /run, /var/lib/containers and the like are empty
file systems. What an engine starts ends with the room. `RCRUN_PEERS_TREE` names a directory with another release to
enter (pivot_root: user namespaces are refused to a process whose root is a chroot); the peers of that one are tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from accounts import CHECKOUT, SYSTEM_PATH, Account, bin_dir

TREE = os.environ.get("RCRUN_PEERS_TREE") or ""
RUNTIME = os.environ.get("OCI_RUNTIME") or str(
    (CHECKOUT / "rcrun-cli/bin" if TREE else bin_dir()) / "rcrun-oci"
)
# Locks in files, since those in /dev/shm are the host's; the limits of processes and files are ones that can be had.
CONTAINERS_CONF = """
[containers]
cgroups = "{cgroups}"
pids_limit = {pids}
default_ulimits = ["nofile=2048:2048", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'
REGISTRIES = 'unqualified-search-registries = ["localhost"]'
CAP_SYS_RESOURCE = 24

# $0: the room's cgroup. It stays in the host's tree of processes and dies with pytest.
OUTSIDE = """
    test -e /sys/fs/cgroup/cgroup.controllers || mount -t cgroup2 none /sys/fs/cgroup
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || :
    done 2>/dev/null
    mkdir "/sys/fs/cgroup/$0" "/sys/fs/cgroup/$0/leaf"
    echo $$ >"/sys/fs/cgroup/$0/cgroup.procs"
    exec unshare --cgroup sh -eu -c "$BETWEEN" "$@"
"""
# The room's cgroup is the root of its hierarchy, and has no process in it.
BETWEEN = """
    echo $$ >"/sys/fs/cgroup/$0/leaf/cgroup.procs"
    exec unshare --mount --net --pid --fork --kill-child sh -eu -c "$INSIDE" "$@"
"""
INSIDE = """
    base=$0 tree=$1 checkout=$2
    if [ -n "$tree" ]; then
        mount --rbind "$tree" "$tree"
        for folder in /dev /sys /tmp /home "$checkout" "$base"; do
            mkdir -p "$tree$folder"
            mount --rbind "$folder" "$tree$folder"
        done
        cp /etc/passwd /etc/group /etc/subuid /etc/subgid "$tree/etc/"
        mkdir -p "$tree/old" "$tree/proc"
        mount -t proc proc "$tree/proc"
        cd "$tree"
        pivot_root . old
        umount -l /old
    else
        mount -t proc proc /proc
    fi
    mount --make-rshared /
    umount /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
    cd /sys/fs/cgroup
    for controller in $(cat cgroup.controllers); do
        echo "+$controller" >cgroup.subtree_control || :
    done 2>/dev/null
    mount -t tmpfs -o mode=0755 none /run
    mkdir /run/lock /run/user
    for folder in /etc/containers /var/lib/cni /var/lib/containers /var/lib/containerd /var/tmp; do
        mkdir -p "$folder" "$base/$folder"
        mount --bind "$base/$folder" "$folder"
    done
    chmod 1777 /var/tmp
    ip link set lo up
    ip link add uplink type veth peer name uplink-end
    ip address add 192.0.2.1/24 dev uplink
    ip link set uplink-end up
    ip link set uplink up
    ip route add default via 192.0.2.2
    echo nameserver 192.0.2.53 >"$base/resolv.conf"
    touch /etc/resolv.conf
    mount --bind "$base/resolv.conf" "$(readlink -f /etc/resolv.conf)" 2>/dev/null || :
    echo "ready $(cat cgroup.controllers)"
    sleep infinity &
    exec python3 -IS -c "$REAP" >&-
"""
# podman waits for its monitors to go, and they are orphans.
REAP = "import os\nwhile True: os.wait()"
# A group of the account's own, as systemd delegates it, and its runtime directory. The arguments: name, uid, gid.
PREPARE = """
    group=/sys/fs/cgroup/$0 owner=$1:$2
    mkdir -m 0700 "/run/user/$1"
    mkdir "$group" "$group/leaf"
    chown "$owner" "/run/user/$1" "$group" "$group/leaf"
    for name in procs subtree_control threads; do
        chown "$owner" "$group/cgroup.$name" "$group/leaf/cgroup.$name"
    done
"""
# The arguments: name, uid, gid, directory, command.
ENTER = """
    echo $$ >"/sys/fs/cgroup/$0/leaf/cgroup.procs"
    uid=$1 gid=$2
    cd "$3"
    shift 3
    exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@"
"""


class Room:
    """Holds the namespaces; an `Inmate` runs its commands there."""

    def __init__(self, base_dir: Path) -> None:
        self.group = f"rcrun-peers-{os.getpid()}"
        own = ["unshare", "--mount", "--propagation", "slave", "sh", "-eu", "-c", OUTSIDE]
        words = ["setpriv", "--pdeathsig", "KILL", *own]
        words += [self.group, self.group, str(base_dir), TREE, str(CHECKOUT)]
        scripts = {"BETWEEN": BETWEEN, "INSIDE": INSIDE, "REAP": REAP}
        self.holder = subprocess.Popen(
            words, env={**os.environ, **scripts}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self.holder.stdout is not None
        first, *self.controllers = self.holder.stdout.readline().decode().split() or [""]
        if first != "ready":
            self.close()
            raise AssertionError("the room could not be made")
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        self.init = int(children.read_text(encoding="ascii").split()[0])
        self.configure(base_dir / "etc/containers")

    def configure(self, folder: Path) -> None:
        pids = 2048 if "pids" in self.controllers else 0
        cgroups = "enabled" if may_make_cgroups("root") else "disabled"
        text = CONTAINERS_CONF.format(pids=pids, cgroups="enabled")
        (folder / "containers.conf").write_text(text, encoding="utf-8")
        text = CONTAINERS_CONF.format(pids=0, cgroups=cgroups)
        (folder / "root.conf").write_text(text, encoding="utf-8")
        (folder / "policy.json").write_text(POLICY, encoding="utf-8")
        (folder / "registries.conf").write_text(REGISTRIES, encoding="utf-8")

    def has(self, program: str) -> bool:
        folders = ":".join(f"{TREE}{folder}" for folder in SYSTEM_PATH.split(":"))
        return shutil.which(program, path=folders) is not None

    def close(self) -> None:
        """All processes of the room end with its init; then its cgroups can go."""
        self.holder.kill()
        self.holder.communicate()
        script = """
            test -e /sys/fs/cgroup/cgroup.controllers || mount -t cgroup2 none /sys/fs/cgroup
            cd "/sys/fs/cgroup/$0"
            while ! find . -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.05; done
            cd ..
            rmdir "$0"
        """
        subprocess.run(["unshare", "-m", "sh", "-c", script, self.group], check=True, timeout=120)


class Inmate(Account):
    """An account whose commands run in the room, in a cgroup that is delegated to it."""

    def __init__(self, kind: str, name: str, base_dir: Path, room: Room) -> None:
        super().__init__(kind, name, base_dir)
        self.room = room
        self.environ["PATH"] = SYSTEM_PATH
        del self.environ["RCRUN_RUNROOT"]  # engines hand on little of their environment
        # podman wants it short, and of root there is none
        self.environ["XDG_RUNTIME_DIR"] = f"/run/user/{self.uid}" if self.uid else ""

        subprocess.run(self.enter(PREPARE), check=True)

    def enter(self, script: str) -> list[str]:
        """The words that run a script of the shell in the room, as root."""
        namespaces = ("--mount", "--net", "--pid", "--cgroup")
        words = ["nsenter", "--target", str(self.room.init), *namespaces, "sh", "-eu", "-c", script]
        return [*words, self.kind, str(self.uid), str(self.gid)]

    def popen(self, *argv: str | os.PathLike[str], **options: Any) -> subprocess.Popen[bytes]:
        environ = {**self.environ, **(options.pop("env", None) or {})}
        folder = os.fspath(options.pop("cwd", None) or self.home)
        words = [*self.enter(ENTER), folder, *map(os.fspath, argv)]
        return subprocess.Popen(words, env=environ, **options)


def may_make_cgroups(kind: str) -> bool:
    """Older crun, as root, raises RLIMIT_MEMLOCK before it loads the filter of devices: not every root may."""
    old = Path(RUNTIME).name in ("crun", "runc") and not TREE
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = int(status.partition("CapEff:")[2].split()[0], 16)
    return kind != "root" or not old or bool(held >> CAP_SYS_RESOURCE & 1)
