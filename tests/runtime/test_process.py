"""`process` of config.json: who the program is, what it may, what it is given."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from runtime.conftest import ALL_CAPS, Bundle, not_on

pytestmark = pytest.mark.requires("userns")


def field(status: str, name: str) -> str:
    [line] = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return line.split(":", 1)[1].strip()


def test_arguments_and_environment(bundle: Bundle) -> None:
    assert bundle.output("echo", "a b", "", "ü", "$HOME") == "a b  ü $HOME"
    bundle.process(env=["A=1", "EMPTY=", "HOME=/h"])
    assert bundle.output("env").splitlines() == ["A=1", "EMPTY=", "HOME=/h"]


def test_home_is_looked_up(bundle: Bundle) -> None:
    bundle.put("rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    assert "HOME=/root" in bundle.output("env").splitlines()


def test_home_of_somebody_unknown(bundle: Bundle) -> None:
    assert "HOME=/" in bundle.output("env").splitlines()


def test_a_linked_passwd_is_not_followed(bundle: Bundle) -> None:
    secret = bundle.put("secret", "root:x:0:0:root:/stolen:/bin/sh\n")
    bundle.make_dir("rootfs/etc")
    (bundle.dir / "rootfs/etc/passwd").symlink_to(secret)
    assert "HOME=/" in bundle.output("env").splitlines()


@pytest.mark.parametrize("target", ["../share/passwd", "/share/passwd", "../../../share/passwd"])
def test_a_link_within_the_root_is(bundle: Bundle, target: str) -> None:
    bundle.put("rootfs/share/passwd", "root:x:0:0:root:/inside:/bin/sh\n")
    bundle.make_dir("rootfs/etc")
    (bundle.dir / "rootfs/etc/passwd").symlink_to(target)
    assert "HOME=/inside" in bundle.output("env").splitlines()


def test_the_path_is_searched(bundle: Bundle) -> None:
    bundle.config["process"]["args"] = ["init", "echo", "found"]
    bundle.process(env=["PATH=/nowhere:/"])
    assert bundle.run().check().out == "found\n"


def test_the_working_directory(bundle: Bundle) -> None:
    bundle.make_dir("rootfs/srv")
    bundle.process(cwd="/srv")
    assert bundle.output("cwd") == "/srv"


def test_a_missing_working_directory_is_made(bundle: Bundle) -> None:
    bundle.process(cwd="/new/deep")
    assert bundle.output("cwd") == "/new/deep"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["/missing"], "No such file or directory"),
        (["missing"], "missing"),
        (["/etc"], "Is a directory"),
        (["/plain"], "Permission denied"),
    ],
)
def test_commands_that_cannot_run(bundle: Bundle, args: list[str], text: str, ours: None) -> None:
    bundle.make_dir("rootfs/etc")
    bundle.put("rootfs/plain", "text")
    bundle.config["process"]["args"] = args
    result = bundle.run()
    assert result.status == 1
    assert text in result.err
    assert bundle.runtime("state", bundle.id).status == 1


def test_user_and_groups_as_root(bundle: Bundle) -> None:
    if bundle.account.kind != "root":
        bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.process(user={"uid": 7, "gid": 8, "additionalGids": [9, 10]})
    assert bundle.output("ids") == "7 8 9 10"


def test_no_capabilities(bundle: Bundle) -> None:
    bundle.process(capabilities={})
    status = bundle.output("cat", "/proc/self/status")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(field(status, name), 16) == 0


def test_capabilities(bundle: Bundle) -> None:
    sets = {
        "bounding": ["CAP_KILL", "CAP_CHOWN"],
        "effective": ["CAP_KILL"],
        "permitted": ["CAP_KILL"],
        "inheritable": [],
        "ambient": [],
    }
    bundle.process(capabilities=sets)
    status = bundle.output("cat", "/proc/self/status")
    # root inside gets the whole bounding set with the exec; execve(2)
    assert int(field(status, "CapBnd"), 16) == 1 << 5 | 1
    assert int(field(status, "CapInh"), 16) == 0
    assert int(field(status, "CapAmb"), 16) == 0


def test_ambient_capabilities_of_another_user(bundle: Bundle) -> None:
    sets = {name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")}  # fmt: skip
    bundle.process(capabilities=sets, user={"uid": 7, "gid": 7})
    status = bundle.output("cat", "/proc/self/status")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(field(status, name), 16) == 1 << 5, name


def test_capabilities_without_ambient_end_with_the_user(bundle: Bundle) -> None:
    sets = {name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")}
    bundle.process(capabilities=sets, user={"uid": 7, "gid": 7})
    status = bundle.output("cat", "/proc/self/status")
    assert int(field(status, "CapEff"), 16) == 0
    assert int(field(status, "CapBnd"), 16) == 1 << 5


def test_what_cannot_be_given_is_told(bundle: Bundle, ours: None) -> None:
    wanted = {
        "bounding": ["CAP_FLY", "CAP_KILL"],
        "ambient": ["CAP_CHOWN"],
        "inheritable": ["CAP_KILL"],
    }
    bundle.process(capabilities=wanted).args("cat", "/proc/self/status")
    result = bundle.run().check()
    assert int(field(result.out, "CapBnd"), 16) == 1 << 5
    unknown, lost = result.err.splitlines()
    assert 'level=warning msg="unknown capability \\"CAP_FLY\\"' in unknown
    assert "can't raise ambient capability CAP_CHOWN: " in lost
    quiet = bundle.runtime("--log-level=error", "run", "-b", str(bundle.dir), bundle.id).check()
    assert quiet.err == ""


def test_a_variable_is_there_once(bundle: Bundle) -> None:
    bundle.process(env=["A=1", "PATH=/", "A=2"])
    assert "A=2" in bundle.output("env").splitlines()
    assert "A=1" not in bundle.output("env").splitlines()


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(bundle: Bundle, value: bool) -> None:
    bundle.process(noNewPrivileges=value)
    assert field(bundle.output("cat", "/proc/self/status"), "NoNewPrivs") == str(int(value))


def test_rlimits(bundle: Bundle) -> None:
    bundle.process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}])
    assert bundle.output("limit", str(resource.RLIMIT_NOFILE)) == "100 200"


@pytest.mark.parametrize(("value", "shown"), [(None, "22"), (0o077, "77"), (0, "0")])
def test_umask(bundle: Bundle, value: int | None, shown: str) -> None:
    user: dict[str, object] = {"uid": 0, "gid": 0}
    if value is not None:
        user["umask"] = value
    bundle.process(user=user)
    assert bundle.output("umask") == shown


def test_oom_score(bundle: Bundle) -> None:
    bundle.process(oomScoreAdj=500)
    assert bundle.output("cat", "/proc/self/oom_score_adj") == "500"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_an_oom_score_that_a_user_cannot_have(bundle: Bundle, ours: None) -> None:
    own = Path("/proc/self/oom_score_adj").read_text(encoding="ascii")
    bundle.process(oomScoreAdj=-900).args("cat", "/proc/self/oom_score_adj")
    result = bundle.run().check()
    assert result.out == own
    assert f"the OOM score stays {own.strip()}" in result.err


def test_the_io_priority(bundle: Bundle) -> None:
    bundle.process(ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0})
    bundle.run().check()


def test_the_scheduler(bundle: Bundle, ours: None) -> None:
    bundle.process(scheduler={"policy": "SCHED_BATCH", "nice": 5})
    text = bundle.output("cat", "/proc/self/stat")
    fields = text.rpartition(")")[2].split()
    assert (fields[16], fields[38]) == ("5", "3")  # nice, policy; proc(5) counts from 3


def test_personality(bundle: Bundle) -> None:
    bundle.linux(personality={"domain": "LINUX32"})
    assert bundle.output("uname").split()[-1] in ("i686", "armv8l", "armv7l")


def test_pid_1_of_a_session_of_its_own(bundle: Bundle) -> None:
    assert bundle.output("session") == "pid 1 session 1 group 1"


def test_nothing_of_the_host_is_ignored(bundle: Bundle) -> None:
    bundle.args("cat", "/proc/self/status").write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    script = "trap '' INT HUP PIPE; exec \"$@\""
    status = bundle.account.run("sh", "-c", script, "sh", *words).check().out
    assert int(field(status, "SigBlk"), 16) == 0
    assert int(field(status, "SigIgn"), 16) == 0


FILTER = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
    "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 117}],
}


@pytest.mark.parametrize("no_new_privs", [True, False])
def test_seccomp(bundle: Bundle, no_new_privs: bool) -> None:
    bundle.process(noNewPrivileges=no_new_privs).linux(seccomp=FILTER)
    result = bundle.args("getpgid").run()
    assert result.status == 1
    assert "Structure needs cleaning" in result.err


def test_without_the_filter_the_call_works(bundle: Bundle) -> None:
    assert bundle.output("getpgid") == "allowed"


def test_every_set_is_kept_for_root(bundle: Bundle) -> None:
    bundle.process(capabilities=dict.fromkeys(("bounding", "effective", "permitted"), ALL_CAPS))
    status = bundle.output("cat", "/proc/self/status")
    assert field(status, "CapEff") == field(status, "CapBnd")


@pytest.mark.skipif(not os.path.exists("/proc/self/numa_maps"), reason="a kernel without NUMA")
@not_on(
    "crun", "1.8 is older than linux.memoryPolicy, and ignores it; 1.28 does not say which nodes"
)
def test_a_memory_policy(bundle: Bundle) -> None:
    bundle.linux(memoryPolicy={"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]})
    assert " bind=static:0 " in bundle.output("cat", "/proc/self/numa_maps")
    bundle.linux(memoryPolicy={"mode": "MPOL_INTERLEAVE", "nodes": "1000"})
    assert 'the nodes "1000": invalid argument' in bundle.run().err


@pytest.mark.parametrize(
    "account", ["root"], indirect=True
)  # a user's container cannot drop them anyway
def test_the_callers_groups_are_kept_on_request(bundle: Bundle) -> None:
    """As podman asks for it with `--group-add keep-groups`."""
    groups = os.getgroups()
    bundle.config["annotations"] = {"run.oci.keep_original_groups": "1"}
    os.setgroups([1, 2, 3])
    try:
        status = bundle.output("cat", "/proc/self/status")
    finally:
        os.setgroups(groups)
    assert field(status, "Groups").split() == ["1", "2", "3"]
