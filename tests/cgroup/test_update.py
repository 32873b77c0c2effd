"""Limits that a container is made with, or that `update` gives it: in the files of its cgroup, now and after the next start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import DelegatedAccount

pytestmark = pytest.mark.requires("userns", "overlay", "subids", "cgroup-limits")
NO_NETWORK = ("--network", "none")


@pytest.fixture
def rcrun(delegated_rcrun: Callable) -> Callable:
    return delegated_rcrun


def up(rcrun, *words: str) -> str:
    options = ("--stop-signal", "KILL", *NO_NETWORK)
    return rcrun("run", "-d", *options, *words, "busybox", "sleep", "100").check().out.strip()


def limits(rcrun, container: str, *names: str) -> list[str]:
    path = rcrun("inspect", "-f", "{{.State.CgroupPath}}", container).check().out.strip()
    folder = Path("/sys/fs/cgroup", path.lstrip("/"))
    return [(folder / name).read_text(encoding="ascii").strip() for name in names]


def test_update_counts_at_once_and_at_the_next_start(rcrun) -> None:
    name = up(rcrun, "--memory", "64m", "--pids-limit", "50")
    assert limits(rcrun, name, "memory.max", "pids.max") == ["67108864", "50"]
    words = ("--memory", "32m", "--cpus", "0.5", "--pids-limit", "77")
    assert rcrun("update", *words, name).check().out.strip() == name
    wanted = ["33554432", "50000 100000", "77"]
    assert limits(rcrun, name, "memory.max", "cpu.max", "pids.max") == wanted
    rcrun("restart", "-t", "0", name).check()
    assert limits(rcrun, name, "memory.max", "cpu.max", "pids.max") == wanted
    rcrun("update", "--pids-limit", "-1", name).check()
    assert limits(rcrun, name, "memory.max", "pids.max") == ["33554432", "max"]
    form = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}"
    assert rcrun("inspect", "-f", form, name).check().out.split() == ["33554432", "500000000"]


def test_update_of_one_that_does_not_run(rcrun) -> None:
    rcrun(
        "create", "--name", "later", "--stop-signal", "KILL", *NO_NETWORK, "busybox", "sleep", "100"
    ).check()
    rcrun("update", "-m", "40m", "--cpu-shares", "512", "later").check()
    rcrun("start", "later").check()
    assert limits(rcrun, "later", "memory.max") == ["41943040"]
    assert int(limits(rcrun, "later", "cpu.weight")[0]) < 100


def test_update_of_what_the_kernel_refuses_changes_nothing(rcrun) -> None:
    name = up(rcrun, "--memory", "64m", "--memory-swap", "64m")
    refused = rcrun("update", "--memory", "128m", name)
    assert refused.status == 1
    assert "is more than the limit of memory and swap together" in refused.err
    assert limits(rcrun, name, "memory.max") == ["67108864"]
    rcrun("update", "--memory", "128m", "--memory-swap", "128m", name).check()
    assert limits(rcrun, name, "memory.max") == ["134217728"]


def test_files_of_the_cgroup_and_its_place(rcrun, delegated_account: DelegatedAccount) -> None:
    parent = f"/{delegated_account.group}/mine"
    name = up(rcrun, "--cgroup-conf", "memory.high=50000000", "--cgroup-parent", parent)
    assert limits(rcrun, name, "memory.high") == ["49999872"]
    path = rcrun("inspect", "-f", "{{.State.CgroupPath}}", name).check().out.strip()
    assert path == f"{parent}/rcrun-{name}.scope"
    rcrun("rm", "-f", name).check()
    delegated_account.prepare("rmdir", f"/sys/fs/cgroup{parent}")


def test_no_cgroup_of_its_own(rcrun) -> None:
    name = up(rcrun, "--cgroups", "disabled")
    assert rcrun("inspect", "-f", "{{.State.CgroupPath}}", name).check().out.strip() == ""
    refused = rcrun("update", "--memory", "64m", name)
    assert refused.status == 1
    assert "runs without a cgroup of its own" in refused.err
    assert "delegate.conf" in refused.err


def test_block_devices(rcrun) -> None:
    devices = [row.split() for row in Path("/proc/partitions").read_text().splitlines()[2:]]
    major, minor, _, device = devices[0]
    name = up(rcrun, "--device-read-bps", f"/dev/{device}:1m")
    assert limits(rcrun, name, "io.max") == [
        f"{major}:{minor} rbps=1048576 wbps=max riops=max wiops=max"
    ]
    rcrun("update", "--device-write-iops", f"/dev/{device}:100", name).check()
    assert "wiops=100" in limits(rcrun, name, "io.max")[0]
