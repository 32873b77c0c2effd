"""Steps that set what the process is, and the ones that end a plan."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shim.plans import PATH, PROC, Outcome, Shim, fails

pytestmark = pytest.mark.requires("userns")
AS_ROOT = pytest.mark.parametrize("account", ["root"], indirect=True)
AS_USER = pytest.mark.parametrize("account", ["user"], indirect=True)
ALL = f"{(1 << 41) - 1:x}"


def status_of(outcome: Outcome) -> dict[str, str]:
    """The lines of /proc/self/status."""
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in outcome.out.splitlines())
    }


STATUS = "cat /proc/self/status"


# ---- names, network, sysctls


def test_names(shim: Shim) -> None:
    outcome = shim.sh(
        "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname",
        ["hostname", "box"],
        ["domainname", "example"],
        before=[PROC],
        types="mount,pid,uts",
    )
    assert outcome.out.split() == ["box", "example"]


def test_a_name_that_is_too_long(shim: Shim) -> None:
    long = ["hostname", "x" * 65]
    assert fails(shim, long, types="mount,pid,uts") == ("sethostname", "EINVAL", 0)


@AS_USER
def test_the_hosts_name_is_not_ours(shim: Shim) -> None:
    assert fails(shim, ["hostname", "box"]) == ("sethostname", "EPERM", 0)
    assert fails(shim, ["domainname", "box"]) == ("setdomainname", "EPERM", 0)


def test_loopback(shim: Shim) -> None:
    seen = shim.sh("ifconfig lo", ["loopback"], before=[PROC], types="mount,pid,network")
    assert "UP LOOPBACK RUNNING" in seen.out


@AS_USER
def test_loopback_of_the_host(shim: Shim) -> None:
    assert fails(shim, ["loopback"]) == ("ioctl", "EPERM", 0)


def test_sysctl(shim: Shim) -> None:
    outcome = shim.sh(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced",
        ["sysctl", "net/ipv4/ip_forward", "1"],
        ["sysctl", "kernel/shm_rmid_forced", "1"],
        before=[PROC],
        types="mount,pid,network,ipc",
    )
    assert outcome.out.split() == ["1", "1"]


def test_sysctl_fails(shim: Shim) -> None:
    assert fails(shim, ["sysctl", "no/such", "1"]) == ("openat2", "ENOENT", 1)
    bad = ["sysctl", "net/ipv4/ip_forward", "word"]
    assert fails(shim, bad, types="mount,pid,network") == ("write", "EINVAL", 1)


def test_sysctl_through_something_else(shim: Shim) -> None:
    (shim.root / "proc/sys").mkdir()
    (shim.root / "proc/sys/x").write_text("")
    outcome = shim.run(shim.plan(["sysctl", "x", "1"]))
    assert outcome.failure[1:] == ("open", "EXDEV", 1)
    (shim.dir / "target").write_text("kept")
    (shim.root / "file").write_text("")
    record = ["bind", str(shim.dir / "target"), "/proc/sys/kernel/hostname", ""]
    outcome = shim.run(shim.plan(["sysctl", "kernel/hostname", "x"], before=[PROC, record]))
    assert outcome.failure[1:] == ("openat2", "EXDEV", 1)
    assert (shim.dir / "target").read_text() == "kept"


# ---- limits and scheduling


def test_rlimit(shim: Shim) -> None:
    outcome = shim.sh(
        "ulimit -n; ulimit -Hn; ulimit -c",
        ["rlimit", "RLIMIT_NOFILE", "100", "200"],
        ["rlimit", "RLIMIT_CORE", "0", "0"],
    )
    assert outcome.out.split() == ["100", "200", "0"]


def test_rlimit_fails(shim: Shim) -> None:
    assert fails(shim, ["rlimit", "RLIMIT_ODD", "1", "1"]) == ("setrlimit", "EINVAL", 1)
    assert fails(shim, ["rlimit", "RLIMIT_NOFILE", "2", "1"]) == ("setrlimit", "EINVAL", 1)


def test_scheduling(shim: Shim) -> None:
    script = (
        "import os; print(os.getpriority(0, 0), os.sched_getscheduler(0), os.sched_getaffinity(0))"
    )
    plan = shim.work(
        ["nice", "5"],
        ["scheduler", "SCHED_BATCH", "7", "0", "0", "0", "0", "0"],
        ["io-priority", "IOPRIO_CLASS_IDLE", "0"],
        ["affinity", "0"],
        ["exec", "/usr/bin/python3", "-c", script],
    )
    assert shim.run(plan).out == "7 3 {0}\n"


def test_scheduling_fails(shim: Shim) -> None:
    odd = ["scheduler", "SCHED_ODD", "0", "0", "0", "0", "0", "0"]
    assert fails(shim, odd)[1] == "EINVAL"
    assert fails(shim, ["io-priority", "IOPRIO_CLASS_ODD", "0"]) == ("ioprio_set", "EINVAL", 1)
    for cpus in ("0-", "x", "1,,2", "99999", "3-1", "0;1"):
        assert fails(shim, ["affinity", cpus])[:2] == ("sched_setaffinity", "EINVAL"), cpus


def test_process_values(shim: Shim) -> None:
    outcome = shim.sh(
        "umask; cat /proc/self/oom_score_adj /proc/self/personality; touch /tmp/x; stat -c %a /tmp/x",
        ["umask", "027"],
        ["oom-score", "500"],
        ["personality", "8"],
        ["keyring", "test"],
        before=[PROC],
    )
    assert outcome.out.split() == ["0027", "500", "00000008", "640"]


def test_oom_score_needs_proc(shim: Shim) -> None:
    plan = shim.plan(["oom-score", "1"])
    assert shim.run(plan).failure[1:3] == ("open", "EXDEV")


def test_labels_of_modules_that_are_not_there(shim: Shim) -> None:
    if os.path.exists("/sys/kernel/security/apparmor"):
        pytest.skip("AppArmor is on")
    assert fails(shim, ["apparmor", "profile"])[1] in ("EINVAL", "ENOENT")
    assert fails(shim, ["label", "exec", "a:b:c"])[1] in ("EINVAL", "ENOENT")


# ---- rights


def test_no_new_privs(shim: Shim) -> None:
    seen = status_of(shim.sh(STATUS, ["no-new-privs"], before=[PROC]))
    assert seen["NoNewPrivs"] == "1"
    assert status_of(shim.sh(STATUS, before=[PROC]))["NoNewPrivs"] == "0"


def test_capabilities(shim: Shim) -> None:
    masks = ["ff", "3f", "5", "3f", "1"]
    seen = status_of(shim.sh(STATUS, ["capabilities", *masks], before=[PROC]))
    # an exec as root of the namespace gains what is in the bounding or the inheritable set
    assert int(seen["CapBnd"], 16) == 0xFF
    assert int(seen["CapPrm"], 16) == 0xFF
    assert int(seen["CapInh"], 16) == 0x5


@AS_ROOT
def test_capabilities_of_a_user(shim: Shim) -> None:
    steps = (["user", "1000", "1001", "7", "8"], ["capabilities", "ff", "3f", "5", "3f", "1"])
    seen = status_of(shim.sh(STATUS, *steps, before=[PROC]))
    assert seen["Uid"].split() == ["1000"] * 4
    assert seen["Gid"].split() == ["1001"] * 4
    assert seen["Groups"] == "7 8"
    sets = [int(seen[name], 16) for name in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb")]
    assert sets == [0xFF, 1, 1, 5, 1]


def test_capabilities_that_cannot_be_are_left_out(shim: Shim) -> None:
    """Ambient ones that are not inheritable, and what is not held any more."""
    ambient = ["capabilities", "ff", "3", "1", "3", "3"]
    assert int(status_of(shim.sh(STATUS, ambient, before=[PROC]))["CapAmb"], 16) == 1
    less, more = (
        ["capabilities", "1", "1", "0", "1", "0"],
        ["capabilities", "1", "3", "3", "3", "0"],
    )
    seen = status_of(shim.sh(STATUS, less, more, before=[PROC]))
    assert [int(seen[name], 16) for name in ("CapPrm", "CapEff", "CapInh")] == [1, 1, 1]


@AS_USER
def test_a_user_that_is_not_mapped(shim: Shim) -> None:
    assert fails(shim, ["user", "5", "0"]) == ("setresuid", "EINVAL", 1)
    assert fails(shim, ["user", "0", "5"]) == ("setresgid", "EINVAL", 2)


@AS_USER
def test_groups_stay_where_they_cannot_be_set(shim: Shim) -> None:
    assert shim.sh("id -u", ["user", "0", "0"]).out == "0\n"


@AS_ROOT
def test_the_streams_are_the_users(shim: Shim) -> None:
    script = "id -u; echo again >/proc/self/fd/1; stat -c %u /proc/self/fd/0"
    before = os.stat("/dev/null")
    outcome = shim.sh(script, ["user", "1000", "1000"], before=[PROC], input="text")
    assert outcome.out.split() == ["1000", "again", "1000"]
    monitored = shim.plan(["user", "1000", "1000"], settings=[["monitor"]])
    assert shim.run(monitored).report is None
    after = os.stat("/dev/null")
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


# ---- time


@pytest.mark.parametrize("init", [False, True])
def test_time_namespace(shim: Shim, init: bool) -> None:
    if not Path("/proc/self/timens_offsets").exists():
        pytest.skip("this kernel has no time namespaces")
    offsets = [["time-offset", "boottime", "1000000", "0"], ["time-offset", "monotonic", "5", "7"]]
    plan = shim.plan(
        before=[PROC],
        types="mount,pid,time",
        end=[PATH, *([["init"]] if init else []), ["exec", "cat", "/proc/uptime"]],
    )
    at = next(index for index, record in enumerate(plan) if record[0] == "propagation")
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    outcome = shim.run([*plan[:at], *offsets, *plan[at:]])
    assert outcome.report is None, repr(outcome)
    assert float(outcome.out.split()[0]) > uptime + 999_000
    wrong = shim.run([*plan[:at], ["time-offset", "odd", "1", "0"], *plan[at:]])
    assert wrong.failure == (at, "dprintf", "EINVAL", 0)
