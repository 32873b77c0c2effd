"""`rcrun doctor` on hosts that lack something: each is this one, changed by a script of root in namespaces of its own."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from accounts import CHECKOUT, bin_dir

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


def test_the_live_state_has_no_place(doctor):
    """As for root of a user namespace, to whom the host's /run is closed."""
    got = doctor(env={"RCRUN_RUNROOT": "/run/rcrun"})
    assert got.status == 1
    assert got["runtime-dir"]["found"] == '"/run/rcrun" cannot be written'
    assert got["runtime-dir"]["command"].startswith("export RCRUN_RUNROOT=/tmp/")


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


# ---- with systemd


@pytest.mark.requires("systemd")
@pytest.mark.parametrize("delegated_account", ["systemd"], indirect=True)
def test_with_systemd(delegated_account, account, fresh_rcrun):
    rcrun = fresh_rcrun(delegated_account)
    told = {probe["name"]: probe for probe in json.loads(rcrun("doctor", "--json").out)["probes"]}
    assert told["cgroup"]["found"].startswith("delegated")
    assert told["systemd"]["found"].startswith("answers, version 2")
    assert told["linger"]["command"] in ("", "rcrun setup linger")
    assert told["container"]["level"] == "ok"
