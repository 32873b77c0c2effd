"""The last steps: the filter, the directory, the environment, init, exec."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path

import pytest

from shim.plans import PATH, PROC, Shim, fails, memfd

pytestmark = pytest.mark.requires("userns")


# ---- seccomp

LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def refusing(numbers: list[int], error: int, others: int = ALLOW) -> bytes:
    """A filter under which these system calls fail."""
    rows = [(LOAD_NUMBER, 0, 0, 0)]
    for number in numbers:
        rows += [(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | error)]
    return b"".join(struct.pack("<HBBI", *row) for row in (*rows, (RETURN, 0, 0, others)))


def only(numbers: list[int]) -> bytes:
    """A filter under which nothing but these works."""
    rows = [(LOAD_NUMBER, 0, 0, 0)]
    for number in numbers:
        rows += [(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("<HBBI", *row) for row in (*rows, (RETURN, 0, 0, ERRNO | 1)))


X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls of x86-64")
MKDIR, EXECVE, WRITE, EXIT, EXIT_GROUP = 83, 59, 1, 60, 231


@X86
@pytest.mark.parametrize("new_privs", [True, False])
def test_seccomp(shim: Shim, new_privs: bool) -> None:
    fd = memfd(refusing([MKDIR], 7))
    steps = (
        [["seccomp", str(fd), ""]] if new_privs else [["no-new-privs"], ["seccomp", str(fd), ""]]
    )
    outcome = shim.sh("mkdir /x 2>&1; cat /proc/self/status", *steps, before=[PROC], fds=[fd])
    os.close(fd)
    assert "Argument list too long" in outcome.out
    assert "\nSeccomp:\t2\n" in outcome.out


@X86
def test_a_filter_needs_to_allow_only_what_the_program_does(shim: Shim) -> None:
    """Our own last calls come before it is loaded, if anybody may load it."""
    fd = memfd(only([EXECVE, WRITE, EXIT, EXIT_GROUP]))
    plan = shim.plan(
        ["no-new-privs"], ["seccomp", str(fd), ""], ["cwd", "/tmp"], end=[PATH, ["exec", "true"]]
    )
    outcome = shim.run(plan, fds=[fd])
    os.close(fd)
    assert outcome.report is None, repr(outcome)


def test_seccomp_fails(shim: Shim) -> None:
    for content, call, error in (
        (b"", "pread", "EINVAL"),
        (b"1234567", "pread", "EINVAL"),
        (b"\0" * 8 * 4097, "pread", "E2BIG"),
        (b"\xff" * 8, "seccomp", "EINVAL"),
    ):
        fd = memfd(content)
        for steps in ([["seccomp", str(fd), ""]], [["no-new-privs"], ["seccomp", str(fd), ""]]):
            plan = shim.plan(*steps)
            failure = shim.run(plan, fds=[fd]).failure
            assert failure == (plan.index(steps[-1]), call, error, 0)
        os.close(fd)


# ---- directory, environment, exec


def test_cwd(shim: Shim) -> None:
    assert shim.sh("pwd", ["cwd", "/etc"]).out == "/etc\n"
    assert shim.sh("pwd", ["cwd", "/made/deep", "create"]).out == "/made/deep\n"
    assert fails(shim, ["cwd", "/no/where"]) == ("chdir", "ENOENT", 1)
    assert fails(shim, ["cwd", "/etc/motd"]) == ("chdir", "ENOTDIR", 1)


def test_cwd_by_a_magic_link(shim: Shim) -> None:
    (shim.root / "magic").symlink_to("/proc/self/fd/3")
    assert fails(shim, ["cwd", "/proc/self/cwd"])[:2] == ("chdir", "ELOOP")
    assert fails(shim, ["cwd", "/magic"])[1] in ("ELOOP", "ENOENT")


def test_env(shim: Shim) -> None:
    plan = shim.plan(end=[["env", "A=1", "B=x y", "PATH=/bin"], ["exec", "env"]])
    assert shim.run(plan).out == "A=1\nB=x y\nPATH=/bin\n"
    assert shim.run(shim.plan(end=[["env"], ["exec", "/bin/env"]])).out == ""


@pytest.mark.parametrize(
    ("word", "error", "status"),
    [
        ("nothing", "ENOENT", 127),
        ("/bin/nothing", "ENOENT", 127),
        ("", "ENOENT", 127),
        ("/etc", "EISDIR", 126),
        ("/etc/motd", "EACCES", 126),
        ("closed", "EACCES", 126),
        ("/bin/broken", "ENOEXEC", 126),
        ("/bin/interpreted", "ENOENT", 127),
        ("/etc/motd/x", "ENOTDIR", 126),
    ],
)
def test_exec_fails(shim: Shim, word: str, error: str, status: int) -> None:
    (shim.root / "bin/closed").write_text("#!/bin/sh\n")
    (shim.root / "bin/broken").write_text("neither")
    (shim.root / "bin/interpreted").write_text("#!/no/such\n")
    for name in ("broken", "interpreted"):
        (shim.root / "bin" / name).chmod(0o755)
    plan = shim.plan(end=[PATH, ["exec", word]])
    outcome = shim.run(plan)
    assert outcome.failure == (len(plan) - 1, "execve", error, 1)
    assert outcome.status == 125


def test_exec_looks_on(shim: Shim) -> None:
    """A directory, a file that cannot be run, an empty word of PATH: the next directory has it."""
    for place in ("a", "b"):
        (shim.root / place).mkdir()
    (shim.root / "a/tool").mkdir()
    (shim.root / "b/tool").write_text("")
    (shim.root / "bin/tool").symlink_to("true")
    env = ["env", "PATH=::/none:/etc/motd:/a:/b:/bin"]
    assert shim.run(shim.plan(end=[env, ["exec", "tool"]])).report is None


def test_nothing_stays_open(shim: Shim) -> None:
    reader, writer = os.pipe()
    plan = shim.plan(before=[PROC], end=[PATH, ["exec", "ls", "/proc/self/fd"]])
    outcome = shim.run(plan, fds=[reader, writer])
    os.close(reader)
    os.close(writer)
    assert outcome.out.split() == ["0", "1", "2", "3"]  # the last is the directory itself


def test_preserve_fds(shim: Shim) -> None:
    fd = memfd(b"given")
    try:
        count = str(fd - 2)  # from 3 on; the ones before it are not open, which does not matter
        script = f"cat /proc/self/fd/{fd}"
        plan = shim.plan(
            settings=[["preserve-fds", count]],
            before=[PROC],
            end=[PATH, ["exec", "sh", "-c", script]],
        )
        assert shim.run(plan, fds=[fd]).out == "given"
    finally:
        os.close(fd)


def test_exit_statuses(shim: Shim) -> None:
    assert shim.sh("exit 7").status == 7
    assert shim.sh("sh -c 'kill -9 $$'; exit $?").status == 137


# ---- init


def test_init_reaps(shim: Shim) -> None:
    script = "(sleep 0.05 &) ; (sleep 0.05 &); sleep 0.3; cat /proc/[0-9]*/stat | grep -c ' Z ' ; cat /proc/1/comm; echo $$"
    plan = shim.plan(before=[PROC], end=[PATH, ["init"], ["exec", "sh", "-c", script]])
    assert shim.run(plan).out.split() == ["0", "rcrun:init", "2"]


def test_init_ends_as_its_command(shim: Shim) -> None:
    for script, status in (("exit 9", 9), ("kill -9 $$", 137), ("sleep 50 & exit 3", 3)):
        plan = shim.plan(end=[PATH, ["init"], ["exec", "sh", "-c", script]])
        assert shim.run(plan).status == status


def test_init_says_why_exec_failed(shim: Shim) -> None:
    plan = shim.plan(end=[PATH, ["init"], ["exec", "nothing"]])
    assert shim.run(plan).failure == (len(plan) - 1, "execve", "ENOENT", 1)


def test_pause_stays_until_it_is_told_to_end(shim: Shim) -> None:
    """What stands behind `exec` is not run."""
    path = shim.dir / "state"
    end = [["pause"], ["exec", "/nothing"]]
    plan = shim.plan(settings=[["state", str(path)]], before=[PROC], end=end)
    with shim.start(plan) as process:
        until = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < until, "it does not run"
            time.sleep(0.02)
        pid = json.loads(path.read_text())["pid"]
        assert Path(f"/proc/{pid}/comm").read_text() == "rcrun:pause\n"
        process.send_signal(15)
        assert process.wait(30) == 0


def test_init_forwards_signals(shim: Shim) -> None:
    script = "trap 'echo got; exit 4' USR1; echo ready; while :; do sleep 0.05; done"
    plan = shim.plan(end=[PATH, ["init"], ["exec", "sh", "-c", script]])
    with shim.start(plan, stdout=-1) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(10)
        assert process.stdout.read() == b"got\n"
        assert process.wait(10) == 4
