"""create, start, state, kill, delete, run, list: the operations of runtime.md and what callers add to them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import Account
from runtime.conftest import Bundle, not_on

pytestmark = pytest.mark.requires("userns")


@pytest.mark.parametrize("code", ["0", "1", "42", "125", "255"])
def test_the_exit_status_passes_through(bundle: Bundle, code: str) -> None:
    assert bundle.args("exit", code).run().status == int(code)


def test_a_signals_number_is_added_to_128(bundle: Bundle, ours: None) -> None:
    assert bundle.without_namespace("pid").args("die", "15").run().status == 128 + 15


def test_the_streams_are_the_callers(bundle: Bundle) -> None:
    result = bundle.args("cat", "-", "/missing").run(input="typed")
    assert (result.status, result.out) == (1, "typed")
    assert "/missing" in result.err


def test_a_life(bundle: Bundle, account: Account) -> None:
    bundle.args("signal", "15")
    assert bundle.create().status == 0, bundle.said()
    state = bundle.state()
    assert state["status"] == "created"
    assert (state["id"], state["bundle"]) == (bundle.id, str(bundle.dir))
    assert Path(f"/proc/{state['pid']}").exists()
    assert bundle.said() == ""

    bundle.runtime("start", bundle.id).check()
    bundle.said_soon("ready")
    assert bundle.state()["status"] == "running"
    assert bundle.state()["pid"] == state["pid"]

    bundle.runtime("kill", bundle.id, "TERM").check()
    bundle.said_soon("signal 15")
    bundle.status_soon("stopped")
    assert bundle.runtime("kill", bundle.id).status != 0

    bundle.runtime("delete", bundle.id).check()
    assert bundle.runtime("state", bundle.id).status != 0


def test_nothing_runs_before_start(bundle: Bundle) -> None:
    bundle.args("echo", "started")
    assert bundle.create().status == 0
    time.sleep(0.1)
    assert bundle.said() == ""
    bundle.runtime("start", bundle.id).check()
    bundle.said_soon("started")


def test_a_container_is_started_once(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    assert bundle.runtime("start", bundle.id).status != 0
    assert bundle.state()["status"] == "running"


def test_an_id_is_used_once(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    again = bundle.run()
    assert again.status != 0
    assert "exist" in again.err
    assert bundle.state()["status"] == "running"


def test_an_id_can_be_used_again(bundle: Bundle) -> None:
    for _ in range(2):
        assert bundle.output("echo", "x") == "x"
    assert bundle.runtime("state", bundle.id).status != 0


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "ä"])
def test_ids_that_are_refused(bundle: Bundle, name: str, ours: None) -> None:
    bundle.write()
    assert bundle.runtime("run", "-b", str(bundle.dir), name).status != 0


def test_run_keeps_nothing_unless_told(bundle: Bundle, ours: None) -> None:
    bundle.run().check()
    assert bundle.runtime("state", bundle.id).status == 1
    bundle.run("--keep").check()
    assert bundle.state()["status"] == "stopped"


def test_run_detached(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").write()
    with open(bundle.dir / "output", "wb") as out:
        bundle.runtime(
            "run", "-d", "-b", str(bundle.dir), bundle.id, stdout=out, stderr=out
        ).check()
    assert bundle.state()["status"] == "running"


def test_delete_wants_a_stopped_container(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    pid = bundle.state()["pid"]
    assert bundle.runtime("delete", bundle.id).status != 0
    bundle.runtime("delete", "--force", bundle.id).check()
    assert bundle.runtime("state", bundle.id).status != 0
    assert not Path(f"/proc/{pid}/exe").exists()


def test_delete_by_force_of_what_does_not_exist(bundle: Bundle) -> None:
    assert bundle.runtime("delete", bundle.id).status != 0
    bundle.runtime("delete", "--force", bundle.id).check()


def test_a_created_container_can_be_killed(bundle: Bundle) -> None:
    bundle.args("sleep", "1000")
    assert bundle.create().status == 0
    bundle.runtime("kill", bundle.id, "KILL").check()
    bundle.status_soon("stopped")
    assert bundle.runtime("start", bundle.id).status != 0
    bundle.runtime("delete", bundle.id).check()


@pytest.mark.parametrize("word", ["TERM", "SIGTERM", "15"])
def test_spellings_of_signals(bundle: Bundle, word: str) -> None:
    bundle.args("signal", "15").started()
    bundle.said_soon("ready")
    bundle.runtime("kill", bundle.id, word).check()
    bundle.said_soon("signal 15")


def test_an_unknown_signal(bundle: Bundle, ours: None) -> None:
    bundle.args("sleep", "1000").started()
    assert bundle.runtime("kill", bundle.id, "FROB").status != 0
    assert bundle.state()["status"] == "running"


def test_a_signal_to_everyone(bundle: Bundle, ours: None) -> None:
    bundle.args("fork", "20").started()
    bundle.said_soon("2\n")
    pids = json.loads(bundle.runtime("ps", "-f", "json", bundle.id).check().out)
    assert len(pids) == 2
    bundle.runtime("kill", "--all", bundle.id, "KILL").check()
    bundle.status_soon("stopped")
    assert not [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]


def test_list(new_bundle: Callable[[], Bundle], ours: None) -> None:
    one, other = new_bundle(), new_bundle()
    one.args("sleep", "1000").started()
    other.args("sleep", "1000")
    assert other.create().status == 0
    lines = one.runtime("list").check().out.splitlines()
    assert lines[0].split()[:5] == ["ID", "PID", "STATUS", "BUNDLE", "CREATED"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows[one.id][1:4] == [str(one.state()["pid"]), "running", str(one.dir)]
    assert rows[other.id][2] == "created"
    quiet = one.runtime("list", "-q").check().out.split()
    assert {one.id, other.id} <= set(quiet)
    listed = json.loads(one.runtime("list", "-f", "json").check().out)
    assert {one.id, other.id} <= {state["id"] for state in listed}


def test_list_without_containers(account: Account, bundle: Bundle) -> None:
    bundle.root = str(account.runtime_dir / "none")
    assert bundle.runtime("list", "-q").check().out == ""


def test_ps(bundle: Bundle, ours: None) -> None:
    bundle.args("sleep", "1000").started()
    pid = bundle.state()["pid"]
    lines = bundle.runtime("ps", bundle.id).check().out.splitlines()
    assert len(lines) == 2
    assert str(pid) in lines[1].split()


def test_the_pid_file(bundle: Bundle) -> None:
    bundle.args("sleep", "1000")
    assert bundle.create("--pid-file", str(bundle.dir / "pid")).status == 0
    assert (bundle.dir / "pid").read_text(encoding="ascii") == str(bundle.state()["pid"])


def test_annotations_are_in_the_state(bundle: Bundle) -> None:
    bundle.config["annotations"] = {"org.example.key": "value"}
    bundle.args("sleep", "1000").started()
    assert bundle.state()["annotations"]["org.example.key"] == "value"


def test_the_bundle_of_the_current_directory(bundle: Bundle) -> None:
    bundle.args("echo", "here").write()
    assert bundle.runtime("run", bundle.id, cwd=bundle.dir).check().out == "here\n"


def test_another_configuration(bundle: Bundle) -> None:
    bundle.args("echo", "other")
    bundle.put("other.json", json.dumps(bundle.config))
    result = bundle.args("echo", "usual").run("-f", str(bundle.dir / "other.json"))
    assert result.check().out == "other\n"


def test_descriptors_that_are_preserved_and_no_other(bundle: Bundle) -> None:
    reader, writer = os.pipe()
    try:
        bundle.args("fds").write()
        words = [*bundle.words(), "run", "--preserve-fds=2", "-b", str(bundle.dir), bundle.id]
        script = 'exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null; exec "$@"'
        result = bundle.account.run("sh", "-c", script, "sh", *words).check()
        assert result.out == "0 1 2 3 4 \n"
        assert bundle.run().check().out == "0 1 2 \n"
    finally:
        os.close(reader)
        os.close(writer)


def test_socket_activation(bundle: Bundle, ours: None) -> None:
    bundle.args("env").write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    script = 'exec 3</dev/null; exec "$@"'
    result = bundle.account.run("sh", "-c", script, "sh", *words, env={"LISTEN_FDS": "1"}).check()
    assert "LISTEN_FDS=1\n" in result.out
    assert "LISTEN_PID=1\n" in result.out


def test_containers_of_two_at_once_do_not_meet(new_bundle: Callable[[], Bundle]) -> None:
    """One id, many callers: exactly one wins, and the others leave no trace."""
    bundle = new_bundle()
    bundle.args("sleep", "1000").write()
    words = [*bundle.words(), "run", "-d", "-b", str(bundle.dir), bundle.id]
    quiet = {"stdout": -3, "stderr": -3, "stdin": -3}
    running = [bundle.account.popen(*words, **quiet) for _ in range(6)]
    statuses = sorted(process.wait(60) for process in running)
    assert statuses == [0, 1, 1, 1, 1, 1]
    assert bundle.state()["status"] == "running"


def test_a_kill_in_the_middle_of_create_leaves_something_that_delete_removes(
    bundle: Bundle, ours: None
) -> None:
    bundle.args("sleep", "1000").write()
    words = [*bundle.words(), "create", "-b", str(bundle.dir), bundle.id]
    for pause in (0.01, 0.02, 0.03, 0.04, 0.06):
        process = bundle.account.popen(*words, stdout=-3, stderr=-3, stdin=-3)
        time.sleep(pause)
        process.kill()
        process.wait()
        bundle.runtime("delete", "--force", bundle.id).check()
        assert bundle.runtime("state", bundle.id).status == 1


@pytest.mark.parametrize(
    "command",
    [
        "/nowhere",
        "nowhere",
        pytest.param(
            "/init/below", marks=not_on("crun", "says what is wrong, not with which command")
        ),
    ],
)
def test_create_tells_of_a_command_that_is_not_there(bundle: Bundle, command: str) -> None:
    """Podman reads create's words, not start's."""
    bundle.config["process"]["args"] = [command]
    result = bundle.create()
    assert result.status != 0
    assert command in result.err
    assert bundle.runtime("state", bundle.id).status != 0


def test_create_leaves_a_command_by_its_directory_to_start(bundle: Bundle) -> None:
    bundle.config["process"]["args"] = ["./init", "true"]
    assert bundle.create().status == 0
    bundle.runtime("start", bundle.id).check()
