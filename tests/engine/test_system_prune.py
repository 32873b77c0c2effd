"""system prune, container cleanup."""

from __future__ import annotations

import os
import pty
import signal
import threading
from pathlib import Path

import pytest

from all_accounts import busybox_archive

# Root is no other case here, and the whole takes long enough.
pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)

NO_NETWORK = ("--network", "none")


@pytest.fixture
def stocked(fresh_rcrun, accounts):
    """One that runs, one that has ended and has a volume without a name, and an image that nobody uses."""
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox_archive(accounts)).check()
    rcrun("run", "-d", "--name", "runs", *NO_NETWORK, "busybox", "sleep", "100").check()
    rcrun("run", "--name", "ended", "--label", "keep", "-v", "/data", *NO_NETWORK, "busybox", "sh", "-c",
          "dd if=/dev/zero of=/f bs=1000 count=50 2>/dev/null; echo text > /data/f").check()  # fmt: skip
    rcrun("commit", "-q", "--change", "LABEL a=b", "ended", "mine").check()
    yield rcrun
    rcrun("system", "reset", "-f").check()


def names(rcrun):
    return rcrun("ps", "-a", "--format", "{{.Names}}").check().out.split()


def test_what_nobody_uses_goes(stocked):
    ended = stocked("inspect", "-f", "{{.Id}}", "ended").out.strip()
    got = stocked("system", "prune", "-f").check()
    lines = got.out.splitlines()
    assert lines[:3] == ["Deleted Containers:", ended, ""]
    assert lines[-1].startswith("Total reclaimed space: 5")
    assert names(stocked) == ["runs"]
    assert len(stocked("volume", "ls", "-q").out.split()) == 1
    assert "mine" in stocked("images").out
    got = stocked("system", "prune", "-af", "--volumes").check()
    assert "Deleted Volumes:" in got.out
    assert "untagged: mine:latest" in got.out
    assert stocked("volume", "ls", "-q").out == ""
    assert "busybox" in stocked("images").out
    assert stocked("system", "prune", "-f").check().out == "Total reclaimed space: 0B\n"


def test_filters(stocked):
    stocked("system", "prune", "-f", "--filter", "label!=keep").check()
    assert names(stocked) == ["ended", "runs"]
    stocked("system", "prune", "-f", "--filter", "until=1h").check()
    assert names(stocked) == ["ended", "runs"]
    stocked("system", "prune", "-f", "--filter", "label=keep", "--filter", "until=0s").check()
    assert names(stocked) == ["runs"]
    wrong = stocked("system", "prune", "-f", "--filter", "name=x")
    assert (wrong.status, wrong.err.splitlines()[0]) == (1, 'rcrun: error: invalid filter "name=x"')


def test_the_question(stocked):
    refused = stocked("system", "prune")
    assert refused.status == 1
    assert "hint: add --force" in refused.err
    ours, theirs = pty.openpty()
    with open(theirs, "rb", buffering=0) as terminal:
        threading.Timer(0.3, os.write, (ours, b"n\n")).start()
        got = stocked("system", "prune", "-a", "--volumes", "--filter", "until=1h", stdin=terminal).check()  # fmt: skip
    os.close(ours)
    assert got.err == (
        "WARNING! This will remove:\n"
        "  - all stopped containers\n"
        "  - all networks not used by at least one container\n"
        "  - all anonymous volumes not used by at least one container\n"
        "  - all images without at least one container associated to them\n"
        "  - unused build cache\n"
        "\n"
        "  Items to be pruned will be filtered with:\n"
        "  - until=1h\n"
        "\n"
        "Are you sure you want to continue? [y/N] "
    )
    assert names(stocked) == ["ended", "runs"]


def test_only_what_crashes_left(stocked):
    (stocked.store_dir / "trash/old").mkdir()
    stocked("system", "prune", "--external").check()
    assert list((stocked.store_dir / "trash").iterdir()) == []
    assert names(stocked) == ["ended", "runs"]
    assert "cannot be combined" in stocked("system", "prune", "--external", "--all").err


def test_cleanup_after_a_monitor_that_was_killed(stocked):
    pid = stocked("inspect", "-f", "{{.State.Pid}}", "runs").out.strip()
    monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    running = stocked("container", "cleanup", "runs")
    assert running.status == 1
    assert 'cannot clean up after container "runs": it is running' in running.err
    os.kill(monitor, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        pass
    live = Path(stocked("info", "-f", "{{.store.runRoot}}").out.strip())
    assert list(live.glob("containers/*/attach.sock"))
    assert "1 left over" in stocked("system", "check").check().out
    assert stocked("container", "cleanup", "runs").check().out == "runs\n"
    assert not list(live.glob("containers/*/attach.sock"))
    assert len(stocked("container", "cleanup", "--all").check().out.split()) == 2
    stocked("container", "cleanup", "--rm", "ended").check()
    assert names(stocked) == ["runs"]
    assert "name containers" in stocked("container", "cleanup").err
