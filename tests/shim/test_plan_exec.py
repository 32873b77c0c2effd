"""`session exec`: a process in a container that runs, or in namespaces that are named."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shim.plans import PATH, PROC, SLEEP, Shim, is_alive, start_of, whole_json
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")
ALL = "user,mount,pid,ipc,uts,network,cgroup,time"


class Target:
    """A container that sleeps."""

    def __init__(self, shim: Shim, *before: list[str]) -> None:
        self.shim = shim
        path = shim.dir / "pid"
        plan = shim.plan(
            ["hostname", "box"],
            settings=[["pid-file", str(path)]],
            before=[PROC, *before],
            types="mount,pid,uts,ipc",
            end=SLEEP,
        )
        self.process = shim.start(plan, stdout=subprocess.DEVNULL)
        self.pid = whole_json(path)
        self.start = start_of(self.pid)  # type: ignore[arg-type]

    def plan(
        self, script: str, *settings: list[str], types: str = ALL, start: int = 0
    ) -> list[list[str]]:
        join = ["join-pid", str(self.pid), str(start or self.start), types]
        head = [["plan", "1"], ["session", "exec"], *settings, join]
        return [*head, ["user", "0", "0"], ["cwd", "/etc"], PATH, ["exec", "sh", "-c", script]]

    def end(self) -> None:
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)  # type: ignore[arg-type]
            self.process.wait()


@pytest.fixture
def target(shim: Shim) -> Iterator[Target]:
    target = Target(shim)
    yield target
    target.end()


def test_exec(shim: Shim, target: Target) -> None:
    script = (
        "cat /proc/sys/kernel/hostname; pwd; id -u; cat motd; ps | grep -c '[s]leep 1000'; exit 3"
    )
    outcome = shim.run(target.plan(script))
    assert outcome.report is None, repr(outcome)
    assert outcome.out.split() == ["box", "/etc", "0", "hello", "1"]
    assert outcome.status == 3
    assert target.process.poll() is None


def test_exec_fails(shim: Shim, target: Target) -> None:
    plan = target.plan("")
    plan[-1] = ["exec", "nothing"]
    assert shim.run(plan).failure == (len(plan) - 1, "execve", "ENOENT", 1)


def test_exec_with_a_monitor(shim: Shim, target: Target) -> None:
    settings = [["monitor"], ["state", str(shim.dir / "state")], ["exit", str(shim.dir / "exit")]]
    assert shim.run(target.plan("exit 7", *settings)).report is None
    assert whole_json(shim.dir / "exit")["exit_code"] == 7
    # a pid of ours, not of the container
    assert whole_json(shim.dir / "state")["pid"] > target.pid  # type: ignore[operator]


def test_a_container_that_has_ended(shim: Shim, target: Target) -> None:
    plan = target.plan("true")
    target.end()
    assert shim.run(plan).failure == (2, "pidfd_open", "ESRCH", 1)


def test_a_container_that_is_not_reaped_yet(shim: Shim, target: Target) -> None:
    plan = target.plan("true")
    os.kill(target.process.pid, signal.SIGSTOP)
    os.kill(target.pid, signal.SIGKILL)  # type: ignore[arg-type]
    wait_for(lambda: not is_alive(target.pid))  # type: ignore[arg-type]
    failure = shim.run(plan).failure
    os.kill(target.process.pid, signal.SIGCONT)
    target.process.wait()
    assert failure is not None
    assert failure[0] == 2
    assert failure[2] in ("ESRCH", "EINVAL", "EPERM", "EACCES")


def test_a_number_that_is_another_process_now(shim: Shim, target: Target) -> None:
    plan = target.plan("echo reached", start=target.start + 1)
    assert shim.run(plan).failure == (2, "pidfd_open", "ESRCH", 1)


def test_named_namespaces(shim: Shim, target: Target) -> None:
    kinds = ["uts", "ipc", *([] if shim.is_root else ["user"])]
    joins = [["join", kind, f"/proc/{target.pid}/ns/{kind}"] for kind in kinds]
    plan = shim.plan(before=[PROC], end=[PATH, ["exec", "cat", "/proc/sys/kernel/hostname"]])
    at = next(index for index, record in enumerate(plan) if record[0] == "propagation")
    plan = [["plan", "1"], ["session", "container"], *joins, ["unshare", "mount,pid"], *plan[at:]]
    assert shim.run(plan).out == "box\n"


def test_a_namespace_that_is_not_there(shim: Shim) -> None:
    plan = shim.plan()
    plan[2:2] = [["join", "uts", "/proc/self/ns/uts"], ["join", "network", "/no/where"]]
    assert shim.run(plan).failure == (3, "open", "ENOENT", 2)
    plan[3] = ["join", "network", "/proc/self/ns/uts"]
    assert shim.run(plan).failure == (3, "setns", "EINVAL", 2)


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_namespaces_of_others(shim: Shim) -> None:
    plan = [
        ["plan", "1"],
        ["session", "exec"],
        ["join-pid", "1", str(start_of(1)), "mount"],
        PATH,
        ["exec", "true"],
    ]
    failure = shim.run(plan).failure
    assert failure is not None
    assert (failure[0], failure[2]) == (2, "EPERM")


def test_the_process_ends_with_the_container(shim: Shim, target: Target) -> None:
    with shim.start(target.plan("echo up; exec sleep 1000"), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        target.end()
        assert process.wait(60) == 137


def test_a_hostile_proc_does_not_hold_exec_up(shim: Shim) -> None:
    """The container's own /proc is not believed and not waited for."""
    (shim.root / "false/self").mkdir(parents=True)
    os.mkfifo(shim.root / "false/self/oom_score_adj")
    target = Target(shim, ["bind", str(shim.root / "false"), "/proc", ""])
    try:
        plan = target.plan("true")
        plan[3:3] = [["oom-score", "10"]]
        assert shim.run(plan, timeout=60).failure == (3, "open", "EXDEV", 0)
        assert shim.run(target.plan("echo fine"), timeout=60).out == "fine\n"
    finally:
        target.end()
    assert Path("/proc/self").exists()
