"""What happens around a container: files, hooks, helpers, terminals."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from shim.plans import (
    PATH,
    PROC,
    SLEEP,
    Shim,
    hook,
    is_alive,
    memfd,
    parent_of,
    script,
    start_of,
    whole_json,
)
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")
PTS = ["mount", "devpts", "devpts", "/dev/pts", "", "newinstance,ptmxmode=0666,mode=0620"]


# ---- files


def test_state_and_exit(shim: Shim, files: dict[str, Path], detached: list[list[str]]) -> None:
    before = time.time_ns()
    outcome = shim.run(shim.plan(settings=detached, end=SLEEP))
    assert (outcome.status, outcome.report) == (0, None)
    state = whole_json(files["state"])
    assert int(files["pid-file"].read_text()) == state["pid"]
    assert state["pid_start"] == start_of(state["pid"])
    assert state["monitor_start"] == start_of(state["monitor"])
    assert parent_of(state["pid"]) == state["monitor"]
    assert before <= state["started"] <= time.time_ns()
    assert Path(f"/proc/{state['monitor']}/comm").read_text() == "rcrun:mon\n"
    os.kill(state["pid"], signal.SIGKILL)
    end = whole_json(files["exit"])
    assert before <= end.pop("finished") <= time.time_ns()
    assert end == {"exit_code": 137, "oom_killed": False, "signal": 9}
    wait_for(lambda: not is_alive(state["monitor"]))
    assert sorted(os.listdir(shim.dir)) == ["exit", "pid-file", "root", "state"]


def test_exit_code(shim: Shim, files: dict[str, Path], detached: list[list[str]]) -> None:
    shim.run(shim.plan(settings=detached, end=[PATH, ["exec", "sh", "-c", "exit 300"]]))
    end = whole_json(files["exit"])
    assert (end["exit_code"], end["signal"]) == (300 % 256, 0)


@pytest.mark.parametrize(
    "name", ["state", "pid-file", "log", "attach", "start-socket", "console-socket"]
)
def test_files_that_cannot_be_made(shim: Shim, name: str) -> None:
    words = ["0", "1"] if name == "log" else []
    record = [name, "/no/such/place", *words]
    settings = [record] if name in ("start-socket", "console-socket") else [["monitor"], record]
    if name == "console-socket":
        settings += [["terminal", "0", "0"]]
    steps = [["console"], ["ready"]] if name == "console-socket" else []
    plan = shim.plan(settings=settings, before=[PTS, *steps], end=SLEEP)
    outcome = shim.run(plan)
    assert outcome.failure is not None, repr(outcome)
    assert plan[outcome.failure[0]] == record
    assert outcome.failure[2] == "ENOENT"


def test_a_launch_that_failed_leaves_nothing(
    shim: Shim, files: dict[str, Path], detached: list[list[str]]
) -> None:
    outcome = shim.run(shim.plan(settings=detached, end=[PATH, ["exec", "nothing"]]))
    assert outcome.failure[1:] == ("execve", "ENOENT", 1)
    assert sorted(os.listdir(shim.dir)) == ["root"]


# ---- failures without a report


def test_on_failure(shim: Shim) -> None:
    program = script(
        shim.dir / "failed",
        'echo "$1|$2|$(echo $3 | cut -c1-16)"; tr "\\0" "\\n" <"/proc/self/fd/$4" | head -4; '
        "grep SigBlk /proc/self/status; exit 9",
    )
    for settings in ([], [["monitor"], ["foreground", "oe"]]):
        plan = shim.plan(
            settings=[["on-failure", program, "a", "b c"], *settings],
            end=[PATH, ["exec", "nothing"]],
        )
        with shim.start(plan, stdout=-1) as process:
            said = process.stdout.read().decode().splitlines()
        assert process.returncode == 9
        words = said[0].split("|")
        assert words[:2] == ["a", "b c"]
        assert bytes.fromhex(words[2])[:8] == b"RCR1" + struct.pack("<i", len(plan) - 1)
        assert said[1:5] == ["2", "plan", "1", "2"]
        assert int(said[5].split()[1], 16) == 0, "signals are blocked"


def test_no_report_and_no_program(shim: Shim) -> None:
    with shim.start(shim.plan(end=[PATH, ["exec", "nothing"]]), stderr=-1) as process:
        said = process.stderr.read()
    assert process.returncode == 125
    assert b"execve: No such file or directory" in said


def test_an_on_failure_program_that_is_not_there(shim: Shim) -> None:
    plan = shim.plan(settings=[["on-failure", "/no/program"]], end=[PATH, ["exec", "nothing"]])
    with shim.start(plan, stderr=-1) as process:
        said = process.stderr.read()
    assert process.returncode == 125
    assert b'cannot run "/no/program"' in said


# ---- hooks


def test_hooks_run_in_their_order(shim: Shim) -> None:
    """The one of startContainer is a program of the container, the others are of the host."""
    note = script(shim.dir / "note", f'echo "$1 $A" >>{shim.dir}/order; cat >{shim.dir}/$1.json')
    (shim.dir / "order").touch()
    os.chown(shim.dir / "order", shim.account.uid, shim.account.gid)
    inside = script(
        shim.root / "hook", 'echo "startContainer $A" >>/order; cat >/startContainer.json'
    )
    Path(inside).write_text(
        Path(inside).read_text().replace("#!/bin/sh\nPATH=", "#!/bin/sh\nPATH=/bin:")
    )
    kinds = ("prestart", "createRuntime", "createContainer", "poststart")
    hooks = [hook(kind, 0, note, "note", kind, env=(f"A={kind[:3]}",)) for kind in kinds]
    hooks += [
        hook("createRuntime", 1, note, "note", "second", env=("A=2",)),
        hook("startContainer", 0, "/hook", "hook", env=("A=x",)),
    ]
    plan = shim.plan(
        ["hooks", "startContainer"],
        settings=[["state-json", '{"ociVersion":"1.2.0","id":"box"'], *hooks],
        before=[["ready"], ["hooks", "createContainer"]],
        end=[PATH, ["exec", "sh", "-c", "cat /order; sleep 0.3"]],
    )
    outcome = shim.run(plan)
    assert outcome.report is None, repr(outcome)
    assert outcome.out == "startContainer x\n"
    order = (shim.dir / "order").read_text().splitlines()
    assert order == [
        "prestart pre",
        "createRuntime cre",
        "second 2",
        "createContainer cre",
        "poststart pos",
    ]
    states = {kind: json.loads((shim.dir / f"{kind}.json").read_text()) for kind in kinds}
    states["startContainer"] = json.loads((shim.root / "startContainer.json").read_text())
    assert {kind: state["status"] for kind, state in states.items()} == {
        "prestart": "creating",
        "createRuntime": "creating",
        "createContainer": "creating",
        "startContainer": "created",
        "poststart": "running",
    }
    assert {state["id"] for state in states.values()} == {"box"}
    assert len({state["pid"] for state in states.values()}) == 1


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "poststart"])
def test_a_hook_fails(shim: Shim, kind: str) -> None:
    bad = hook(kind, 3, script(shim.dir / "bad", "echo no luck >&2; exit 5"), "bad")
    plan = shim.plan(settings=[bad], before=[["ready"], ["hooks", "createContainer"]], end=SLEEP)
    outcome = shim.run(plan)
    assert plan[outcome.failure[0]] == bad
    assert (outcome.report.child_status, outcome.report.text) == (5, "no luck\n")


def test_a_hook_that_is_not_there(shim: Shim) -> None:
    missing = hook("createRuntime", 0, "/no/hook")
    plan = shim.plan(settings=[missing], before=[["ready"]])
    outcome = shim.run(plan)
    assert plan[outcome.failure[0]] == missing
    assert (outcome.report.child_status, outcome.report.text) == (127, "No such file or directory")


def test_a_hook_takes_too_long(shim: Shim) -> None:
    slow = hook("createRuntime", 0, script(shim.dir / "slow", "exec sleep 1000"), timeout=1)
    plan = shim.plan(settings=[slow], before=[["ready"]])
    began = time.monotonic()
    outcome = shim.run(plan)
    assert time.monotonic() - began < 55
    assert outcome.failure == (plan.index(slow), "waitpid", "ETIMEDOUT", 0)


def test_a_hook_has_nothing_of_ours(shim: Shim) -> None:
    look = hook(
        "createRuntime", 0, script(shim.dir / "look", f"ls -l /proc/self/fd >{shim.dir}/fds")
    )
    extra = memfd(b"of the caller")
    outcome = shim.run(shim.plan(settings=[look], before=[["ready"]]), fds=[extra])
    os.close(extra)
    assert outcome.report is None, repr(outcome)
    lines = [line.split()[8:] for line in (shim.dir / "fds").read_text().splitlines()[1:]]
    open_fds = {words[0]: words[-1] for words in lines if not words[-1].startswith("/proc/")}
    assert open_fds.keys() <= {"0", "1", "2"}


# ---- helpers


def test_a_helper_that_goes_to_the_background(
    shim: Shim, files: dict[str, Path], detached: list[list[str]]
) -> None:
    pid_file = shim.dir / "helper.pid"
    start = script(
        shim.dir / "helper",
        f"setsid sleep 100 </dev/null >/dev/null 2>&1 &\necho $! >{pid_file}; echo $1 >{shim.dir}/word",
    )
    record = ["helper", str(pid_file), start, "pid=@PID@"]
    outcome = shim.run(shim.plan(settings=[*detached, record], end=SLEEP))
    assert outcome.report is None, repr(outcome)
    state = whole_json(files["state"])
    helper = int(pid_file.read_text())
    assert (shim.dir / "word").read_text() == f"pid={state['pid']}\n"
    assert is_alive(helper)
    os.kill(state["pid"], signal.SIGKILL)
    wait_for(lambda: not is_alive(helper))
    whole_json(files["exit"])
    wait_for(lambda: not pid_file.exists())


def test_a_helper_that_stays_says_that_it_is_ready(
    shim: Shim, files: dict[str, Path], detached: list[list[str]]
) -> None:
    pid_file = shim.dir / "helper.pid"
    start = script(
        shim.dir / "helper", f"sleep 0.1; touch {shim.dir}/done; echo >&$1; exec sleep 100"
    )
    plan = shim.plan(
        settings=[*detached, ["helper", str(pid_file), start, "@READY@"]],
        before=[["ready"]],
        end=SLEEP,
    )
    assert shim.run(plan).report is None
    assert (shim.dir / "done").exists()
    helper = int(pid_file.read_text())
    monitor = whole_json(files["state"])["monitor"]
    assert parent_of(helper) == monitor
    os.kill(monitor, signal.SIGKILL)
    wait_for(lambda: not is_alive(helper))


@pytest.mark.parametrize("words", [[], ["@READY@"]])
def test_a_helper_fails(shim: Shim, words: list[str]) -> None:
    start = script(shim.dir / "helper", "echo no device >&2; exit 6")
    record = ["helper", str(shim.dir / "helper.pid"), start, *words]
    plan = shim.plan(settings=[["monitor"], record], end=SLEEP)
    outcome = shim.run(plan)
    assert outcome.failure == (plan.index(record), "helper", "EIO", 0)
    assert (outcome.report.child_status, outcome.report.text) == (6, "no device\n")


def test_another_helper_is_tried(shim: Shim) -> None:
    records = [
        ["helper", str(shim.dir / "a.pid"), script(shim.dir / "a", "echo broken >&2; exit 1")],
        [
            "helper-else",
            "the first one",
            str(shim.dir / "b.pid"),
            script(shim.dir / "b", f"touch {shim.dir}/b.ran"),
        ],
        [
            "helper-else",
            "the second",
            str(shim.dir / "c.pid"),
            script(shim.dir / "c", f"touch {shim.dir}/c.ran"),
        ],
    ]
    outcome = shim.run(shim.plan(settings=records, before=[["ready"]]))
    assert outcome.report is None, repr(outcome)
    assert outcome.err == "the first one: broken\n"
    assert (shim.dir / "b.ran").exists()
    assert not (shim.dir / "c.ran").exists()


# ---- terminals


def test_console_socket(shim: Shim, files: dict[str, Path]) -> None:
    path = shim.dir / "console.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        plan = shim.plan(
            settings=[["terminal", "11", "22"], ["console-socket", str(path)]],
            before=[PROC, PTS, ["console"], ["ready"]],
            end=[
                PATH,
                [
                    "exec",
                    "sh",
                    "-c",
                    "tty; echo $(stat -c %t /dev/console); read line; echo got $line",
                ],
            ],
        )
        with shim.start(plan) as process:
            peer = listener.accept()[0]
            data, ancillary, *_ = peer.recvmsg(64, 64)
            peer.close()
            master = array.array("i", ancillary[0][2])[0]
            assert data == b"/dev/ptmx"
            assert os.get_terminal_size(master) == (22, 11)
            said = b""
            while b"got word" not in said:
                said += os.read(master, 1000)
                if said == b"/dev/pts/0\n88\n":
                    os.write(master, b"word\n")
            os.close(master)
            assert process.wait(60) == 0
    assert said == b"/dev/pts/0\n88\nword\ngot word\n"


def test_console_without_devpts(shim: Shim) -> None:
    plan = shim.plan(settings=[["terminal", "0", "0"]], before=[["console"]])
    assert shim.run(plan).failure[1:3] == ("openat2", "ENOENT")


def test_console_of_a_false_devpts(shim: Shim) -> None:
    (shim.root / "dev/pts").mkdir()
    (shim.root / "dev/pts/ptmx").write_text("")
    (shim.root / "dev/pts/ptmx").chmod(0o666)
    plan = shim.plan(settings=[["terminal", "0", "0"]], before=[["console"]])
    assert shim.run(plan).failure[1:3] == ("openat2", "ENODEV")
