"""Plans that are refused: each with the index of what is wrong, and before anything was made."""

from __future__ import annotations

import os
import subprocess

import pytest

from accounts import CHECKOUT
from rcrun.kernel import shim as kernel
from shim.plans import PATH, SHIM, Shim

CONTAINER = [["plan", "1"], ["session", "container"]]
LONG = str(2**63)


@pytest.fixture
def shim(accounts: object) -> Shim:
    """Whoever starts it: a plan is read before anybody's rights matter."""
    return Shim(accounts.get("root"))  # type: ignore[attr-defined]


def refused(shim: Shim, plan: list[list[str]]) -> tuple[int, str, str, int]:
    marker = shim.dir / "made"
    whole = [plan[0], ["exit", str(marker)], ["pid-file", str(marker)], *plan[1:]] if plan else plan
    outcome = shim.run(whole)
    assert outcome.status == 125, repr(outcome)
    assert outcome.failure is not None, repr(outcome)
    assert not marker.exists()
    step, *rest = outcome.failure
    return (step - 2 if step > 2 else step, *rest)  # type: ignore[return-value]


def with_setting(*words: str) -> list[list[str]]:
    return [*CONTAINER, list(words), ["exec", "/bin/true"]]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["strange"], 0),
        (["monitor", "x"], 1),
        (["id"], 1),
        (["report", "x"], 1),
        (["lock", "-1"], 1),
        (["lock", "4294967299"], 1),
        (["terminal", "1"], 2),
        (["terminal", "1", "-1"], 2),
        (["log", "", "0", "0"], 1),
        (["log", "/x", "many", "0"], 2),
        (["preserve-fds", "-1"], 1),
        (["preserve-fds", "1048577"], 1),
        (["preserve-fds", LONG], 1),
        (["preserve-fds", " 1"], 1),
        (["preserve-fds", "+1"], 1),
        (["preserve-fds", "1x"], 1),
        (["preserve-fds", ""], 1),
        (["hook", "prestart", "0", "0", "/x", "2", "a"], 5),
        (["hook", "prestart", "0", "0", "/x", "-1", "a"], 5),
        (["hook", "prestart", "0", "-1", "/x", "0"], 3),
        (["helper", "/x"], 2),
        (["uidmap", "", "0", "0"], 4),
        (["uidmap", "", "0", "-1", "1"], 3),
        (["gidmap", "", "0", "4294967296", "1"], 3),
        (["join", "user,pid", "/x"], 1),
        (["join", "odd", "/x"], 1),
        (["join-pid", "1", "x", "pid"], 2),
        (["join-pid", "1", "1", "odd"], 3),
        (["unshare", "mount,odd"], 1),
        (["unshare", "mount,,pid"], 1),
        (["time-offset", "boottime", "x", "0"], 2),
    ],
)  # fmt: skip
def test_a_setting(shim: Shim, words: list[str], word: int) -> None:
    step, call, error, at = refused(shim, with_setting(*words))
    assert (call, error) == ("plan", "EINVAL")
    assert (step, at) == (2, word)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["mount", "tmpfs", "tmpfs", "/x", ""], 5),
        (["mount", "", "tmpfs", "/x", "", ""], 1),
        (["root-overlay", "", "", ""], 4),
        (["device", "/x", "c", "1", "-3", "666", "0", "0"], 4),
        (["device", "/x", "c", "1", "3", "688", "0", "0"], 5),
        (["mkdir", "/x", "-1"], 2),
        (["mkdir", "/x", "0x1"], 2),
        (["rlimit", "RLIMIT_NOFILE", LONG, "1"], 2),
        (["user", "-1", "0"], 1),
        (["user", "0", "4294967296"], 2),
        (["capabilities", "0", "0", "0", "0"], 5),
        (["capabilities", "0", "0", "0", "0", "-1"], 5),
        (["capabilities", "10000000000000000", "0", "0", "0", "0"], 1),
        (["seccomp", "1000", ""], 1),
        (["seccomp", "4294967297", ""], 1),
        (["personality", "xyz"], 1),
        (["monitor"], 0),
        (["exec", "/bin/true"], 1),
        (["env", "A=1", "B=2"], None),
    ],
)  # fmt: skip
def test_a_step(shim: Shim, words: list[str], word: int | None) -> None:
    plan = [*CONTAINER, ["umask", "0"], words, ["exec", "/bin/true"]]
    if word is None:
        assert shim.run(plan).report is None
    else:
        assert refused(shim, plan) == (3, "plan", "EINVAL", word)


@pytest.mark.parametrize(
    ("plan", "step", "error"),
    [
        ([["session", "container"], ["exec", "/bin/true"]], -1, "EPROTO"),
        ([["plan", "2"], ["session", "container"], ["exec", "/bin/true"]], -1, "EPROTO"),
        ([["plan", "1"], ["exec", "/bin/true"]], -1, "EPROTO"),
        ([*CONTAINER, ["umask", "0"]], 2, "EINVAL"),
        ([*CONTAINER], 1, "EINVAL"),
        ([*CONTAINER, ["exec", "/bin/true"], ["umask", "0"]], 2, "EINVAL"),
        ([*CONTAINER, ["on-exit"], ["exec", "/bin/true"]], 3, "EINVAL"),
        ([["plan", "1"], ["session", "odd"], ["exec", "/bin/true"]], 1, "EPROTO"),
        ([["plan", "1"], ["session", "attach"]], 1, "EPROTO"),
        ([["plan", "1"], ["session", "work"], ["join", "pid", "/proc/self/ns/pid"], ["exec", "/bin/true"]], 2, "EINVAL"),
    ],
)  # fmt: skip
def test_a_whole(shim: Shim, plan: list[list[str]], step: int, error: str) -> None:
    outcome = shim.run(plan)
    assert (outcome.status, outcome.report.call) == (125, "plan"), repr(outcome)
    assert outcome.failure[0] == step
    assert outcome.failure[2] == error


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0\0",
        b"2",
        b"2\0plan\0",
        b"3\0plan\x001\0",
        b"0\0",
        b"-1\0plan\0",
        b"x\0plan\0",
        b"99999999999999999999\0plan\0",
        b"2\0plan\x001",
        b"2\0plan\x001\x002\0session\0",
        bytes(range(256)) * 8,
    ],
    ids=repr,
)
def test_bytes_that_are_no_records(shim: Shim, data: bytes) -> None:
    with shim.start(data, stderr=subprocess.PIPE) as process:
        said = process.stderr.read().decode()
    assert process.returncode == 125
    assert said.startswith("rcrun: error: plan: ")


def test_nothing_is_made_for_a_plan_that_is_wrong_at_its_end(shim: Shim) -> None:
    marker = shim.dir / "marker"
    steps = [["run", "/bin/touch", str(marker)], ["exec", "/bin/true"]]
    assert shim.run(shim.work(*steps)).report is None
    assert marker.exists()
    marker.unlink()
    assert shim.run([*shim.work(*steps[:1]), ["mkdir", "x", "9"]]).failure[3] == 2
    assert not marker.exists()


def test_words_with_a_nul_are_refused_by_python() -> None:
    with pytest.raises(ValueError, match="NUL"):
        kernel.encode_plan([["plan", "1"], ["exec", "a\0b"]])


@pytest.mark.parametrize("words", [[], ["x"], ["-1"], ["3", "4"], ["1 "]])
def test_words_on_the_command_line(words: list[str]) -> None:
    done = subprocess.run([SHIM, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125
    assert "it is not run by hand" in done.stderr


def test_a_descriptor_that_is_not_open() -> None:
    done = subprocess.run([SHIM, "77"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125
    assert "Bad file descriptor" in done.stderr


def test_a_plan_in_a_pipe(shim: Shim) -> None:
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write(kernel.encode_plan(shim.work(["exec", "/bin/echo", "read"])))
    result = shim.account.run(SHIM, str(reader), pass_fds=[reader])
    os.close(reader)
    assert result.out == "read\n"


def test_a_long_plan(shim: Shim) -> None:
    words = [f"NAME{number}={'x' * 100}" for number in range(5000)]
    plan = shim.work(["env", *words], ["exec", "/bin/sh", "-c", "env | wc -l"])
    assert int(shim.run(plan).out) >= 5000


# ---- Python's three ways to start it


def test_launch(shim: Shim) -> None:
    plan = shim.plan(end=[PATH, ["exec", "nothing"]], settings=[["monitor"]])
    report = kernel.launch(plan)
    assert (report.step, report.call, report.errno, report.word) == (len(plan) - 1, "execve", 2, 1)
    assert kernel.launch(shim.plan(settings=[["monitor"]])) is None


def test_run(shim: Shim, capfd: pytest.CaptureFixture[str]) -> None:
    assert kernel.run(shim.work(["exec", "/bin/sh", "-c", "echo out; exit 6"])) == 6
    assert kernel.run(shim.work(["exec", "/bin/sh", "-c", "kill -9 $$"])) == 137
    assert capfd.readouterr().out == "out\n"


def test_replace_process(shim: Shim) -> None:
    pid = os.fork()
    if pid == 0:
        kernel.replace_process(shim.plan(end=[PATH, ["exec", "sh", "-c", "exit 4"]]))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4


def test_a_shim_that_is_not_there(shim: Shim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "shim_path", lambda: "/no/shim")
    before = os.listdir("/proc/self/fd")
    for start in (kernel.launch, kernel.run):
        with pytest.raises(FileNotFoundError):
            start(shim.work(["exec", "/bin/true"]))  # type: ignore[operator]
    assert os.listdir("/proc/self/fd") == before


def test_every_record_is_in_the_contract() -> None:
    """docs/plan.md names each record that the shim knows, and no other."""
    sources = "".join(path.read_text() for path in sorted(CHECKOUT.glob("rcrun/shim/*.c")))
    known = set()
    for line in sources.splitlines():
        if line.startswith('\t{"') and (
            ", step_" in line or ", set_" in line or '"on-exit"' in line
        ):
            known.add(line.split('"')[1])
    text = (CHECKOUT / "docs/plan.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {
        part.split("`")[1].split()[0] for row in rows for part in row.split(" / ") if "`" in part
    }
    assert known <= named | {"on-exit", "plan"}, known - named
