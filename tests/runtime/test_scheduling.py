"""`scheduler`, `ioPriority`, `execCPUAffinity`: when and where the processes of a container run."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from runtime.conftest import Bundle

pytestmark = [pytest.mark.requires("userns"), pytest.mark.usefixtures("ours")]
AS_ROOT = pytest.mark.parametrize("account", ["root"], indirect=True)
POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_IDLE": 5}


def stat_of(bundle: Bundle) -> list[str]:
    """Fields of stat from the third on (proc_pid_stat(5))."""
    return bundle.output("cat", "/proc/self/stat").rpartition(")")[2].split()


@pytest.mark.parametrize("policy", ["SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE"])
def test_policies(bundle: Bundle, policy: str) -> None:
    bundle.process(scheduler={"policy": policy, "nice": 7 if policy != "SCHED_IDLE" else 0})
    fields = stat_of(bundle)
    assert fields[38] == str(POLICIES[policy])
    assert policy == "SCHED_IDLE" or fields[16] == "7"


@AS_ROOT
@pytest.mark.parametrize("policy", ["SCHED_FIFO", "SCHED_RR"])
@pytest.mark.parametrize("flags", [[], ["SCHED_FLAG_RESET_ON_FORK"]])
def test_real_time(bundle: Bundle, policy: str, flags: list[str]) -> None:
    bundle.process(scheduler={"policy": policy, "priority": 3, "flags": flags})
    fields = stat_of(bundle)
    assert (fields[37], fields[38]) == ("3", str(POLICIES[policy]))


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_real_time_is_not_for_users(bundle: Bundle) -> None:
    bundle.process(scheduler={"policy": "SCHED_FIFO", "priority": 3})
    result = bundle.run()
    assert result.status == 1
    assert "cannot set the scheduler SCHED_FIFO: operation not permitted" in result.err
    assert "CAP_SYS_NICE" in result.err


@AS_ROOT
@pytest.mark.parametrize(
    ("priority", "shown"),
    [
        ({"class": "IOPRIO_CLASS_RT", "priority": 2}, "realtime: prio 2"),
        ({"class": "IOPRIO_CLASS_BE", "priority": 6}, "best-effort: prio 6"),
        ({"class": "IOPRIO_CLASS_IDLE", "priority": 0}, "idle"),
    ],
)
def test_classes_of_io(bundle: Bundle, priority: dict[str, Any], shown: str) -> None:
    bundle.process(ioPriority=priority).args("sleep", "1000").started()
    words = ["ionice", "-p", str(bundle.state()["pid"])]
    assert subprocess.run(words, check=True, stdout=-1, text=True).stdout.strip() == shown


# ---- processors


def processors(bundle: Bundle) -> str:
    status = bundle.runtime("exec", bundle.id, "/init", "cat", "/proc/self/status").check().out
    [line] = [line for line in status.splitlines() if line.startswith("Cpus_allowed_list:")]
    return line.split()[1]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor")
@pytest.mark.parametrize(
    ("affinity", "shown"),
    [
        ({"final": "1"}, "1"),
        ({"initial": "0"}, "0"),
        ({"initial": "0", "final": "1"}, "1"),
        ({"initial": "0-1", "final": "0,1"}, "0-1"),
        ({}, "0-1"),
    ],
)
def test_processors_of_an_exec(bundle: Bundle, affinity: dict[str, str], shown: str) -> None:
    """Not of the init (config.md)."""
    bundle.process(execCPUAffinity=affinity).args("sleep", "1000").started()
    if os.cpu_count() != 2 and not affinity:
        return
    assert processors(bundle) == shown
    assert os.sched_getaffinity(bundle.state()["pid"]) == os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("affinity", "text"),
    [
        ({"final": "x"}, 'process.execCPUAffinity.final: "x" is not a list such as 0-3,7'),
        ({"initial": "1-0"}, '"1-0" in "process.execCPUAffinity.initial" is no list'),
        ({"initial": "900"}, 'cannot run on the processors "900"'),
        ({"final": "900"}, "cannot bind to the processors 900"),
    ],
)
def test_processors_that_are_none(bundle: Bundle, affinity: dict[str, str], text: str) -> None:
    bundle.process(execCPUAffinity=affinity).args("sleep", "1000").started()
    result = bundle.runtime("exec", bundle.id, "/init", "true")
    assert result.status == 1
    assert text in result.err
