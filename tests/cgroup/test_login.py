"""Who has logged in, so that no group is his own: what he limits is in scopes that his systemd makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import Result, user_bus

pytestmark = [
    pytest.mark.requires("userns", "overlay", "subids", "systemd", "cgroup-limits"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def login(rcrun) -> Callable[..., Result]:
    bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={user_bus(rcrun.account.uid)}"}
    return lambda *words: rcrun(*words, env=bus)


def test_doctor_says_what_run_does(login) -> None:
    probes = json.loads(login("doctor", "--json").check().out)["probes"]
    (found,) = [probe["found"] for probe in probes if probe["name"] == "cgroup"]
    assert found.startswith("delegated by systemd")
    shown = login("run", "--rm", "--network", "none", "--memory", "32m", "busybox", "cat", "/sys/fs/cgroup/memory.max")  # fmt: skip
    assert shown.check().out == f"{32 << 20}\n"
    assert not list(Path("/sys/fs/cgroup").rglob("rcrun-doctor-*"))


TWO_STAGES = """
FROM busybox AS one
RUN echo one of $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max) >/one
FROM busybox
RUN echo two of $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max)
COPY --from=one /one /
RUN cat /one
"""
PLACE = """
FROM busybox
RUN cat /proc/self/cgroup
"""
LIMITS = ("--memory", "64m", "--cpu-quota", "50000", "--cpu-period", "100000")
BUILD = ("build", "--network", "none", "--no-cache", "--progress", "plain")


def test_build_steps_are_limited(login, rcrun) -> None:
    """In scopes, whose slice can be named; what is limited in nothing is in none."""
    folder = rcrun.account.new_dir("context")
    (folder / "Containerfile").write_text(TWO_STAGES, encoding="utf-8")
    said = login(*BUILD, *LIMITS, folder).check().err
    for stage in ("one", "two"):
        assert f"{stage} of {64 << 20} 50000 100000" in said
    (folder / "Containerfile").write_text(PLACE, encoding="utf-8")
    words = ("--cgroupns", "host")
    said = login(*BUILD, *words, "--cgroup-parent", "rcruntest.slice", folder).check().err
    assert "/rcruntest.slice/rcrun-" in said
    assert "/rcrun-" not in login(*BUILD, *words, folder).check().err
    assert not [path for path in Path("/sys/fs/cgroup").rglob("rcrun-*.scope") if path.exists()]
