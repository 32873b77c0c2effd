"""What a launch costs, in processes and system calls: names and counts, never milliseconds."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from shim.plans import PATH, PROC, SANITIZED, Shim

pytestmark = [
    pytest.mark.requires("userns", "strace"),
    pytest.mark.skipif(SANITIZED, reason="with sanitizers: they make calls of their own"),
]
LINE = re.compile(r"^(\d+) +(\w+)\(")
# A whole launch with a monitor: P, M, I, C, from exec of the shim to the exec of the command. A few more or less as
# the processes meet.
MOST_CALLS = 320


def trace(shim: Shim, plan: list[list[str]]) -> dict[str, Counter[str]]:
    """The calls of each process, which are told apart by what only they do."""
    path = shim.dir / "trace"
    path.touch()
    subprocess.run(["chmod", "666", path], check=True)
    program = ["strace", "-f", "-qq", "-o", str(path), "-e", "signal=none", *shim.program]
    outcome = shim.run(plan, program=program)
    assert outcome.report is None, repr(outcome)
    calls: dict[str, Counter[str]] = {}
    ended = set()
    for line in path.read_text().splitlines():
        found = LINE.match(line)
        if found is None or found[1] in ended:
            continue
        calls.setdefault(found[1], Counter())[found[2]] += 1
        if f'execve("{Path("/bin/true")}"' in line:
            ended.add(found[1])
    return calls


def a_launch(shim: Shim) -> list[list[str]]:
    return shim.plan(
        ["hostname", "box"],
        ["rlimit", "RLIMIT_NOFILE", "1024", "1024"],
        ["no-new-privs"],
        ["user", "0", "0"],
        ["capabilities", "ff", "ff", "0", "ff", "0"],
        ["cwd", "/tmp"],
        settings=[["monitor"]],
        types="mount,pid,ipc,uts,network,cgroup",
        before=[PROC, ["mount", "tmpfs", "tmpfs", "/dev", "nosuid", "mode=755"], ["ready"]],
        end=[PATH, ["exec", "/bin/true"]],
    )


def total(calls: dict[str, Counter[str]], *names: str) -> int:
    return sum(count[name] for count in calls.values() for name in names)


def test_a_launch(shim: Shim) -> None:
    calls = trace(shim, a_launch(shim))
    assert len(calls) == 4, "P, M, I, C"
    assert total(calls, "fork", "vfork", "clone", "clone3") == 3
    # of the shim, of its copy, of the command
    assert total(calls, "execve", "execveat") == 3
    assert total(calls, "mount", "move_mount", "pivot_root", "umount2") <= 9
    assert sum(count.total() for count in calls.values()) <= MOST_CALLS


def test_no_monitor_is_a_process_less(shim: Shim) -> None:
    plan = [record for record in a_launch(shim) if record != ["monitor"]]
    calls = trace(shim, plan)
    assert len(calls) == 3
    assert total(calls, "fork", "vfork", "clone", "clone3") == 2


def test_work(shim: Shim) -> None:
    """No copy of the shim, no monitor: a clone and an exec."""
    calls = trace(shim, shim.work(["exec", "/bin/true"]))
    assert len(calls) == 2
    assert total(calls, "fork", "vfork", "clone", "clone3") == 1
    assert total(calls, "execve", "execveat") == 2
    assert sum(count.total() for count in calls.values()) < 150
