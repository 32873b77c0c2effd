"""What each probe makes of what it met: the findings of hosts that this one cannot be made into, and their commands."""

from __future__ import annotations

import errno

import pytest

from rcrun.engine.doctor import (
    container,
    devices,
    dockercontext,
    groups,
    installation,
    left,
    net,
    places,
    probes,
    roots,
    settings,
    users,
)
from rcrun.engine.doctor.finding import Finding, broken, command_in, fine
from rcrun.errors import HostLacks, RcrunError
from rcrun.kernel.identity import Identity, single
from rcrun.runtime.hints_host import HostFacts, single_id_hint

FACTS = HostFacts(
    lambda name: "", "ann:100000:65536\n", shim="/opt/rcrun-shim", installer="apt-get"
)
FEDORA = HostFacts(lambda name: "", "", shim="/opt/rcrun-shim", installer="dnf")
SUBIDS = "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 $USER"
ROOT = Identity(0, 0, "root", [(0, 0, 4294967295)], [(0, 0, 4294967295)])
REFUSED = RcrunError("cannot make the namespaces user,mount: operation not permitted", "do this")


def mapped(count: int) -> Identity:
    ids = [(0, 1000, 1), (1, 100000, count - 1)]
    return Identity(1000, 1000, "mapped", ids, ids, newuidmap="/usr/bin/newuidmap")


def cgroup(**facts: object) -> Finding:
    usual = {
        "unified": True,
        "parent": "/sys/fs/cgroup/user.slice",
        "fault": "",
        "given": ["cpu", "cpuset", "io", "memory", "pids"],
        "known": ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"],
        "has_systemd": True,
        "is_root": False,
    }
    return groups.judge_cgroup(**{**usual, **facts})  # type: ignore[arg-type]


def runtime_dir(given: str, seen: tuple[int, int] | None, usual: tuple[int, int] | None) -> Finding:
    return places.judge_runtime_dir(given, seen, 1000, "/run/user/1000", usual, "/tmp/rcrun-1000-x")


OWN_UNIT = " and start it with: systemd-run --user --scope -p Delegate=yes rcrun …"
DELEGATE = (
    "sudo mkdir -p /etc/systemd/system/user@.service.d && printf "
    "'[Service]\\nDelegate=cpu cpuset io memory pids\\n'"
    " | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload; then log in again"
    + OWN_UNIT
)
APPARMOR = FACTS.apparmor_command()

# a finding, its level, what it says was found, its command
FINDINGS = [
    (users.judge_user_namespaces(None), "ok", "made, with privileges in it", ""),
    (users.judge_user_namespaces(REFUSED), "broken", "refused", ""),
    (users.judge_apparmor(None, FACTS, confined=False), "ok", "does not restrict user namespaces", ""),
    (users.judge_apparmor(None, FACTS, confined=True), "ok",
     "restricts user namespaces, and lets rcrun-shim make them", ""),
    (users.judge_apparmor(REFUSED, FACTS, confined=True), "broken",
     "restricts user namespaces, and no profile allows rcrun-shim", APPARMOR),
    (users.judge_ids(ROOT, None, "", FACTS), "ok", "not needed: this is root", ""),
    (users.judge_ids(mapped(65537), None, "", FACTS), "ok", "65537 are mapped through /usr/bin/newuidmap", ""),
    (users.judge_ids(mapped(1001), None, "", FACTS), "limited", "1001 ids are mapped", SUBIDS),
    (users.judge_ids(mapped(65537), None, 'user "bob"', FACTS), "limited",
     '65537 ids are mapped, and user "bob" has some of them, too', SUBIDS),
    (users.judge_ids(mapped(65537), REFUSED, "", FACTS), "broken",
     "the ids of /etc/subuid and /etc/subgid are refused", ""),
    (users.judge_ids(single(1000, 1000, '"newuidmap" is not installed'), None, "", FEDORA), "limited",
     "one id is mapped", "sudo dnf install shadow-utils"),
    (users.judge_ids(single(1000, 1000, "no_new_privs is set"), None, "", FACTS), "limited", "one id is mapped", ""),

    (roots.judge_overlay("overlay", "", FACTS), "ok", "the kernel mounts overlays for us in the store", ""),
    (roots.judge_overlay("copy", "x", FEDORA), "limited",
     "neither the kernel nor fuse-overlayfs mounts them", "sudo dnf install fuse-overlayfs"),
    (roots.judge_fuse("no such file or directory", "/usr/bin/fuse-overlayfs", FACTS), "limited",
     '"/dev/fuse" cannot be opened', "sudo modprobe fuse"),
    (roots.judge_fuse("permission denied", "", FACTS), "ok",
     "not installed, and not needed where the kernel mounts overlays", ""),
    (roots.judge_proc(None, None), "ok", "/proc and /sys are mounted afresh", ""),
    (roots.judge_proc(None, REFUSED), "broken", "a fresh /sys is refused", ""),
    (roots.judge_libseccomp(REFUSED, FACTS), "broken", "cannot compile a filter", "sudo apt-get install libseccomp2"),
    (installation.judge_installation("/x/rcrun-shim", "", ["isal"], "/none/bin/python3", FACTS), "limited",
     "Python packages are missing: isal", ""),
    (installation.judge_installation("/x/rcrun-shim", "", ["click", "isal"], "/none/bin/python3", FACTS), "limited",
     "Python packages are missing: click, isal", "sudo apt-get install python3-click"),
    (installation.judge_installation("/x/rcrun-shim", "", [], "python3", FACTS), "ok", "complete", ""),
    (installation.judge_installation("/x/rcrun-shim", "permission denied", [], "python3", FACTS), "broken",
     '"/x/rcrun-shim" cannot be run', ""),
    (installation.judge_modules([], 0, "python3", writable=True), "ok", "are compiled", ""),
    (installation.judge_modules(["/o p/rcrun"], 2, "python3", writable=True), "limited",
     "2 are not compiled for this Python", "python3 -m compileall -q '/o p/rcrun'"),
    (installation.judge_modules(["/opt/rcrun"], 2, "python3", writable=False), "limited",
     "2 are not compiled for this Python", "sudo python3 -m compileall -q /opt/rcrun"),
    (installation.judge_modules(["/opt/rcrun"], 2, "python3", writable=False, read_only=True), "limited",
     "2 are not compiled for this Python", ""),

    (left.judge_other_ids([]), "ok", "all layers are of the ids that are ours now", ""),
    (left.judge_other_ids(["/s/layers/mapped-1"]), "limited", "the store has layers of other subordinate ids", ""),

    (cgroup(), "ok", "delegated, with cpu cpuset io memory pids", ""),
    (cgroup(given=["memory", "pids"]), "limited", "delegated, without cpu and cpuset and io", DELEGATE),
    (cgroup(known=["memory", "pids"], given=["memory", "pids"]), "limited",
     "delegated; the kernel offers no cpu and cpuset and io", ""),
    (cgroup(parent=""), "limited", "no group is delegated to this user",
     "systemd-run --user --scope -p Delegate=yes rcrun …"),
    (cgroup(parent="", has_systemd=False), "limited", "no group is delegated to this user", ""),
    (cgroup(fault="no space left on device"), "limited", "no group can be made",
     "systemd-run --user --scope -p Delegate=yes rcrun …"),
    (cgroup(by_systemd=True), "ok", "delegated by systemd, with cpu cpuset io memory pids", ""),
    (cgroup(by_systemd=True, given=["memory", "pids"]), "limited",
     "delegated by systemd, without cpu and cpuset and io", DELEGATE.removesuffix(OWN_UNIT)),
    (cgroup(by_systemd=True, fault="access denied"), "limited", "systemd makes no scope", ""),
    (cgroup(unified=False), "limited", "version 2 is not mounted alone",
     "sudo grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1"),
    (groups.judge_systemd(has_systemd=False, version="", fault=""), "ok",
     "does not run this host, and is not needed", ""),
    (groups.judge_systemd(has_systemd=True, version="252", fault=""), "ok", "answers, version 252", ""),
    (groups.judge_systemd(has_systemd=True, version="", fault="x"), "limited", "your own manager does not answer",
     "sudo loginctl enable-linger $USER"),
    (groups.judge_linger(has_systemd=True, is_root=False, on=False), "limited", "off", "rcrun setup linger"),
    (groups.judge_linger(has_systemd=True, is_root=False, on=True), "ok",
     "on: containers go on when you log out", ""),
    (groups.judge_limits({"fs.inotify.max_user_instances": "16"}, processes=-1, files=-1, pids_max=""), "limited",
     "fs.inotify.max_user_instances is 16", "sudo sysctl -w fs.inotify.max_user_instances=1024"),
    (groups.judge_limits({"kernel.keys.maxkeys": "20"}, processes=-1, files=-1, pids_max=""), "limited",
     "kernel.keys.maxkeys is 20", "sudo sysctl -w kernel.keys.maxkeys=1600"),
    (groups.judge_limits({}, processes=50, files=-1, pids_max=""), "limited", "you may have 50 processes", ""),
    (groups.judge_limits({}, processes=-1, files=256, pids_max="max"), "limited",
     "a process may have 256 open files", ""),
    (groups.judge_limits({}, processes=-1, files=-1, pids_max="33"), "limited",
     "your cgroup may have 33 processes", ""),

    (net.judge_tun(HostLacks('cannot make a network: "/dev/net/tun": no such device', "x: sudo modprobe tun; y")),
     "limited", "/dev/net/tun cannot be used", "sudo modprobe tun"),
    (net.judge_helper("pasta", "", "", True, FEDORA), "limited", "not installed", "sudo dnf install passt"),
    (net.judge_helper("slirp4netns", "", "", True, FACTS), "ok", "not installed, and not needed beside pasta", ""),
    (net.judge_helper("pasta", "/usr/bin/pasta", "it fell over", True, FACTS), "limited",
     "cannot make a network", ""),
    (net.judge_route("", ""), "limited", "there is no default route", ""),
    (net.judge_route("", "2001:db8::5"), "ok", "to the world by IPv6, from 2001:db8::5", ""),
    (net.judge_dns([], []), "limited", "/etc/resolv.conf names no server", ""),
    (net.judge_dns(["127.0.0.53"], []), "ok", "127.0.0.53 answers; containers ask it through their network", ""),
    (net.judge_ports(errno.EACCES, "1024", is_root=False), "limited", "ports below 1024 are refused",
     "sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80"),
    (net.judge_ports(0, "80", is_root=False), "ok", "port 80 can be published", ""),
    (net.judge_ping("permission denied", "1\t0"), "limited", "is refused",
     'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'),
    (net.judge_ping("", "0 1"), "ok", "is allowed", ""),

    (places.judge_store("/h/rcrun", "", "nfs4", "/h", ["rw"]), "limited", '"/h/rcrun" is on NFS', ""),
    (places.judge_store("/h/rcrun", "", "gpfs", "/h", ["rw"]), "limited", '"/h/rcrun" is on GPFS', ""),
    (places.judge_store("/h/rcrun", "", "xfs", "/h", ["rw", "nodev", "nosuid"]), "ok",
     "/h/rcrun on xfs (nodev,nosuid)", ""),
    (places.judge_store("/h/rcrun", "permission denied", "xfs", "/h", ["rw"]), "broken",
     '"/h/rcrun" cannot be written', ""),
    (places.judge_room("/h", 0, 1000, 900), "broken", 'no room in "/h"',
     "rcrun container prune -f; rcrun image prune -af"),
    (places.judge_room("/h", 1 << 40, 1000, 2), "broken", 'no room for new files (inodes) in "/h"',
     "rcrun container prune -f; rcrun image prune -af"),
    (places.judge_room("/h", 1 << 40, 0, 0), "ok", "1024 GiB are free", ""),
    (places.judge_file_system(["case"], "/h"), "limited",
     'what holds "/h" does not tell Makefile from makefile', ""),
    (places.judge_file_system(["locks", "xattrs"], "/h"), "broken",
     'what holds "/h" has no locks and has no user attributes', ""),
    (runtime_dir("/run/user/1000", (1000, 0o40700), None), "ok", "/run/user/1000", ""),
    (places.judge_live_dir("/run/rcrun", "permission denied"), "broken", '"/run/rcrun" cannot be written',
     "export RCRUN_RUNROOT=/tmp/rcrun-live-$(id -u)"),
    (runtime_dir("", None, (1000, 0o40700)), "limited", "is not set", "export XDG_RUNTIME_DIR=/run/user/1000"),
    (runtime_dir("/run/user/0", (0, 0o40700), None), "limited", '"/run/user/0" belongs to user 0', ""),
    (runtime_dir("/x", (1000, 0o40777), None), "limited", '"/x" can be written by others', "chmod 700 /x"),
    (places.judge_shm(1 << 20, ""), "limited", "/dev/shm has 1 MiB left", "sudo mount -o remount,size=50% /dev/shm"),
    (places.judge_shm(-1, "no such file or directory"), "limited", "/dev/shm cannot be written",
     "sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm"),
    (places.judge_tmp("/tmp", "permission denied", 0, named=False), "limited", '"/tmp" cannot be written',
     "sudo chmod 1777 /tmp"),
    (places.judge_tmp("/big", "", 0, named=True), "limited", 'TMPDIR, "/big", is full', ""),
    (settings.judge_clock(0, 86400 * 400), "limited", "is before the day when rcrun was installed",
     "sudo timedatectl set-ntp true"),
    (settings.judge_clock(86400 * 400, 0), "ok", "1971-02-05 00:00 UTC", ""),
    (settings.judge_auth([("/a.json", "permission denied", "chmod u+rw /a.json")], 0), "limited",
     '"/a.json" cannot be read', "chmod u+rw /a.json"),
    (settings.judge_credential_helpers(["pass"], {"pass": "/c.json"}), "limited",
     '"docker-credential-pass" is not in PATH', "rcrun login"),
    (settings.judge_registries(['"/etc/containers/policy.json" cannot be used: bad']), "limited",
     '"/etc/containers/policy.json" cannot be used: bad', ""),
    (settings.judge_other_engine({"DOCKER_HOST": "ssh://x"}, []), "limited", "DOCKER_HOST is ssh://x",
     "unset DOCKER_HOST"),
    (dockercontext.judge_context(None, ""), "ok",
     "neither a variable nor docker's config.json names another engine", ""),
    (dockercontext.judge_context(dockercontext.Named("/c.json", "far", ""), ""), "limited",
     '"/c.json" names the context "far", of which nothing is known', ""),
    (devices.judge_gpu([], [], has_specification=False), "ok",
     "none of NVIDIA, which alone needs to be described", ""),
    (devices.judge_gpu(["nvidia0"], [], has_specification=True), "ok", "1 of NVIDIA, described to containers", ""),
    (devices.judge_gpu(["nvidia0"], [], has_specification=False), "limited",
     "1 of NVIDIA, and nothing describes them to containers",
     "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"),
    (devices.judge_gpu(["nvidia0"], ["/dev/nvidia0"], has_specification=True), "limited",
     "/dev/nvidia0 is closed to you", ""),
    (devices.judge_emulation({"status": "enabled\n"}, "x86_64"), "ok", "programs for x86_64 alone run", ""),
    (devices.judge_emulation({"qemu-arm": "enabled\ninterpreter /q\nflags: OCF\n"}, "x86_64"), "ok",
     "programs for arm run, too", ""),
    (devices.judge_emulation({"qemu-arm": "enabled\ninterpreter /q\nflags: O\n"}, "x86_64"), "limited",
     "qemu-arm is registered without the flag F", "sudo apt-get install --reinstall qemu-user-static"),
    (left.judge_leftovers(["/s/trash/a"]), "limited",
     "1 of crashed or killed commands, the first is /s/trash/a", "rcrun doctor --fix"),
    (left.judge_old_boots([]), "ok", "nothing", ""),
    (container.judge_container(container.Run([], "it broke", "run: mend it"), networks=[]), "broken",
     "could not be run", "mend it"),
    (container.judge_seccomp(container.Run(["seccomp 0", "fine"], "", "")), "limited",
     "no filter holds a container's processes", ""),
]  # fmt: skip


@pytest.mark.parametrize(("finding", "level", "found", "command"), FINDINGS)
def test_findings(finding: Finding, level: str, found: str, command: str) -> None:
    assert (finding.level, finding.found, finding.command) == (level, found, command)
    assert finding.needs_root == command.startswith("sudo ")
    if level != "ok":
        assert finding.means


def test_a_hint_of_an_error_is_that_of_its_finding() -> None:
    """One source: what `run` says of the same fault."""
    finding = users.judge_apparmor(REFUSED, FACTS, confined=True)
    assert finding.hint == FACTS.apparmor_hint()
    why = '"newuidmap" is not installed'
    assert users.judge_ids(single(1, 1, why), None, "", FACTS).hint == single_id_hint(why, FACTS)
    assert users.judge_user_namespaces(REFUSED).hint == REFUSED.hint


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("ann:100000:65536\nbob:165536:65536\n", ""),
        ("ann:100000:65536\nbob:150000:65536\n", 'user "bob"'),
        ("ann:100000:65536\n1000:100000:65536\n", ""),  # the same user, by number
        ("# bob:100000:65536\nann:100000:65536\n", ""),
        ("bob:100000:65536\n", ""),  # we have none
    ],
)
def test_ids_of_others(text: str, other: str) -> None:
    assert users.others(text, "ann", 1000) == other


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,nosuid,nodev shared:9 - nfs4 server:/home rw
31 30 0:41 / /home/ann/my\\040disk rw,noexec - fuse.sshfs x rw
"""


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/homely", ("/", "ext4", ["rw", "relatime"])),
        ("/home/bob", ("/home", "nfs4", ["rw", "nosuid", "nodev"])),
        ("/home/ann/my disk/x", ("/home/ann/my disk", "fuse.sshfs", ["rw", "noexec"])),
    ],
)
def test_what_a_path_lies_on(path: str, mount: tuple[str, str, list[str]]) -> None:
    assert places.mount_of(MOUNTS, path) == mount


@pytest.mark.parametrize(
    ("hint", "command"),
    [
        ("x is 0; run: sudo sysctl -w x=1", "sudo sysctl -w x=1"),
        ("load it: sudo modprobe tun; or do without", "sudo modprobe tun"),
        ("log in again", ""),
        ("", ""),
    ],
)
def test_the_command_in_a_hint(hint: str, command: str) -> None:
    assert command_in(hint) == command


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        ("rcrun: warning: x\nhint: y\nrcrun: error: no\nhint: do\n", ("no", "do")),
        ("rcrun: error: no\n", ("no", "")),
        ("", ("exit status 3", "")),
    ],
)
def test_what_a_container_said(err: str, expected: tuple[str, str]) -> None:
    assert container.said(err, 3) == expected


def test_what_a_probe_did_not_expect_is_a_finding() -> None:
    def fails(here: object) -> Finding:
        raise PermissionError(errno.EACCES, "Permission denied", "/x")

    finding = probes.guarded(fails, None)  # type: ignore[arg-type]
    assert (finding.level, finding.why) == ("broken", "/x: permission denied")


def test_the_status_is_about_containers_alone() -> None:
    found = {"dns": broken("x", means="y"), "container": fine("ran")}
    assert probes.runs(found)
    assert probes.as_json(found)["runs"] is True
    assert not probes.runs({"container": broken("x", means="y")})
