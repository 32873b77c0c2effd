"""stats of a container that has a cgroup of its own: the kernel's figures."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import DelegatedAccount
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "subids")
NO_NETWORK = ("--network", "none")


@pytest.fixture
def rcrun(delegated_rcrun: Callable) -> Callable:
    return delegated_rcrun


def group(rcrun: Callable, account: DelegatedAccount) -> Path:
    path = rcrun("inspect", "-f", "{{.State.CgroupPath}}", "web").check().out.strip()
    places = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
    return next(place / path[1:] for place in places if (place / path[1:]).is_dir())


def rows(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in map(str.split, path.read_text().splitlines())}


def test_processors(rcrun, delegated_account: DelegatedAccount) -> None:
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c",
          "while :; do (:); done").check()  # fmt: skip
    stat = group(rcrun, delegated_account) / "cpu.stat"
    wait_for(lambda: rows(stat)["usage_usec"] > 300_000)

    def is_told() -> bool:
        before, begun = rows(stat)["usage_usec"], time.monotonic()
        form = "{{.CPUPerc}} {{.CPUNano}} {{.CPUSystemNano}}"
        got = rcrun("stats", "--no-stream", "--format", form, "web").check().out.split()
        after, seconds = rows(stat)["usage_usec"], time.monotonic() - begun
        assert before <= int(got[1]) / 1000 <= after
        assert 0 < int(got[2]) < int(got[1])
        real = (after - before) / seconds / 1e4
        return float(got[0].rstrip("%")) == pytest.approx(real, rel=0.25, abs=8)

    # On a machine that does other things, too, the two spans differ, now and then by much.
    wait_for(is_told)


@pytest.mark.requires("cgroup-limits")
def test_memory_its_limit_and_processes(rcrun, delegated_account: DelegatedAccount) -> None:
    rcrun("run", "-d", "--name", "web", "--memory", "64m", *NO_NETWORK, "busybox", "sh", "-c",
          "dd if=/dev/zero of=/dev/shm/f bs=1M count=20 2>/dev/null; sleep 100 & sleep 100 & wait").check()  # fmt: skip
    place = group(rcrun, delegated_account)
    wait_for(lambda: (place / "pids.current").read_text().strip() == "3")
    form = "{{.MemUsage}} {{.MemPerc}} {{.PIDs}} {{.MemLimit}}"
    usage, _, limit, percent, pids, number = rcrun("stats", "--no-stream", "--format", form, "web").check().out.split()  # fmt: skip
    real = (
        int((place / "memory.current").read_text()) - rows(place / "memory.stat")["inactive_file"]
    )
    shown = float(re.sub("[A-Za-z]+", "", usage)) * (2**20 if "MiB" in usage else 1024)
    assert shown == pytest.approx(real, rel=0.03)
    assert (limit, number, pids) == ("64MiB", str(64 << 20), "3")
    assert float(percent.rstrip("%")) == pytest.approx(100 * real / (64 << 20), rel=0.03)
