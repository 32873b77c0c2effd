"""start, state, kill and delete without an interpreter, and with one where they are not plain (docs/plan.md, "The front")."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import Result
from runtime.conftest import Bundle

pytestmark = [pytest.mark.requires("userns"), pytest.mark.usefixtures("ours")]


class Traced(Result):
    """Whether a Python was started for it, too."""

    python: bool


def traced(bundle: Bundle, *words: str, globals_: tuple[str, ...] | None = None) -> Traced:
    trace = bundle.put("trace")
    strace = ("strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-o", str(trace))
    program, *rest = bundle.words()
    result = bundle.account.run(*strace, program, *(rest if globals_ is None else globals_), *words)
    started = [line for line in trace.read_text().splitlines() if line.endswith("= 0")]
    found = Traced(result.argv, result.status, result.stdout, result.stderr)
    found.python = any(Path(line.split('"')[1]).name.startswith("python") for line in started)
    return found


def plain(bundle: Bundle, *words: str) -> Traced:
    result = traced(bundle, *words)
    assert (result.status, result.python) == (0, False), repr(result)
    return result


@pytest.mark.requires("strace")
def test_a_life_without_python(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").create()
    assert json.loads(plain(bundle, "state", bundle.id).out)["status"] == "created"
    plain(bundle, "start", bundle.id)
    assert json.loads(plain(bundle, "state", bundle.id).out)["status"] == "running"
    plain(bundle, "kill", bundle.id, "SIGKILL")
    bundle.status_soon("stopped")
    plain(bundle, "delete", bundle.id)
    assert not Path(bundle.root, bundle.id).exists()


@pytest.mark.requires("strace")
def test_the_options_of_engines_are_plain(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    log = str(bundle.dir / "log")
    for words in (
        (f"--root={bundle.root}", "--log", log, "--log-format", "json", "--systemd-cgroup"),
        (f"--root={bundle.root}", f"--log={log}", "--log-format=json", "--cgroup-manager=cgroupfs"),
    ):
        state = traced(bundle, "state", bundle.id, globals_=words).check()
        assert not state.python
    deleted = traced(bundle, "delete", "--force", bundle.id, globals_=words).check()
    assert not deleted.python


@pytest.mark.parametrize("status", ["created", "running", "stopped"])
def test_the_state_is_the_same_to_the_letter(bundle: Bundle, status: str) -> None:
    bundle.config["annotations"] = {"a": 'an "odd" é text', "z": "1"}
    bundle.args("sleep", "1000").create()
    if status != "created":
        bundle.runtime("start", bundle.id).check()
    if status == "stopped":
        bundle.runtime("kill", bundle.id, "9").check()
    bundle.status_soon(status)
    python = bundle.runtime("--debug", "state", bundle.id).check()
    assert bundle.runtime("state", bundle.id).check().out == python.out
    assert json.loads(python.out)["status"] == status


@pytest.mark.parametrize("signal", ["TERM", "sigterm", "SIGTERM", "15", "USR1", "RTMIN+1", "40"])
def test_signals_in_every_spelling(bundle: Bundle, signal: str) -> None:
    bundle.args("sleep", "1000").process(noNewPrivileges=False).started()
    bundle.runtime("kill", bundle.id, signal).check()


def test_a_signal_that_is_none(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    for signal in ("99", "-9", "NOPE"):
        assert bundle.runtime("kill", bundle.id, signal).status == 1, signal
    assert bundle.state()["status"] == "running"


@pytest.mark.requires("strace")
def test_hooks_are_for_python(bundle: Bundle) -> None:
    out = bundle.put("hook.out", mode=0o666)
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"cat >>{out}"]}
    bundle.config["hooks"] = {"poststart": [hook], "poststop": [hook]}
    bundle.args("sleep", "1000").create()
    assert traced(bundle, "start", bundle.id).check().python
    assert json.loads(out.read_text())["status"] == "running"
    assert traced(bundle, "delete", "--force", bundle.id).check().python
    assert '"status":"stopped"' in out.read_text()


def test_what_keeps_the_command_from_starting_is_told(bundle: Bundle) -> None:
    bundle.put("rootfs/broken", b"\x7fELF", 0o755)
    bundle.config["process"]["args"] = ["/broken"]
    assert bundle.create().status == 0, bundle.said()
    result = bundle.runtime("--log-format", "json", "start", bundle.id)
    assert result.status == 1
    assert "Exec format error" in json.loads(result.err)["msg"]
    bundle.status_soon("stopped")


def test_many_words_are_handed_on(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    words = [f"word-{number}" for number in range(500)]
    result = bundle.runtime("exec", bundle.id, "/init", "echo", *words).check()
    assert words[0] in result.out
    log = str(bundle.dir / "start")
    assert bundle.account.run(*bundle.words(), "--log", log, "state", bundle.id, *words).status == 1


def test_a_running_container_is_not_deleted(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    refused = bundle.runtime("delete", bundle.id)
    assert (refused.status, "it is running, not stopped" in refused.err) == (1, True)
    again = bundle.runtime("start", bundle.id)
    assert (again.status, "it is running, not created" in again.err) == (1, True)


@pytest.mark.parametrize("word", ["..", "../x", "-x", "a/b", ".hidden", ""])
def test_an_id_that_leads_elsewhere(bundle: Bundle, word: str) -> None:
    for command in ("state", "start", "delete"):
        assert bundle.runtime(command, "--", word).status == 1


def test_a_file_of_another_version_is_not_read(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    front = Path(bundle.root, bundle.id, "front")
    front.write_text("2\nstate kill start delete\n\n{lies,\n{lies,\n")
    assert bundle.state()["status"] == "running"
    front.unlink()
    assert bundle.state()["status"] == "running"


def test_without_a_root_of_its_own(bundle: Bundle) -> None:
    """Where the containers are when nobody says it, is the same place for both."""
    program = bundle.words()[0]
    bundle.args("sleep", "1000").write()
    with open(bundle.dir / "output", "wb") as out:
        bundle.account.run(
            program, "run", "-d", "-b", bundle.dir, bundle.id, stdout=out, stderr=out
        ).check()
    assert '"status":"running"' in bundle.account.run(program, "state", bundle.id).check().out
    bundle.account.run(program, "delete", "--force", bundle.id).check()
    assert bundle.account.run(program, "--debug", "state", bundle.id).status == 1


def test_deleted_by_many_at_once(new_bundle: Callable[[], Bundle]) -> None:
    bundle = new_bundle().args("sleep", "1000").started()
    words = [*bundle.words(), "delete", "--force", bundle.id]
    running = [bundle.account.popen(*words, stderr=-3) for _ in range(5)]
    assert [process.wait(60) for process in running] == [0] * 5
    assert not Path(bundle.root, bundle.id).exists()
