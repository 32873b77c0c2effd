"""`rcrun doctor` on hosts that lack something: each is this one, changed by a script of root in namespaces of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest

from accounts import CHECKOUT, bin_dir
from rcrun.runtime.hints_host import HostFacts, single_id_hint

pytestmark = [
    pytest.mark.requires("root", "userns", "subids", "overlay", "network"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

# A filter like docker's: no new user namespace, by whichever call; set by root, so without no_new_privs.
FILTER = f"""
import ctypes, os, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from rcrun.kernel.seccomp import compile_filter
user = {{"index": 0, "value": 0x10000000, "valueTwo": 0x10000000, "op": "SCMP_CMP_MASKED_EQ"}}
code = compile_filter({{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {{"names": ["clone", "unshare"], "action": "SCMP_ACT_ERRNO", "args": [user]}},
    {{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}}]}})
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
assert ctypes.CDLL(None).prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
# In a user namespace that has all ids and lets nobody make another.
AROUND = """
import ctypes, os, sys
asked, answered = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(asked[1], b"x")
    os.read(answered[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(asked[0], 1)
for kind in ("uid", "gid"):
    with open(f"/proc/{pid}/{kind}_map", "w") as file:
        file.write("0 0 4294967295")
os.write(answered[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


class Told:
    """What doctor said: the exit status, and the findings by name."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.stderr == ""
        self.status = done.returncode
        self.data = json.loads(done.stdout)
        self.probes = {probe["name"]: probe for probe in self.data["probes"]}

    def __getitem__(self, name: str) -> dict[str, str]:
        return self.probes[name]

    def bad(self) -> set[str]:
        return {name for name, probe in self.probes.items() if probe["level"] != "ok"}


@pytest.fixture
def doctor(rcrun):
    """Runs doctor as the account where `prepare` was run before; `enter` goes before the command."""

    def run(
        prepare: str = "",
        *words: str,
        env=None,
        enter: str = "",
        kinds: str = "-m",
        of=None,
        raw=False,
    ):
        shown = of or rcrun
        account = shown.account
        become = f"setpriv --reuid {account.uid} --regid {account.gid} --clear-groups"
        script = f'store={shown.store_dir}\n{prepare}\nexec {enter} {become} "$@"'
        command = ["unshare", *kinds.split(), "--propagation", "slave", "sh", "-euc", script, "sh"]
        done = subprocess.run(
            [*command, bin_dir() / "rcrun", "doctor", *([] if raw else ["--json"]), *words],
            env={**account.environ, **shown.env, **(env or {})},
            cwd=account.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done if raw else Told(done)

    return run


# ---- all is well


def test_here(doctor):
    told = doctor()
    assert told.status == 0
    assert told.data["version"] == 1
    assert told.data["runs"] is True
    assert told["container"]["found"] == "ran, also with a network by pasta and slirp4netns"
    assert told["seccomp"]["level"] == told["ids"]["level"] == told["overlay"]["level"] == "ok"
    keys = {"name", "level", "found", "means", "why", "hint", "command", "needs_root"}
    assert all(probe.keys() == keys for probe in told.data["probes"])
    assert {probe["level"] for probe in told.data["probes"]} <= {"ok", "limited", "broken"}


def test_what_people_read(doctor):
    got = doctor("", raw=True, env={"XDG_RUNTIME_DIR": "/nonexistent"})
    assert got.returncode == 0
    assert "\x1b" not in got.stdout
    lines = got.stdout.splitlines()
    at = lines.index('limited   XDG_RUNTIME_DIR (runtime-dir): "/nonexistent" does not exist')
    assert lines[at + 1].startswith("          means: other programs miss it; rcrun keeps")
    assert lines[at + 2].startswith("          hint:  log in with systemd")
    assert lines[-1].startswith("containers run here; ")


def test_quiet_leaves_out_what_is_well(doctor):
    got = doctor("", "--quiet", raw=True)
    assert not any(line.startswith("ok") for line in got.stdout.splitlines())


def test_it_leaves_nothing_behind(doctor, fresh_rcrun):
    fresh = fresh_rcrun()
    assert doctor(of=fresh).status == 0
    left = [name for _, folders, files in os.walk(fresh.store_dir) for name in (*folders, *files)]
    assert not [name for name in left if "doctor" in name]
    assert fresh("ps", "-aq").out == ""


# ---- no container runs: the probe that says why, and its command


def test_user_namespaces_are_refused_by_a_filter(doctor, tmp_path):
    script = tmp_path / "filter.py"
    script.write_text(FILTER)
    told = doctor(enter=f"python3 {script}")
    assert told.status == 1
    assert told.data["runs"] is False
    assert told["user-namespaces"]["level"] == told["container"]["level"] == "broken"
    assert "operation not permitted" in told["user-namespaces"]["why"]
    assert told["user-namespaces"]["hint"].startswith(
        "this process may make no user namespace: a container's seccomp filter or a chroot forbids it"
    )
    assert told["container"]["hint"] == told["user-namespaces"]["hint"]


def test_user_namespaces_are_counted_out(doctor, tmp_path):
    """A limit of a namespace around us, since the host's own is everybody's."""
    script = tmp_path / "around.py"
    script.write_text(AROUND)
    told = doctor(enter=f"python3 {script}")
    assert told.status == 1
    assert told["user-namespaces"]["command"] == "sudo sysctl -w user.max_user_namespaces=15000"
    assert told["user-namespaces"]["needs_root"] is True


def test_proc_is_masked(doctor):
    """As in a container of docker."""
    told = doctor("mount --bind /dev/null /proc/cpuinfo")
    assert told.status == 1
    assert told["proc"]["level"] == "broken"
    assert "systempaths=unconfined" in told["proc"]["hint"]
    assert "systempaths=unconfined" in told["container"]["hint"]


def test_the_store_is_read_only(doctor):
    told = doctor("mount --bind $store $store; mount -o remount,bind,ro $store")
    assert told.status == 1
    assert told["store"]["why"] == "read-only file system"
    assert told["store"]["command"].startswith("sudo mount -o remount,rw /")
    assert told["overlay"]["level"] == "broken"


def test_the_store_is_full(doctor, fresh_rcrun):
    fresh = fresh_rcrun()
    full = """
        mount -t tmpfs -o size=1m,mode=777 none $store
        head -c 2M /dev/zero >$store/fill 2>/dev/null || :
    """
    told = doctor(full, of=fresh)
    assert told.status == 1
    assert told["room"]["level"] == "broken"
    assert told["room"]["command"] == "rcrun container prune -f; rcrun image prune -af"


def test_the_shim_is_mounted_noexec(doctor):
    folder = CHECKOUT / "rcrun/shim"
    shim = subprocess.run(
        [bin_dir() / "python3", "-c", "from rcrun.kernel.shim import shim_path; print(shim_path())"],
        cwd="/", capture_output=True, text=True, check=False,
    ).stdout.strip() or f"{folder}/rcrun-shim"  # fmt: skip
    told = doctor(f"d={os.path.dirname(shim)}; mount --bind $d $d; mount -o remount,bind,noexec $d")
    assert told.status == 1
    assert told["installation"]["why"] == "permission denied"


def test_the_parts_of_the_store_are_apart(doctor, fresh_rcrun):
    fresh = fresh_rcrun()
    fresh("ps").check()
    told = doctor(
        "mkdir -p $store/containers; mount -t tmpfs -o mode=777 none $store/containers", of=fresh
    )
    assert told["devices"]["level"] == "broken"
    assert told["devices"]["found"].endswith(
        '/containers" is on another file system than the store'
    )


# ---- containers run, with limits


def test_without_subordinate_ids(doctor, single_rcrun):
    told = doctor(of=single_rcrun)
    why = f'no subordinate ids for user "{single_rcrun.account.name}" in /etc/subuid'
    assert told.status == 0
    assert (told["ids"]["level"], told["ids"]["why"]) == ("limited", why)
    assert told["ids"]["hint"] == single_id_hint(why, HostFacts())
    assert told["ids"]["command"].startswith("sudo usermod --add-subuids ")


TOOLS = [
    ("for t in newuidmap newgidmap; do mount --bind /dev/null /usr/bin/$t; done",
     '"newuidmap" is not installed', "sudo apt-get install uidmap"),
    ("mount -t tmpfs none /mnt; cp /usr/bin/newuidmap /mnt; mount --bind /mnt/newuidmap /usr/bin/newuidmap",
     '"/usr/bin/newuidmap" is neither set-user-ID nor does it have file capabilities',
     "sudo chown root /usr/bin/newuidmap && sudo chmod u+s /usr/bin/newuidmap"),
    ("mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin",
     '"/usr/bin/newuidmap" is on a file system mounted nosuid',
     'sudo mount -o remount,suid "$(findmnt -no TARGET -T /usr/bin/newuidmap)"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "why", "command"), TOOLS, ids=["missing", "not set-uid", "nosuid"]
)
def test_newuidmap_has_no_privilege(doctor, prepare, why, command):
    told = doctor(prepare)
    assert told.status == 0
    assert (told["ids"]["level"], told["ids"]["why"], told["ids"]["command"]) == (
        "limited",
        why,
        command,
    )


def test_subordinate_ids_are_somebody_elses_too(doctor, rcrun):
    told = doctor("cp /etc/subuid /run/subuid; sed 's/^[^:]*:/other:/' /etc/subuid >>/run/subuid;"
                  " mount --bind /run/subuid /etc/subuid; rm /run/subuid")  # fmt: skip
    assert told["ids"]["level"] == "limited"
    assert 'user "other" has some of them, too' in told["ids"]["found"]


NETWORKS = [
    ("for t in pasta pasta.avx2 slirp4netns; do test ! -e /usr/bin/$t || mount --bind /dev/null /usr/bin/$t; done",
     {"pasta": "not installed", "slirp4netns": "not installed", "container": "ran, without a network"}),
    ("for t in pasta pasta.avx2; do test ! -e /usr/bin/$t || mount --bind /dev/null /usr/bin/$t; done",
     {"pasta": "not installed", "container": "ran, also with a network by slirp4netns"}),
    ("mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200",
     {"tun": "/dev/net/tun cannot be used", "pasta": "cannot make a network", "container": "ran, without a network"}),
    ("mount -t tmpfs none /dev/net", {"tun": "/dev/net/tun cannot be used"}),
    ("mount --bind /dev/null /dev/net/tun", {"pasta": "cannot make a network"}),
    ("mount --bind /dev/null /etc/resolv.conf", {"dns": "/etc/resolv.conf names no server"}),
    ("echo nameserver 127.0.0.99 >/run/r; mount --bind /run/r /etc/resolv.conf; rm /run/r",
     {"dns": "127.0.0.99 does not answer"}),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "found"), NETWORKS)
def test_what_makes_the_network_is_missing(doctor, prepare, found):
    told = doctor(prepare)
    assert told.status == 0
    for name, text in found.items():
        assert (told[name]["level"], told[name]["found"]) == (
            "ok" if text.startswith("ran, also") else "limited", text,
        )  # fmt: skip


def test_the_commands_for_tun(doctor):
    closed = doctor("mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200")
    assert closed["tun"]["command"] == "sudo chmod 666 /dev/net/tun"
    assert closed["tun"]["why"] == "permission denied"
    gone = doctor("mount -t tmpfs none /dev/net")
    assert gone["tun"]["command"] == "sudo modprobe tun"


def test_no_default_route(doctor):
    told = doctor("ip link set lo up", kinds="-m -n")
    assert told.status == 0
    assert told["route"]["found"] == "there is no default route"


ODD_STORES = [
    ("mount -t ramfs -o mode=777 none $store", "file-system", "has no user attributes"),
    ("mount -t tmpfs -o mode=777,noexec none $store", "store", "is mounted noexec"),
    ("mount -t tmpfs -o mode=777,size=200m none $store", "room", "little room in"),
]


@pytest.mark.parametrize(("prepare", "name", "found"), ODD_STORES)
def test_odd_file_systems(doctor, fresh_rcrun, prepare, name, found):
    told = doctor(f"{prepare}; chmod 777 $store", of=fresh_rcrun())
    assert told[name]["level"] == "limited"
    assert found in told[name]["found"]


def test_overlay_is_refused(doctor, fresh_rcrun):
    """On an overlay; a home on NFS says the same."""
    prepare = """
        mount -t tmpfs -o mode=755 none /mnt
        mkdir /mnt/lower /mnt/upper /mnt/work
        mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none $store
        chmod 777 $store
    """
    told = doctor(prepare, of=fresh_rcrun())
    assert (told.status, told["overlay"]["level"]) == (0, "limited")
    assert told["overlay"]["found"] == "the kernel refuses them, fuse-overlayfs does it"
    hidden = "test ! -e /usr/bin/fuse-overlayfs || mount --bind /dev/null /usr/bin/fuse-overlayfs"
    told = doctor(prepare + hidden, of=fresh_rcrun())
    assert told["overlay"]["found"] == "neither the kernel nor fuse-overlayfs mounts them"
    assert told["overlay"]["command"] == "sudo apt-get install fuse-overlayfs"


def test_fuse_is_closed(doctor):
    told = doctor(
        "mount -t tmpfs none /mnt; mknod -m 600 /mnt/fuse c 10 229; mount --bind /mnt/fuse /dev/fuse"
    )
    if told["fuse"]["found"].startswith("not installed"):
        pytest.fail("ci/setup installs fuse-overlayfs")
    assert (told["fuse"]["level"], told["fuse"]["command"]) == (
        "limited",
        "sudo chmod 666 /dev/fuse",
    )


VARIABLES = [
    ({"XDG_RUNTIME_DIR": ""}, "runtime-dir", "is not set"),
    ({"XDG_RUNTIME_DIR": "run"}, "runtime-dir", '"run" is no absolute path'),
    ({"XDG_RUNTIME_DIR": "/nonexistent"}, "runtime-dir", '"/nonexistent" does not exist'),
    ({"XDG_RUNTIME_DIR": "/root"}, "runtime-dir", '"/root" belongs to user 0'),
    ({"TMPDIR": "/nonexistent"}, "tmp", 'TMPDIR, "/nonexistent", cannot be written'),
    ({"DOCKER_HOST": "tcp://elsewhere:2375"}, "other-engine", "DOCKER_HOST is tcp://elsewhere:2375"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "name", "found"), VARIABLES)
def test_variables(doctor, env, name, found):
    told = doctor(env=env)
    assert told.status == 0
    assert (told[name]["level"], told[name]["found"]) == ("limited", found)


def test_nobody_listens_at_docker_host(doctor, tmp_path):
    told = doctor(env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert f"nobody listens at unix://{tmp_path}/none.sock" in told["other-engine"]["means"]


def test_files_of_credentials(doctor, rcrun):
    folder = rcrun.account.new_dir("docker")
    file = folder / "config.json"
    env = {"DOCKER_CONFIG": str(folder)}
    file.write_text("{")
    assert doctor(env=env)["auth"]["found"] == f'"{file}" is not valid'
    file.write_text('{"credsStore": "nosuch"}')
    told = doctor(env=env)
    assert told["auth"]["level"] == "ok"
    assert told["credential-helpers"]["found"] == '"docker-credential-nosuch" is not in PATH'
    file.write_text("{}")
    os.chown(file, rcrun.account.uid, rcrun.account.gid)
    file.chmod(0)
    told = doctor(env=env)
    assert told["auth"]["why"] == "permission denied"
    assert told["auth"]["command"] == f"chmod u+rw {file}"
    told = doctor("", "--fix", env=env)
    assert {"name": "auth", "done": f"chmod 600 {file}"} in told.data["fixed"]
    assert told["auth"]["level"] == "ok"


@pytest.mark.parametrize(("name", "text"), [("registries.conf", "a = ["), ("policy.json", "{")])
def test_files_of_other_tools(doctor, rcrun, name, text):
    folder = rcrun.account.new_dir("config")
    (folder / "containers").mkdir()
    (folder / "containers" / name).write_text(text)
    told = doctor(env={"XDG_CONFIG_HOME": str(folder)})
    assert (told.status, told["registries"]["level"]) == (0, "limited")
    assert told["registries"]["found"] == f'"{folder}/containers/{name}" is not valid'


# ---- --fix


def test_leftovers_are_found_and_fixed(doctor, fresh_rcrun):
    fresh = fresh_rcrun()
    fresh("ps").check()
    half = fresh.store_dir / "containers" / ("a" * 64)
    trash = fresh.store_dir / "trash" / "b"
    for folder in (half, trash):
        fresh.account.run("mkdir", "-p", folder).check()
    os.utime(half, (0, 0))
    assert settled(doctor, fresh)["found"].startswith("2 of crashed or killed commands")
    assert half.exists()
    told = doctor("", "--fix", of=fresh)
    assert {"name": "leftovers", "done": f"removed {half}, {trash}"} in told.data["fixed"]
    assert (told["leftovers"]["level"], told["leftovers"]["found"]) == ("ok", "nothing")
    assert not half.exists()
    assert not trash.exists()


def settled(doctor, fresh):
    """Nothing is called left in the second in which it came."""
    for _ in range(10):
        probe = doctor(of=fresh)["leftovers"]
        if probe["found"].startswith("2 "):
            break
    return probe


def test_the_state_of_earlier_boots_is_fixed(doctor, rcrun):
    old = f"/tmp/rcrun-{rcrun.account.uid}-00000000"
    prepare = f"mount -t tmpfs -o mode=1777 none /tmp; mkdir -m 700 {old}; chown {rcrun.account.uid} {old}"
    assert doctor(prepare)["old-boots"]["level"] == "limited"
    told = doctor(prepare, "--fix")
    assert {"name": "old-boots", "done": "removed 1 directories of earlier boots"} in told.data[
        "fixed"
    ]
    assert told["old-boots"]["level"] == "ok"


def test_a_runtime_directory_open_to_others_is_fixed(doctor, rcrun):
    folder = rcrun.account.new_dir("run")
    folder.chmod(0o777)
    env = {"XDG_RUNTIME_DIR": str(folder)}
    assert doctor(env=env)["runtime-dir"]["command"] == f"chmod 700 {folder}"
    assert doctor("", "--fix", env=env)["runtime-dir"]["level"] == "ok"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_root_is_asked_on_request_only(doctor, rcrun):
    """A sudo that writes down what it was to do."""
    folder = rcrun.account.new_dir("bin")
    log = folder / "log"
    log.touch()
    log.chmod(0o666)
    (folder / "sudo").write_text(f'#!/bin/sh\necho "$*" >>{log}\n')
    (folder / "sudo").chmod(0o755)
    env = {"PATH": f"{folder}:{rcrun.account.environ['PATH']}"}
    closed = "mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200"
    doctor(closed, "--fix", env=env)
    assert log.read_text() == ""
    told = doctor(closed, "--fix", "--sudo", env=env)
    assert {"name": "tun", "done": "sudo chmod 666 /dev/net/tun"} in told.data["fixed"]
    assert "chmod 666 /dev/net/tun" in log.read_text().splitlines()
    got = doctor("", "--sudo", raw=True)
    assert (got.returncode, got.stderr) == (
        1, "rcrun: error: --sudo is for --fix\nhint: run: rcrun doctor --fix --sudo\n",
    )  # fmt: skip


def test_it_does_not_wait_for_what_does_not_answer(doctor):
    """A name server far away: the packets go nowhere, and the whole takes hardly longer than the wait for it."""
    begun = time.monotonic()
    told = doctor(
        "echo nameserver 192.0.2.99 >/run/r; mount --bind /run/r /etc/resolv.conf; rm /run/r"
    )
    assert told["dns"]["found"] == "192.0.2.99 does not answer"
    assert time.monotonic() - begun < 15
