"""Much output, many at once, everything at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from robust.conftest import NO_NETWORK
from waiting import wait_for, waits

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)
GIBIBYTE = 1 << 30
NOISE = "dd if=/dev/zero bs=64k count=16384 2>/dev/null"


def monitor_of(rcrun, name):
    return int(rcrun("inspect", "-f", "{{.State.ConmonPid}}", name).check().out)


def memory(pid):
    """What a process has of its own, in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private"))


# ---- output


@only_user
@pytest.mark.skipif(
    os.environ.get("RCRUN_SANITIZE") == "1", reason="with sanitizers: they take memory"
)
def test_a_gibibyte_with_a_slow_reader(rcrun):
    """The reader takes a quarter of it slowly and then the rest; the monitor stays as small as it was."""
    words = (
        "run",
        "--name",
        "web",
        "--log-opt",
        "max-size=1m",
        "--log-opt",
        "max-file=2",
        *NO_NETWORK,
    )
    process = rcrun.popen(*words, "busybox", "sh", "-c", NOISE, stdout=subprocess.PIPE)
    with process:
        count = len(os.read(process.stdout.fileno(), 1000))
        monitor = monitor_of(rcrun, "web")
        largest = 0
        for _ in range(20):  # slowly
            count += len(os.read(process.stdout.fileno(), 65536))
            time.sleep(0.02)
            largest = max(largest, memory(monitor))
        while data := os.read(process.stdout.fileno(), 1 << 20):
            count += len(data)
            try:
                largest = max(largest, memory(monitor) if count % 64 == 0 else 0)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended with the container
        assert process.wait(60) == 0
    assert count == GIBIBYTE
    assert largest < 600, f"{largest} KiB"
    container = rcrun("ps", "-aq", "--no-trunc", "-f", "name=web").out.strip()
    logs = sorted((rcrun.store_dir / "containers" / container).glob("log*"))
    assert [path.name for path in logs] == ["log", "log.1"]
    assert all(path.stat().st_size <= 1 << 20 for path in logs)


@only_user
def test_follow_keeps_up(rcrun):
    """Everything, in order, while it is written as fast as can be; two followers."""
    rcrun(
        "run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "sleep 0.3; seq 1 400000"
    ).check()
    wanted = "".join(f"{number}\n" for number in range(1, 400001)).encode()
    followers = [rcrun.popen("logs", "-f", "web", stdout=subprocess.PIPE) for _ in range(2)]
    for follower in followers:
        with follower:
            got, _ = follower.communicate(timeout=120)
            assert got == wanted
    assert rcrun("logs", "web").stdout == wanted


@only_user
def test_follow_over_rotations(rcrun):
    """A follower that is not outrun loses nothing when files are renamed beneath it."""
    # it goes on when the follower has come so far
    script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; [ $((i%100)) -eq 0 ] && read x; done"
    rcrun(
        "run", "-di", "--name", "web", "--log-opt", "max-size=8k", "--log-opt", "max-file=3",
        *NO_NETWORK, "busybox", "sh", "-c", script,
    ).check()  # fmt: skip
    feeding = rcrun.popen("attach", "web", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with feeding, rcrun.popen("logs", "-f", "web", stdout=subprocess.PIPE) as follower:
        numbers = []
        for line in follower.stdout:
            numbers.append(int(line.split()[1]))
            if numbers[-1] % 100 == 0:
                feeding.stdin.write(b"\n")
                feeding.stdin.flush()
    assert numbers == list(range(1, 3001))


@only_user
def test_a_follower_that_is_killed_costs_nothing(rcrun):
    rcrun(
        "run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "yes | head -c 30000000"
    ).check()
    followers = [
        rcrun.popen("attach", "--no-stdin", "web", stdout=subprocess.PIPE) for _ in range(4)
    ]
    followers += [rcrun.popen("logs", "-f", "web", stdout=subprocess.PIPE) for _ in range(4)]
    time.sleep(0.1)
    for follower in followers:
        follower.kill()
    for follower in followers:
        follower.communicate()
    assert rcrun("wait", "web").check().out == "0\n"


# ---- many exec sessions


@only_user
def test_two_hundred_execs_sixteen_at_once(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    monitor = monitor_of(rcrun, "web")
    before = len(os.listdir(f"/proc/{monitor}/fd"))
    gate = threading.Semaphore(16)
    wrong = []

    def one(number):
        with gate:
            got = rcrun(
                "exec",
                "-i",
                "web",
                "sh",
                "-c",
                f"cat; echo {number} >&2; exit {number % 100}",
                input=f"in {number}",
            )
            if (got.status, got.out, got.err) != (number % 100, f"in {number}", f"{number}\n"):
                wrong.append(got)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(os.listdir(f"/proc/{monitor}/fd")) == before
    # Only ours and `ps` itself: no exec session has left a process.
    assert len(rcrun("exec", "web", "ps", "-o", "args").check().out.splitlines()) == 3


@only_user
def test_exec_while_it_stops(rcrun):
    """Each exec works, or says that the container does not run; none hangs."""
    for _ in range(4):
        rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
        execs = [
            rcrun.popen(
                "exec", "web", "sleep", "0.2", stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(6)
        ]
        time.sleep(0.05)
        rcrun("stop", "-t", "0", "web").check()
        for process in execs:
            _, err = process.communicate(timeout=60)
            assert process.returncode in (0, 1, 126, 127, 137), err
            assert b"bug in" not in err
            assert b"Traceback" not in err
        rcrun("rm", "web").check()


@only_user
def test_remove_while_it_starts(rcrun, traces, chance):
    for _ in range(12):
        rcrun("create", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
        starter = rcrun.popen("start", "web", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(chance.random() * 0.08)
        got = rcrun("rm", "-f", "web")
        _, err = starter.communicate(timeout=60)
        assert got.status == 0, got
        assert starter.returncode in (0, 1, 125)
        assert b"bug in" not in err
        assert rcrun("ps", "-aq").check().out == ""
    traces.check_nothing_left()


@only_user
def test_all_verbs_at_the_same_time(rcrun, traces, chance):
    """Eight hands on two containers: every answer has words, and in the end there is nothing."""
    verbs = (
        ("start",), ("stop", "-t", "0"), ("rm", "-f"), ("kill",), ("exec",), ("inspect",), ("logs",),
        ("restart", "-t", "0"), ("wait",), ("rename",), ("top",), ("run",),
    )  # fmt: skip
    until = time.monotonic() + 4
    wrong = []

    def hand(seed):
        import random

        mine = random.Random(seed)
        while time.monotonic() < until and not wrong:
            name = mine.choice(("one", "two"))
            verb = mine.choice(verbs)
            words = [*verb, name]
            if verb[0] == "exec":
                words += ["true"]
            elif verb[0] == "rename":
                words += ["two" if name == "one" else "one"]
            elif verb[0] == "run":
                words = ["run", "-d", "--name", name, *NO_NETWORK, "busybox", "sleep", "1000"]
            elif verb[0] == "wait":
                continue
            got = rcrun(*words)
            if (
                "bug in" in got.err
                or "Traceback" in got.err
                or got.status not in (0, 1, 125, 126, 137)
            ):
                wrong.append(got)

    threads = [threading.Thread(target=hand, args=(chance.random(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    traces.check_truth()
    traces.clean()
    traces.check_nothing_left()


@only_user
def test_many_clients_of_one_container(rcrun):
    """More than there are places; some stop reading, and with them the container, until they are gone."""
    script = "while [ ! -e /go ]; do sleep 0.02; done; seq 1 50000"
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    clients = [
        rcrun.popen("attach", "--no-stdin", "web", stdout=subprocess.PIPE) for _ in range(28)
    ]
    for client in clients:
        wait_for(lambda pid=client.pid: waits(pid, "socket:"))
    stopped, rest = clients[:6], clients[6:]
    for client in stopped:
        client.send_signal(signal.SIGSTOP)
    rcrun("exec", "web", "touch", "/go").check()
    said = []
    threads = [threading.Thread(target=lambda c=c: said.append(c.communicate()[0])) for c in rest]
    for thread in threads:
        thread.start()
    time.sleep(0.8)
    for client in stopped:
        client.kill()
        client.communicate()
    assert rcrun("wait", "web").check().out == "0\n"
    for thread in threads:
        thread.join()
    assert [client.wait(60) for client in rest] == [0] * len(rest)
    assert {data.splitlines()[-1] for data in said} == {b"50000"}
