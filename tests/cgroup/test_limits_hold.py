"""Limits of the engine that hold, with both drivers; tests/runtime/test_cgroup_limits.py is the same of rcrun-oci."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from waiting import reaches, wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "subids", "cgroup-limits")
BUSY = ("--network", "none", "--stop-signal", "KILL", "busybox", "sh", "-c", "while :; do :; done")


@pytest.fixture
def rcrun(delegated_rcrun: Callable) -> Callable:
    return delegated_rcrun


def group(rcrun: Callable, name: str) -> Path:
    path = rcrun("inspect", "-f", "{{.State.CgroupPath}}", name).check().out.strip()
    return Path(f"/sys/fs/cgroup{path}")


def microseconds(place: Path) -> int:
    return int((place / "cpu.stat").read_text().split()[1])


def used(places: list[Path], seconds: float) -> list[float]:
    """Shares of a processor in the next seconds."""
    begun, before = time.monotonic(), [microseconds(place) for place in places]
    time.sleep(seconds)
    length = time.monotonic() - begun
    after = [microseconds(place) for place in places]
    return [(end - start) / length / 1e6 for start, end in zip(before, after, strict=True)]


def test_processors(rcrun: Callable) -> None:
    """1024 and 256 shares are the weights 100 and 36; a quota while it runs."""
    places = []
    for name, shares in (("one", "1024"), ("other", "256")):
        rcrun("run", "-d", "--name", name, "--cpu-shares", shares, *BUSY).check()
        places.append(group(rcrun, name))
    parts = used(places, 4)
    assert parts[0] / parts[1] == pytest.approx(100 / 36, rel=0.3)
    rcrun("update", "--cpus", "0.25", "one").check()
    if not reaches(0.25, lambda: used(places[:1], 2)[0]):
        wait_for(lambda: "nr_throttled 0\n" not in (places[0] / "cpu.stat").read_text())


def test_a_fork_bomb(rcrun: Callable) -> None:
    """It stops at its limit, or at the one that nobody asked for; who shares the group goes on."""
    rcrun("run", "-d", "--name", "bomb", "--pids-limit", "12", *BUSY[:-1], "sleep 100").check()
    script = "while :; do sleep 100 >/dev/null 2>&1 & done"
    assert "fork" in rcrun("exec", "bomb", "sh", "-c", script).err
    place = group(rcrun, "bomb")
    assert int((place / "pids.current").read_text()) <= 12
    assert "max 0" not in (place / "pids.events").read_text()
    assert rcrun("inspect", "-f", "{{.State.Running}}", "bomb").out == "true\n"
    rcrun("run", "-d", "--name", "calm", *BUSY[:-1], "sleep 100").check()
    assert (group(rcrun, "calm") / "pids.max").read_text() == "2048\n"
    rcrun("run", "-d", "--name", "free", "--pids-limit", "-1", *BUSY[:-1], "sleep 100").check()
    assert (group(rcrun, "free") / "pids.max").read_text() == "max\n"
