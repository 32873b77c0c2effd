"""Scopes of systemd by themselves, of root and of a user."""

from __future__ import annotations

import sys

import pytest

from accounts import CHECKOUT, Account, user_bus

pytestmark = pytest.mark.requires("systemd", "cgroup-limits")

PUT = f"""
import os, subprocess, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from rcrun.cgroup import systemd
from rcrun.cgroup.properties import Place

manager = systemd.connect(os.environ, user=os.getuid() != 0)
for script, stays in (("exit", False), ("read line", True)):
    child = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE)
    if not stays:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    place = Place("user.slice" if os.getuid() else "system.slice", f"rcrun-monitor-test{{child.pid}}.scope")
    manager.start(place, child.pid, [], [])
    made = os.path.isdir(manager.directory(place))
    manager.drop_empty(place)
    print(made, os.path.isdir(manager.directory(place)) == stays)
    child.communicate()
"""


def test_one_whose_process_has_ended_is_dropped(account: Account) -> None:
    """systemd takes the process, and waits for a group to get empty that has never been anything else."""
    runtime = {} if account.uid == 0 else {"XDG_RUNTIME_DIR": str(user_bus(account.uid).parent)}
    done = account.run(sys.executable, "-c", PUT, env=runtime).check()
    assert done.out == "True True\nTrue True\n"
