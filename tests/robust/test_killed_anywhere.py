"""kill -9 of the shim's processes before any system call: ps tells the truth, rm -f cleans up, nothing is left."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from robust.conftest import NO_NETWORK, end, rounds, stat_of
from waiting import wait_for

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)
LIVES = (*NO_NETWORK, "busybox", "sleep", "1000")
# Of Python, and of each of the shim's processes from its exec to the container's.
CALLS = (
    "clone3", "clone,fork,vfork", "execve,execveat", "socketpair", "sendmsg", "recvmsg", "poll,ppoll",
    "mount", "move_mount", "open_tree", "openat2", "mkdirat", "mknodat", "pivot_root", "umount2",
    "setns", "setresuid", "setgroups", "capset", "seccomp", "prctl", "rename", "unlink,unlinkat",
    "write", "wait4", "bind", "listen", "signalfd4", "close_range", "flock", "symlink", "mkdir", "kill",
    "pidfd_open", "memfd_create", "sendfile", "fchownat", "setrlimit,prlimit64", "rmdir", "fsync,fdatasync",
)  # fmt: skip


def verbs(name):
    return [
        ("run", "-d", "--name", name, *LIVES),
        ("run", "-d", "--rm", "--name", name, *LIVES),
        ("run", "--rm", "--name", name, *NO_NETWORK, "busybox", "true"),
        ("run", "--name", name, "--init", *NO_NETWORK, "busybox", "true"),
        ("create", "--name", name, *LIVES),
        ("start", name),
        ("exec", name, "true"),
        ("exec", "-d", name, "sleep", "1000"),
        ("stop", "-t", "0", name),
        ("rm", "-f", name),
        ("restart", "-t", "0", name),
    ]


@pytest.mark.requires("strace", "root")
def test_killed_before_a_call(rcrun, traces, chance, strace):
    killed = 0
    for _ in range(rounds(15)):
        name = chance.choice(("one", "two"))
        words = chance.choice(verbs(name))
        call, number = chance.choice(CALLS), chance.randint(1, 6)
        what = f"{' '.join(words)}: before {call} {number}"
        rule = (f"trace={call}", f"inject={call}:signal=SIGKILL:when={number}")
        process = subprocess.Popen(
            [*strace(*rule), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**rcrun.account.environ, **rcrun.env}, cwd=rcrun.account.home,
        )  # fmt: skip
        try:
            # strace goes on as long as a container does that it follows
            process.wait(0.8)
        except subprocess.TimeoutExpired:
            wait_for(lambda tracer=process: tracer.poll() is not None or has_begun(tracer.pid))
            process.kill()  # the kernel lets go of them
        errors = process.communicate(timeout=60)[1].decode(errors="replace")
        killed += process.returncode in (137, -9)
        assert "bug in" not in errors, f"{what}: {errors}"
        traces.check_truth()
        if chance.random() < 0.4:
            traces.clean()
            traces.check_nothing_left()
    traces.clean()
    traces.check_nothing_left()
    print(f"{killed} commands were killed, and so many more of the shim's processes")
    assert killed or rounds(0) < 100, "strace kills nobody"
    rcrun("run", "--rm", *NO_NETWORK, "busybox", "true").check()


def has_begun(pid):
    """Whether strace traces something. Until then its child waits for it, and would go on doing so."""
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if f"\nTracerPid:\t{pid}\n" in text and not text.startswith("Name:\tstrace\n"):
            return True
    return False


@only_user
@pytest.mark.requires("network")
def test_killed_at_random_moments_with_a_network(rcrun, traces, chance):
    """The client, the monitor, the network's process or the init, while things go on."""
    for _ in range(rounds(12)):
        words = chance.choice(
            [
                ("run", "-d", "--name", "web", "busybox", "sleep", "1000"),
                ("run", "-d", "--rm", "--name", "web", "busybox", "sleep", "1000"),
                ("run", "--rm", "--name", "web", "busybox", "sleep", "0.1"),
                ("stop", "-t", "0", "web"),
                ("start", "web"),
                ("rm", "-f", "web"),
            ]
        )
        process = rcrun.popen(
            *words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(chance.random() * 0.15)
        victims = [pid for pid in traces.processes() if pid not in traces.before]
        for pid in victims:
            if chance.random() < 0.4:
                end(pid)
        errors = process.communicate(timeout=60)[1].decode(errors="replace")
        assert "bug in" not in errors, f"{words}: {errors}"
        traces.check_truth()
    traces.clean()
    traces.check_nothing_left()


@only_user
@pytest.mark.parametrize("victim", ["rcrun:mon", "sleep", "rcrun:init"])
@pytest.mark.parametrize("options", [(), ("--rm",), ("--init",)])
def test_one_process_killed(rcrun, traces, victim, options):
    rcrun("run", "-d", *options, "--name", "web", *LIVES).check()
    pids = [
        pid
        for pid, name in traces.processes().items()
        if name == victim and pid not in traces.before
    ]
    for pid in pids:
        end(pid)
    wait_for(lambda: not pids or rcrun("ps", "-q").check().out == "")
    traces.check_truth()
    assert rcrun("rm", "-f", "web").check().err == ""
    traces.clean()
    traces.check_nothing_left()


@only_user
def test_the_foreground_client_killed(rcrun, traces):
    """The container goes on, as docker's does; with --rm it goes when it ends."""
    process = rcrun.popen(
        "run", "--rm", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c",
        "echo ready; while ! test -e /go; do sleep 0.05; done",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    assert traces.check_truth() == {"web": "running"}
    rcrun("exec", "web", "touch", "/go")
    traces.check_nothing_left()


@only_user
def test_stopped_monitor_blocks_nobody_for_ever(rcrun, traces):
    """SIGSTOP of a monitor: ps and inspect go on; rm -f says so, or kills."""
    import signal

    rcrun("run", "-d", "--name", "web", *LIVES).check()
    monitor = int(rcrun("inspect", "-f", "{{.State.ConmonPid}}", "web").out)
    os.kill(monitor, signal.SIGSTOP)
    try:
        wait_for(lambda: stat_of(monitor)[1] == "T")
        for words in (("ps",), ("inspect", "web"), ("exec", "web", "true"), ("logs", "web")):
            rcrun(*words, timeout=60).check()
    finally:
        os.kill(monitor, signal.SIGCONT)
    rcrun("rm", "-f", "web").check()
    traces.check_nothing_left()
