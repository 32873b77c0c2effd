"""Exit statuses and messages: what goes wrong is told in words, on stderr, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accounts import CHECKOUT
from rcrun.errors import CommandNotFound, NotFound
from rcrun.kernel import shim
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option
from rcrun_cli.main import Program, run
from rcrun_cli.program import program, rcrun

LAUNCHER = CHECKOUT / "rcrun-cli/bin/rcrun"


@command()
@option("--how", type=["fine", "missing", "gone", "path", "bug", "stop", "three", "system"])
def act(how: str | None) -> int | None:
    """Fail in a way."""
    if how == "missing":
        raise NotFound('no container "x"', "rcrun ps -a lists them")
    if how == "gone":
        raise CommandNotFound("there is no such command")
    if how == "path":
        open("/nowhere/at/all")
    if how == "bug":
        raise KeyError("oops")
    if how == "stop":
        raise KeyboardInterrupt
    if how == "system":
        raise OSError("odd")
    return 3 if how == "three" else None


@command(failure_status=125)
@argument("word")
def strict(word: str) -> None:
    """Fail as run does."""
    raise NotFound(word)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Program:
    """rcrun's own program over the two commands above."""
    unset = (
        ("root", None),
        ("runroot", None),
        ("config_dir", None),
        ("debug", False),
        ("phases", None),
    )
    for name, value in unset:
        monkeypatch.setattr(context.settings, name, value)
    own = program("rcrun")
    monkeypatch.setattr(Program, "load", lambda self, row: globals()[row[0]])
    return Program(
        "rcrun",
        rcrun,
        "unused",
        {"Test": {"act": ("act", "Act"), "strict": ("strict", "Be strict")}},
        setup=own.setup,
        complain=own.complain,
        version=own.version,
        debugs=own.debugs,
        finished=own.finished,
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["act"], 0, ""),
        (["act", "--how", "three"], 3, ""),
        (["act", "--how", "stop"], 130, ""),
        (["act", "--how", "missing"], 1, 'rcrun: error: no container "x"\nhint: rcrun ps -a lists them\n'),
        (["act", "--how", "gone"], 127, "rcrun: error: there is no such command\n"),
        (["act", "--how", "path"], 1, 'rcrun: error: "/nowhere/at/all": no such file or directory\n'),
        (["strict", "a"], 125, "rcrun: error: a\n"),
        (["nope"], 1, 'rcrun: error: there is no command "nope"\nhint: see rcrun --help\n'),
        (["acts"], 1, 'rcrun: error: there is no command "acts"; did you mean act?\nhint: see rcrun --help\n'),
        (["strict"], 125, "rcrun: error: missing argument 'WORD'\nhint: see rcrun strict --help\n"),
        (["act", "--how"], 125, "rcrun: error: option '--how' requires an argument\nhint: see rcrun act --help\n"),
        (["--host", "tcp://h", "act"], 1, "rcrun: error: cannot use the engine at \"tcp://h\": rcrun has no "
         "daemon, it works on this host only\nhint: log in there and run the same command: ssh HOST rcrun …\n"),
    ],
)  # fmt: skip
def test_statuses_and_words(
    whole: Program, capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    assert run(whole, words) == status
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(
    "words", [["act", "--hwo", "fine"], ["act", "--how", "so"], ["--nope", "act"]]
)
def test_usage_errors_are_125_and_name_the_word(
    whole: Program, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert run(whole, words) == 125
    error = capsys.readouterr().err
    assert error.startswith("rcrun: error: ")
    assert any(word in error for word in ("--hwo", "so", "--nope"))
    assert error.count("\n") == 2


def test_a_bug_is_one_line_and_a_trace_under_debug(
    whole: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(whole, ["act", "--how", "bug"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        "rcrun: error: this is a bug in rcrun: KeyError: 'oops' (test_main.py, line "
    )
    assert "Traceback" not in error
    run(whole, ["--debug", "act", "--how", "bug"])
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_the_system_without_a_path_still_has_words(
    whole: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(whole, ["act", "--how", "system"]) == 1
    assert capsys.readouterr().err.startswith("rcrun: error: odd\nhint: ")


def test_debug_shows_plans_without_the_values_of_the_environment(
    whole: Program, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shim, "on_plan", None)
    assert run(whole, ["--debug", "act"]) == 0
    os.close(shim.plan_fd([["plan", "1"], ["env", "TOKEN=secret"], ["exec", "/a b"]]))
    expected = "plan for the shim:\n   0 plan 1\n   1 env 'TOKEN=…'\n   2 exec '/a b'\n\n"
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("phase ")) == expected
    phases = [line.split(":")[0] for line in lines if line.startswith("phase ")]
    assert phases == ["phase interpreter", "phase command line", "phase command", "phase plan"]


def launch(
    *words: str, path: Path = LAUNCHER, **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([path, *words], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [LAUNCHER, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "rcrun: error: cannot write standard output: no space left on device\n"


def test_a_reader_that_went_away_is_none() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [LAUNCHER, "version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_the_launcher_finds_the_package_through_links(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/first").symlink_to(LAUNCHER)
    (tmp_path / "rcrun").symlink_to("far/first")
    done = launch("--version", path=tmp_path / "rcrun", cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rcrun version ")


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_the_name_makes_the_personality(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(LAUNCHER)
    version = launch("--version", path=tmp_path / name).stdout
    assert version.lower().startswith(f"{name} version ")
    error = launch("nope", path=tmp_path / name)
    assert error.returncode == {"docker": 1, "podman": 125}[name]
    assert error.stderr.startswith({"docker": "docker: ", "podman": "Error: "}[name])


def test_an_installed_launcher_finds_site_packages(tmp_path: Path) -> None:
    """bin/rcrun beside lib/pythonX.Y/site-packages, with odd characters in the path."""
    top = tmp_path / "an odd 'place"
    site = top / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    (top / "bin").mkdir(parents=True)
    site.mkdir(parents=True)
    (top / "bin/rcrun").write_bytes(LAUNCHER.read_bytes())
    (top / "bin/rcrun").chmod(0o755)
    (top / "bin/python3").symlink_to(sys.executable)
    (site / "rcrun").symlink_to(CHECKOUT / "rcrun")
    (site / "rcrun_cli").symlink_to(CHECKOUT / "rcrun-cli/rcrun_cli")
    done = launch("--root", str(tmp_path / "none"), "version", path=top / "bin/rcrun")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Client: rcrun\n")


def test_the_environment_of_python_does_not_reach_us(tmp_path: Path) -> None:
    (tmp_path / "rcrun_cli.py").write_text("raise SystemExit('hijacked')")
    done = launch("version", env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert done.returncode == 0
