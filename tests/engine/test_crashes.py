"""kill -9 of client, monitor and Python at random points: the next command tells the truth, rm -f cleans up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from waiting import wait_for

ROUNDS = 40
NAMES = ("one", "two", "three")
LIVES = ("--network", "none", "busybox", "sleep", "1000")
ENDS = ("--network", "none", "busybox", "sh", "-c", "echo x")


def verbs(name):
    return [
        ("run", "-d", "--name", name, *LIVES),
        ("run", "-d", "--rm", "--name", name, *LIVES),
        ("run", "--name", name, *ENDS),
        ("run", "--rm", "--name", name, *ENDS),
        ("create", "--name", name, *LIVES),
        ("start", name),
        ("stop", "-t", "0", name),
        ("rm", "-f", name),
        ("rename", name, f"{name}x"),
        ("exec", name, "true"),
        ("kill", name),
    ]


def processes_of(rcrun):
    """pid and name of everything that this test's rcrun started, and that is no zombie.

    Its environment or arguments name the store; what runs in a container has files of the store mounted.
    """
    mark = str(rcrun.store_dir.parent).rpartition("/rcrun-tests-")[2].encode()
    return {
        int(pid): name
        for pid in filter(str.isdigit, os.listdir("/proc"))
        if (name := running_name(pid)) and mark in traces(pid)
    }


def traces(pid):
    found = b""
    for file in ("environ", "cmdline", "mountinfo"):
        try:
            found += Path(f"/proc/{pid}/{file}").read_bytes()
        except OSError:
            continue
    return found


def running_name(pid):
    """Empty for a zombie and for what is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return "" if rest.split()[0] in "ZX" else name


def kill_somebody(chance, rcrun, process, what):
    if what == "client":
        process.kill()
    elif what == "monitor":
        for pid, name in processes_of(rcrun).items():
            if name.startswith("rcrun") and pid != os.getpid() and chance.random() < 0.5:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def check_truth(rcrun):
    """Whatever is shown as running runs; everything shown can be inspected."""
    form = "{{.ID}} {{.State}} {{.Pid}}"
    for line in rcrun("ps", "-a", "--no-trunc", "--format", form).check().out.splitlines():
        container_id, state, pid = line.split()
        until = time.monotonic() + 60
        while state == "running" and not running_name(pid):
            assert time.monotonic() < until, f"{container_id} is shown as running"
            got = rcrun("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", container_id)
            state, pid = [*got.out.split(), "gone", "0"][:2]


def is_left(rcrun):
    left = []
    for folder in ("containers", "names", "trash"):
        names = rcrun.account.run("ls", "-A", f"{rcrun.store_dir}/{folder}").out.split()
        left += [f"{folder}/{name}" for name in names]
    live = rcrun.account.run(
        "ls", "-A", f"{rcrun.account.runtime_dir}/rcrun/containers"
    ).out.split()
    mounts = [
        line
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if str(rcrun.store_dir) in line
    ]
    return [*left, *[f"live/{name}" for name in live], *mounts]


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_killed_at_random_points(rcrun):
    seed = int(os.environ.get("RCRUN_SEED") or random.randrange(1_000_000))
    print(f"RCRUN_SEED={seed}")
    chance = random.Random(seed)
    before = set(processes_of(rcrun))
    for _ in range(ROUNDS):
        words = chance.choice(verbs(chance.choice(NAMES)))
        process = rcrun.popen(
            *words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        what = chance.choice(["client", "client", "monitor", "nobody"])
        time.sleep(chance.random() * 0.08)
        kill_somebody(chance, rcrun, process, what)
        errors = process.communicate(timeout=60)[1].decode()
        assert "bug" not in errors, f"{words}, {what} killed: {errors}"
        check_truth(rcrun)
    names = rcrun("ps", "-aq").check().out.split()
    if names:
        rcrun("rm", "-f", *names).check()
    for name in rcrun.account.run("ls", f"{rcrun.store_dir}/containers").out.split():
        rcrun.account.run("touch", "-d", "@0", f"{rcrun.store_dir}/containers/{name}").check()
    rcrun("container", "prune", "-f").check()
    until = time.monotonic() + 60
    while (left := is_left(rcrun)) or set(processes_of(rcrun)) - before:
        assert time.monotonic() < until, (left, processes_of(rcrun))
        time.sleep(0.1)


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_killed_monitor_is_told_from_a_container_that_ended(rcrun):
    rcrun("run", "-d", "--name", "web", *LIVES).check()
    monitor = int(rcrun("inspect", "-f", "{{.State.ConmonPid}}", "web").out)
    init = int(rcrun("inspect", "-f", "{{.State.Pid}}", "web").out)
    assert {"rcrun:mon", "sleep"} <= set(
        processes_of(rcrun).values()
    )  # else the tests here see nothing
    os.kill(monitor, signal.SIGKILL)
    wait_for(lambda: not running_name(init))
    state = rcrun("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web").check().out
    assert state == "exited 137\n"
    assert rcrun("rm", "-f", "web").check().out == "web\n"
    assert not running_name(init)


@pytest.mark.requires("pasta")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_killed_monitor_leaves_no_network_process_after_rm(rcrun):
    rcrun("run", "-d", "--name", "web", "busybox", "sleep", "1000").check()
    monitor = int(rcrun("inspect", "-f", "{{.State.ConmonPid}}", "web").out)
    os.kill(monitor, signal.SIGKILL)
    rcrun("rm", "-f", "web").check()
    wait_for(lambda: not any(name.startswith("pasta") for name in processes_of(rcrun).values()))
