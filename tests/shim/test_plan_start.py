"""The start socket, and whoever of those that launch a container is killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from rcrun.kernel.shim import decode_report
from shim.plans import PATH, SLEEP, Outcome, Shim, hook, is_alive, parent_of, script, whole_json
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")


# ---- the start socket


@pytest.fixture
def created(files: dict[str, Path], detached: list[list[str]]) -> list[list[str]]:
    return [*detached[1:], ["start-socket", str(files["start"])]]


def connect(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(60)
    try:
        peer.connect(str(path))
    except OSError:
        peer.close()
        raise
    return peer


def test_start(shim: Shim, files: dict[str, Path], created: list[list[str]]) -> None:
    steps = (["start-wait"],)
    end = [PATH, ["exec", "sh", "-c", "touch /started; exec sleep 1000"]]
    outcome = shim.run(shim.plan(*steps, settings=created, end=end), stdout=-3, stderr=-3)
    assert outcome.report is None, repr(outcome)
    pid = whole_json(files["state"])["pid"]
    assert is_alive(pid)
    assert not (shim.root / "started").exists()
    with connect(files["start"]) as silent, connect(files["start"]) as odd:
        odd.send(b"x")
        with connect(files["start"]) as first, connect(files["start"]) as second:
            first.send(b"s")
            second.send(b"s")
            assert first.recv(4096) == b""
            with pytest.raises(ConnectionResetError):
                second.recv(4096)
        silent.close()
    wait_for((shim.root / "started").exists)
    with pytest.raises(ConnectionRefusedError):
        connect(files["start"])


def test_start_tells_why_exec_failed(
    shim: Shim, files: dict[str, Path], created: list[list[str]]
) -> None:
    missing = shim.plan(["start-wait"], settings=created, end=[PATH, ["exec", "nothing"]])
    assert shim.run(missing, stdout=-3, stderr=-3).failure == (
        len(missing) - 1,
        "execve",
        "ENOENT",
        1,
    )
    plan = shim.plan(["start-wait"], settings=created, end=[PATH, ["exec", "/etc"]])
    assert shim.run(plan, stdout=-3, stderr=-3).report is None
    with connect(files["start"]) as peer:
        peer.send(b"s")
        report = decode_report(peer.recv(4096))
    assert (report.step, report.call, report.errno) == (len(plan), "execve", 21)


def test_start_after_its_death(
    shim: Shim, files: dict[str, Path], created: list[list[str]]
) -> None:
    assert (
        shim.run(shim.plan(["start-wait"], settings=created), stdout=-3, stderr=-3).report is None
    )
    pid = whole_json(files["state"])["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    with pytest.raises(ConnectionRefusedError):
        connect(files["start"])


def test_detach(shim: Shim, files: dict[str, Path]) -> None:
    """Without a monitor the process goes on after its parent, also beneath an init."""
    for init in ([], [["init"]]):
        settings = [["detach"], ["pid-file", str(files["pid-file"])]]
        plan = shim.plan(settings=settings, end=[PATH, *init, ["exec", "sleep", "1000"]])
        assert shim.run(plan, stdout=-3, stderr=-3).status == 0
        pid = int(files["pid-file"].read_text())
        time.sleep(0.1)
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda gone=pid: not is_alive(gone))


# ---- whoever is killed


def ended(outcome: Outcome, status: int) -> None:
    """The launch failed because somebody was killed: the status is all that is known."""
    assert outcome.report is not None, repr(outcome)
    assert outcome.report.child_status == status, repr(outcome)


def killing(shim: Shim, call: str, number: int = 1) -> list[str | os.PathLike[str]]:
    """The shim, whose processes are killed before this one of their calls."""
    quiet = ["strace", "-f", "-q", "-o", "/dev/null", f"-etrace={call}"]
    return [*quiet, f"-einject={call}:signal=KILL:when={number}", *shim.program]


@pytest.mark.requires("strace")
def test_the_setup_is_killed_before_it_names_its_child(shim: Shim) -> None:
    outcome = shim.run(shim.plan(end=SLEEP), program=killing(shim, "sendmsg"), timeout=60)
    ended(outcome, 137)


@pytest.mark.requires("strace")
def test_the_setup_is_killed_before_its_clone(shim: Shim) -> None:
    ended(shim.run(shim.plan(end=SLEEP), program=killing(shim, "clone3"), timeout=60), 137)


@pytest.mark.requires("strace")
def test_the_child_is_killed_before_it_is_ready(shim: Shim, detached: list[list[str]]) -> None:
    plan = shim.plan(["ready"], settings=detached, end=SLEEP)
    ended(shim.run(plan, program=killing(shim, "pivot_root"), timeout=60), 137)


@pytest.mark.requires("strace")
def test_the_child_is_killed_before_it_waits_for_its_start(
    shim: Shim, created: list[list[str]]
) -> None:
    plan = shim.plan(["start-wait"], settings=created)
    ended(shim.run(plan, program=killing(shim, "pivot_root"), timeout=60), 137)


@pytest.mark.requires("strace")
def test_the_monitor_is_killed_before_it_launches(shim: Shim, detached: list[list[str]]) -> None:
    outcome = shim.run(
        shim.plan(settings=detached, end=SLEEP), program=killing(shim, "sendfile"), timeout=60
    )
    assert outcome.failure == (-1, "monitor", "EPIPE", 0)


def test_the_monitor_is_killed_between_ready_and_exec(
    shim: Shim, detached: list[list[str]]
) -> None:
    tell = script(
        shim.dir / "tell",
        f"cat >{shim.dir}/state.json.new; mv {shim.dir}/state.json.new {shim.dir}/told",
    )
    wait = script(shim.dir / "wait", f"while ! test -e {shim.dir}/go; do sleep 0.02; done")
    plan = shim.plan(
        settings=[*detached, hook("createRuntime", 0, tell), hook("createContainer", 0, wait)],
        before=[["ready"], ["hooks", "createContainer"]],
        end=[PATH, ["exec", "sh", "-c", "touch /ran; exec sleep 1000"]],
    )
    reader, writer = os.pipe()
    plan.insert(1, ["report", str(writer)])
    with shim.start(plan, fds=[writer]) as process:
        os.close(writer)
        pid = whole_json(shim.dir / "told")["pid"]
        os.kill(parent_of(pid), signal.SIGKILL)
        with open(reader, "rb") as file:
            (shim.dir / "go").touch()
            report = decode_report(file.read())
        assert process.wait(60) == 125
    assert (report.call, report.errno) == ("monitor", 32)
    wait_for(lambda: not is_alive(pid))
    assert not (shim.root / "ran").exists()


def test_the_container_ends_with_its_monitor(
    shim: Shim, files: dict[str, Path], detached: list[list[str]]
) -> None:
    for init in ([], [["init"]]):
        plan = shim.plan(settings=detached, end=[PATH, *init, ["exec", "sleep", "1000"]])
        assert shim.run(plan).report is None
        state = whole_json(files["state"])
        os.kill(state["monitor"], signal.SIGKILL)
        wait_for(lambda pid=state["pid"]: not is_alive(pid))
        files["state"].unlink()
