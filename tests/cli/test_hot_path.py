"""The hot commands import little: no click, no re, no enum, and what those bring along."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts import CHECKOUT
from cli.hot_modules import OWN, STANDARD
from rcrun.files import write_json
from rcrun.kernel.process import start_time

LAUNCHER = CHECKOUT / "rcrun-cli/bin/rcrun"


class Engine:
    """rcrun with a store of its own; each call tells which modules it imported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rootfs = folder / "rootfs"
        self.rootfs.mkdir()
        self.env = {
            "CONTAINERS_CONF": "/dev/null",  # whatever this host has
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "RCRUN_ROOT": str(folder / "store"),
            "RCRUN_RUNROOT": str(folder / "live"),
        }

    def imports(self, *words: str) -> tuple[set[str], str]:
        """Modules, and what else was on stderr."""
        done = subprocess.run(
            [sys.executable, "-IS", "-X", "importtime", LAUNCHER, *words],
            env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        lines = done.stderr.splitlines()
        timed = [line for line in lines if line.startswith("import time:")]
        rest = [line for line in lines if not line.startswith("import time:")]
        names = {line.rpartition("|")[2].strip() for line in timed} - {"imported package"}
        return names, "\n".join(rest)

    def warm(self) -> None:
        """The first start compiles the seccomp filter, which the others find."""
        self.imports("start", self.create())

    def create(self) -> str:
        words = ["create", "--network", "none", "--rootfs", str(self.rootfs), "/true"]
        done = subprocess.run(
            [LAUNCHER, *words], env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What the interpreter imports by itself."""
    done = subprocess.run(
        [sys.executable, "-IS", "-X", "importtime", "-c", "pass"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.fixture
def running(engine: Engine) -> Iterator[str]:
    """A container that is a process of ours, by its state.json."""
    container_id = engine.create()
    process = subprocess.Popen(["sleep", "1000"])
    start = start_time(process.pid)
    live = engine.folder / "live/containers" / container_id
    live.mkdir(parents=True, mode=0o700)
    state = {"monitor": process.pid, "monitor_start": start, "pid": process.pid, "pid_start": start}
    write_json(str(live / "state.json"), {**state, "started": 1_700_000_000_000_000_000})
    yield container_id
    process.kill()
    process.wait()


def within_budget(command: str, names: set[str], bare: set[str]) -> None:
    # There is no /true in the container, so that it fails, with all done that one does that starts.
    names = names - {"rcrun.engine.launchfailed"}
    own = {name for name in names if name.partition(".")[0] in ("rcrun", "rcrun_cli")}
    foreign = names - own - bare - STANDARD
    assert "rcrun_cli.program" in own
    assert not foreign, f"{command} imports {sorted(foreign)}"
    assert "rcrun_cli.clickapp" not in own
    assert len(own) <= OWN[command], f"{command} imports {len(own)} own modules: {sorted(own)}"


def test_ps_of_running_and_stopped_ones(engine: Engine, bare: set[str], running: str) -> None:
    names, rest = engine.imports("ps", "-a")
    assert rest == ""
    within_budget("ps", names - {"rcrun.formats", "rcrun.formats.duration"}, bare)


def test_exec(engine: Engine, bare: set[str], running: str) -> None:
    """Up to the shim, which cannot join the namespaces of a process that has none."""
    engine.warm()
    within_budget("exec", engine.imports("exec", running, "/true")[0], bare)


@pytest.mark.parametrize("words", [["stop", "-t", "1"], ["kill"]], ids=["stop", "kill"])
def test_signals(engine: Engine, bare: set[str], running: str, words: list[str]) -> None:
    names, _ = engine.imports(*words, running)
    within_budget(words[0], names, bare)


@pytest.mark.parametrize("command", ["start", "logs", "wait", "rm", "stop"])
def test_one_that_does_not_run(engine: Engine, bare: set[str], command: str) -> None:
    if command == "start":
        engine.warm()
    names, rest = engine.imports(command, engine.create())
    assert "bug" not in rest
    within_budget(command, names, bare)


@pytest.mark.parametrize("words", [["create"], ["run", "--rm"], ["run", "-d"]], ids=" ".join)
def test_new_containers(engine: Engine, bare: set[str], words: list[str]) -> None:
    engine.warm()
    options = ["-e", "A=b", "-v", f"{engine.folder}:/mnt", "--network", "none"]
    names, rest = engine.imports(*words, *options, "--rootfs", str(engine.rootfs), "/true")
    assert "bug" not in rest
    within_budget(words[0], names, bare)


@pytest.mark.parametrize(
    "words", [["ps"], ["create", "--network", "none"]], ids=lambda words: words[0]
)
def test_credentials_of_docker_load_nothing(engine: Engine, words: list[str]) -> None:
    """config.json of most people has nothing else: it is read, and that is all."""
    words += ["--rootfs", str(engine.rootfs), "/true"] if words[0] == "create" else []
    before = engine.imports(*words)[0]
    (engine.folder / ".docker").mkdir()
    text = '{"auths": {"host": {"auth": "bWU6aXQ="}}, "credsStore": "pass", "currentContext": "default"}'
    (engine.folder / ".docker/config.json").write_text(text)
    names, rest = engine.imports(*words)
    assert "warning" not in rest
    assert names <= before


def test_attach_to_nothing(engine: Engine, bare: set[str]) -> None:
    within_budget("attach", engine.imports("attach", engine.create())[0], bare)


def test_a_build_that_makes_nothing(engine: Engine, bare: set[str]) -> None:
    """As when all steps are in the cache: neither pools of threads nor what makes a container."""
    context = engine.folder / "context"
    context.mkdir()
    (context / "Containerfile").write_text("FROM scratch\nENV a=b\n")
    names, rest = engine.imports("build", "-q", str(context))
    assert "rcrun.engine.build.builder" in names, rest
    heavy = {
        "concurrent.futures",
        "contextlib",
        "copy",
        "enum",
        "json",
        "logging",
        "re",
        "threading",
    }
    assert not (names - bare) & heavy
    assert not names & {"rcrun.engine.config", "rcrun.engine.launch", "rcrun.engine.run"}
