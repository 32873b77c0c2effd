"""A container's own cgroup where a subtree is delegated: made, used, and gone afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts import DelegatedAccount
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "subids")
NO_NETWORK = ("--network", "none")
COUNTER = "n=0; while :; do n=$((n+1)); echo $n >/count; sleep 0.02; done"


@pytest.fixture
def no_group_is_left(delegated_account: DelegatedAccount) -> Iterator[None]:
    yield
    wait_for(lambda: delegated_account.groups_left() == [])


@pytest.fixture
def rcrun(no_group_is_left: None, delegated_rcrun: Callable) -> Callable:
    """Runs in the subtree; afterwards, when its store is clean again, no group is left in it."""
    return delegated_rcrun


@pytest.fixture
def start(rcrun) -> Callable[..., str]:
    def run(*words: str) -> str:
        return rcrun("run", "-d", *NO_NETWORK, *words).check().out.strip()

    return run


def state(rcrun, container: str, field: str) -> str:
    return rcrun("inspect", "-f", "{{.State." + field + "}}", container).check().out.strip()


def group_of(pid: int) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""


def test_a_container_has_its_own_group(rcrun) -> None:
    inside = rcrun("run", "--rm", "busybox", "cat", "/proc/self/cgroup").check().out
    # Its own cgroup namespace: the group is the root of what it sees.
    assert "0::/\n" in inside


def test_a_detached_one_too(rcrun, start, delegated_account: DelegatedAccount) -> None:
    name = start("busybox", "sleep", "1000")
    assert delegated_account.groups_left() == [f"./rcrun-{name}.scope"]
    path = delegated_account.container_group(name)
    assert state(rcrun, name, "CgroupPath") == path
    assert group_of(int(state(rcrun, name, "Pid"))).endswith(path)
    rcrun("stop", "-t", "0", name).check()
    assert delegated_account.groups_left() == []
    rcrun("start", name).check()
    assert delegated_account.groups_left() == [f"./rcrun-{name}.scope"]


def test_exec_joins_it(rcrun, start) -> None:
    name = start("busybox", "sleep", "1000")
    rcrun("exec", "-d", name, "sleep", "61").check()
    own = group_of(int(state(rcrun, name, "Pid")))
    pids = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if is_sleep(pid, "61")]
    assert [group_of(int(pid)) for pid in pids] == [own]


def is_sleep(pid: str, seconds: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == f"sleep\0{seconds}\0".encode()
    except OSError:
        return False


def test_what_is_left_in_it_ends_with_the_container(rcrun, start) -> None:
    """Without a pid namespace of its own nothing else would end them."""
    name = start("--pid", "host", "busybox", "sh", "-c", "sleep 62 & wait")
    wait_for(lambda: any(is_sleep(pid, "62") for pid in filter(str.isdigit, os.listdir("/proc"))))
    rcrun("kill", name).check()
    wait_for(
        lambda: not any(is_sleep(pid, "62") for pid in filter(str.isdigit, os.listdir("/proc")))
    )


@pytest.mark.parametrize("end", [("rm", "-f"), ("start",)])
def test_the_monitor_was_killed(rcrun, start, delegated_account: DelegatedAccount, end) -> None:
    name = start("busybox", "sleep", "1000")
    monitor = int(state(rcrun, name, "ConmonPid"))
    assert monitor > 1
    os.kill(monitor, signal.SIGKILL)
    wait_for(lambda: state(rcrun, name, "Running") == "false")
    by_systemd = delegated_account.kind == "systemd"  # whose scope ends with its processes
    left = [] if by_systemd else [f"./rcrun-{name}.scope"]
    wait_for(lambda: delegated_account.groups_left() == left)
    rcrun(*end, name).check()
    expected = [] if end[0] == "rm" else [f"./rcrun-{name}.scope"]
    assert delegated_account.groups_left() == expected


def test_a_start_that_fails_leaves_no_group(rcrun, delegated_account: DelegatedAccount) -> None:
    assert rcrun("run", *NO_NETWORK, "busybox", "/no/such/program").status == 127
    assert rcrun("run", "-d", *NO_NETWORK, "busybox", "/no/such/program").status == 127
    assert delegated_account.groups_left() == []


def test_pause(rcrun, start) -> None:
    name = start("busybox", "sh", "-c", COUNTER)
    count = ("exec", name, "cat", "/count")
    wait_for(lambda: rcrun(*count).status == 0)
    rcrun("pause", name).check()
    assert state(rcrun, name, "Status") == "paused"
    assert "(Paused)" in rcrun("ps").check().out
    got = rcrun(*count)
    assert got.status == 1
    assert got.err == (
        f"rcrun: error: container {name} is paused\nhint: rcrun unpause "
        f"{rcrun('inspect', '-f', '{{.Name}}', name).out.strip().removeprefix('/')}\n"
    )
    assert "it is paused" in rcrun("pause", name).err
    rcrun("unpause", name).check()
    before = rcrun(*count).check().out
    wait_for(lambda: rcrun(*count).out != before)
    assert "it is running" in rcrun("unpause", name).err


def test_a_paused_container_stops_and_goes(rcrun, start) -> None:
    stopping = start(
        "busybox", "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done"
    )
    wait_for(lambda: rcrun("logs", stopping).out == "up\n")
    going = start("busybox", "sleep", "1000")
    rcrun("pause", stopping, going).check()
    rcrun("stop", stopping).check()
    assert state(rcrun, stopping, "ExitCode") == "7"
    rcrun("rm", "-f", going).check()


@pytest.mark.requires("cgroup-limits")
def test_limits_are_set_before_the_start(rcrun, start, delegated_account: DelegatedAccount) -> None:
    limits = ("--memory", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "20")
    name = start(*limits, "busybox", "sleep", "1000")
    group = Path(f"/sys/fs/cgroup{delegated_account.container_group(name)}")
    found = {
        file: (group / file).read_text(encoding="ascii").strip()
        for file in ("memory.max", "memory.swap.max", "cpu.max", "pids.max")
    }
    assert found == {
        "memory.max": "67108864",
        "memory.swap.max": "33554432",
        "cpu.max": "50000 100000",
        "pids.max": "20",
    }


@pytest.mark.requires("cgroup-limits")
def test_who_was_ended_by_the_oom_killer_is_told(rcrun, start) -> None:
    """The only process that is over the limit, and nobody else."""
    neighbour = start("busybox", "sleep", "1000")
    hog = start(
        *("--memory", "24m", "--memory-swap", "24m"),
        *("busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"),
    )
    wait_for(lambda: state(rcrun, hog, "Status") == "exited")
    assert (state(rcrun, hog, "OOMKilled"), state(rcrun, hog, "ExitCode")) == ("true", "137")
    assert state(rcrun, neighbour, "Running") == "true"
    rcrun("kill", neighbour).check()
    wait_for(lambda: state(rcrun, neighbour, "Status") == "exited")
    assert state(rcrun, neighbour, "OOMKilled") == "false"


def test_a_limit_that_cannot_be_set_names_the_controller(
    rcrun, delegated_account: DelegatedAccount
) -> None:
    script = 'cat "/sys/fs/cgroup/$0/cgroup.controllers"'
    given = delegated_account.run("sh", "-c", script, delegated_account.group).check().out.split()
    limits = {"memory": ("--memory", "64m"), "cpuset": ("--cpuset-cpus", "0")}
    lacking = [name for name in limits if name not in given]
    if not lacking:
        pytest.skip("the host has every controller")
    got = rcrun("run", "--rm", *NO_NETWORK, *limits[lacking[0]], "busybox", "true")
    assert got.status == 125
    assert f"controller `{lacking[0]}` is not available" in got.err
    assert delegated_account.groups_left() == []
    assert rcrun("ps", "-aq").out == ""
