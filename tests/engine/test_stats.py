"""stats: figures against what the kernel says of the same processes, whatever they are counted from."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from waiting import wait_for

NO_NETWORK = ("--network", "none")
TICKS = os.sysconf("SC_CLK_TCK")


def pid_of(rcrun, name):
    return int(rcrun("inspect", "-f", "{{.State.Pid}}", name).check().out)


def fields(rcrun, name, form):
    return rcrun("stats", "--no-stream", "--format", form, name).check().out.strip()


def spent(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / TICKS


def test_the_table(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    rcrun("create", "--name", "other", "busybox", "true").check()
    got = rcrun("stats", "--no-stream").check().out.splitlines()
    titles = re.split(r"\s{2,}", got[0])
    assert titles == ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]  # fmt: skip
    assert [re.split(r"\s{2,}", line)[1] for line in got[1:]] == ["web"]
    assert got[1].endswith(" 1")
    everything = rcrun("stats", "--no-stream", "--all", "--no-trunc").check().out.splitlines()
    assert len(everything) == 3
    assert len(everything[1].split()[0]) == 64
    assert re.split(r"\s{2,}", everything[1])[1:] == ["other", "0.00%", "0B / 0B", "0.00%", "0B / 0B", "0B / 0B", "0"]  # fmt: skip


def test_json(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    got = json.loads(rcrun("stats", "--no-stream", "--format", "json").check().out)
    assert set(got) == {"BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"}  # fmt: skip
    assert (got["Name"], got["PIDs"]) == ("web", "1")


def test_processors_as_the_kernel_counts(rcrun):
    """Much of it in children that have ended, whose time their parent's figures hold."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "while :; do /bin/true; done").check()  # fmt: skip
    pid = pid_of(rcrun, "web")
    wait_for(lambda: spent(pid) > 0.3)

    def is_told():
        before, begun = spent(pid), time.monotonic()
        percent, average, nano = fields(rcrun, "web", "{{.CPUPerc}} {{.AvgCPU}} {{.CPUNano}}").split()  # fmt: skip
        after, seconds = spent(pid), time.monotonic() - begun
        real = 100 * (after - before) / seconds
        assert before - 0.1 <= int(nano) / 1e9 <= after + 0.1
        assert 0 < float(average.rstrip("%")) < 110
        return float(percent.rstrip("%")) == pytest.approx(real, rel=0.25, abs=8)

    # On a machine that does other things, too, the two spans differ, now and then by much.
    wait_for(is_told)


def test_memory_is_what_the_processes_have(rcrun):
    script = "x=$(dd if=/dev/zero bs=1M count=30 2>/dev/null | tr '\\0' x); echo ready; while :; do read y; done"
    rcrun("run", "-di", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    wait_for(lambda: rcrun("logs", "web").out == "ready\n")
    pid = pid_of(rcrun, "web")
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])  # fmt: skip
    real = int(rows["Pss"].split()[0]) * 1024
    shown, limit = fields(rcrun, "web", "{{.MemUsage}}").split(" / ")
    assert shown.endswith("MiB")
    assert float(shown[:-3]) * 2**20 == pytest.approx(real, rel=0.03)
    total = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    assert float(limit[:-3]) * 2**30 == pytest.approx(total, rel=0.01)


def test_disks_and_processes(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c",
          "dd if=/dev/zero of=/f bs=1M count=8 conv=fsync 2>/dev/null; sleep 100 & sleep 100 & sleep 100").check()  # fmt: skip
    until = time.monotonic() + 60
    while (got := fields(rcrun, "web", "{{.PIDs}} {{.BlockOutput}} {{.NetIO}}")).split()[0] != "3":
        assert time.monotonic() < until, got
    pid = pid_of(rcrun, "web")
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    assert int(got.split()[1]) == pytest.approx(int(io["write_bytes"]), abs=1 << 16)
    assert got.split()[2:] == ["0B", "/", "0B"]


def test_exec_sessions_count(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    rcrun("exec", "-d", "web", "sleep", "1000").check()
    wait_for(lambda: fields(rcrun, "web", "{{.PIDs}}") == "2")


def test_one_that_ends_meanwhile_is_no_error(rcrun):
    for words in (("--name", "web"), ("--name", "gone", "--rm")):
        rcrun("run", "-d", *words, *NO_NETWORK, "busybox", "sleep", "100").check()
    with rcrun.popen("stats", "web", "gone", stdout=-1, stderr=-1) as process:
        assert b"CONTAINER ID" in process.stdout.readline()
        rcrun("kill", "web", "gone").check()
        words = [b""]
        while words[1:2] + words[-1:] != [b"web", b"0"]:
            words = process.stdout.readline().split()
        rcrun("rm", "web").check()
        rest, errors = process.communicate(timeout=60)
        assert (b"gone" in rest, errors, process.returncode) == (False, b"", 0)
    assert rcrun("stats", "--no-stream", "nosuch").err.startswith("rcrun: error: no such container")


def test_a_stream_has_no_escapes_in_a_pipe_and_ends_with_its_containers(rcrun):
    rcrun("run", "-d", "--rm", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    with rcrun.popen("stats", "web", stdout=-1) as process:
        shown = [process.stdout.readline() for _ in range(3)]
        rcrun("kill", "web").check()
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert [b"CONTAINER ID" in line for line in shown] == [True, False, True]
    assert b"\x1b" not in b"".join(shown) + rest


def test_a_stream_redraws_on_a_terminal(rcrun):
    import pty

    rcrun("run", "-d", "--rm", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    ours, theirs = pty.openpty()
    with open(theirs, "wb", buffering=0) as terminal:
        process = rcrun.popen("stats", "web", stdout=terminal)
        seen = os.read(ours, 1 << 16)
        rcrun("kill", "web").check()
        assert process.wait(60) == 0
    os.close(ours)
    assert seen.startswith(b"\x1b[H\x1b[J")


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--all", "web"), "name containers, or give one of"), (("--interval", "0"), 'invalid --interval "0"')],
)  # fmt: skip
def test_wrong_words(rcrun, words, message):
    assert message in rcrun("stats", "--no-stream", *words).err


def test_a_pid_namespace_of_another_is_not_counted_as_its_own(rcrun):
    rcrun("run", "-d", "--name", "host", "--pid", "host", *NO_NETWORK, "busybox", "sh", "-c", "sleep 100 & exec sleep 200").check()  # fmt: skip
    wait_for(lambda: fields(rcrun, "host", "{{.PIDs}}") == "2")
    assert len(rcrun("top", "host", "hpid").check().out.splitlines()) == 3
