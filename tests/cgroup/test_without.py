"""Where no cgroup is delegated: nothing is said, unless a limit or a pause is asked for."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.requires("userns", "overlay")


@pytest.fixture(autouse=True)
def not_delegated(rcrun) -> None:
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("the host has cgroup v2 alone")


def test_nothing_is_said(rcrun):
    got = rcrun("run", "--rm", "--network", "none", "busybox", "echo", "fine").check()
    assert (got.out, got.err) == ("fine\n", "")


def test_limits(rcrun):
    got = rcrun("run", "--rm", "--network", "none", "--memory", "64m", "busybox", "true")
    assert got.status == 125
    assert got.err == (
        "rcrun: error: cannot limit memory: this process has no delegated cgroup\n"
        "hint: log in with systemd (cgroup v2), or run it with: "
        "systemd-run --user --scope -p Delegate=yes\n"
    )


def test_pause(rcrun):
    rcrun("run", "-d", "--name", "web", "--network", "none", "busybox", "sleep", "1000").check()
    got = rcrun("pause", "web")
    assert got.status == 1
    assert got.err == (
        'rcrun: error: cannot pause container "web": it has no cgroup of its own\n'
        "hint: start it in a login session of systemd with cgroup v2, or as: "
        "systemd-run --user --scope -p Delegate=yes rcrun start web\n"
    )
