"""What a store leaves behind: processes, mounts, directories, names."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import Account, bin_dir
from waiting import wait_for

NO_NETWORK = ("--network", "none")


def stat_of(pid: int | str) -> tuple[str, str]:
    """Name and state; empty for what is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", ""
    name, _, rest = text.partition("(")[2].rpartition(")")
    return name, rest.split()[0]


def is_there(pid: int | str) -> bool:
    return stat_of(pid)[1] not in ("", "Z", "X")


class Traces:
    """Everything on the host that belongs to one Rcrun; `account.dir` is in its paths."""

    def __init__(self, rcrun, *, by_mounts: bool = True) -> None:  # type: ignore[no-untyped-def]
        self.rcrun = rcrun
        # A store that is a mount of the host is in every mount namespace that anybody makes.
        self.by_mounts = by_mounts
        self.mark = str(rcrun.store_dir.parent).rpartition("/rcrun-tests-")[2].encode()
        self.before = set(self.processes())

    def processes(self) -> dict[int, str]:
        """pid → name of what is no zombie and has our store in environment, arguments or mounts."""
        found = {}
        here = os.readlink("/proc/self/ns/mnt")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            name, state = stat_of(pid)
            if state in ("", "Z", "X") or int(pid) == os.getpid():
                continue
            try:
                is_elsewhere = self.by_mounts and os.readlink(f"/proc/{pid}/ns/mnt") != here
                files = ("environ", "cmdline", "mountinfo")[: 3 if is_elsewhere else 2]
                if any(self.mark in Path(f"/proc/{pid}/{file}").read_bytes() for file in files):
                    found[int(pid)] = name
            except OSError:
                continue
        return found

    def left(self) -> list[str]:
        rcrun = self.rcrun
        found = []
        for folder in ("containers", "names", "trash", "tmp"):
            place = rcrun.store_dir / folder
            found += [f"{folder}/{name}" for name in os.listdir(place)] if place.exists() else []
        live = rcrun.account.runtime_dir / "rcrun/containers"
        found += [f"live/{name}" for name in os.listdir(live)] if live.exists() else []
        lines = Path("/proc/self/mounts").read_text().splitlines()
        found += [line for line in lines if f"{rcrun.store_dir}/" in line]
        now = self.processes()
        return found + [f"{pid} {name}" for pid, name in now.items() if pid not in self.before]

    def check_nothing_left(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while left := self.left():
            assert time.monotonic() < until, left
            time.sleep(0.05)

    def check_truth(self) -> dict[str, str]:
        """What ps shows as running runs, what is shown can be inspected; name → state."""
        form = "{{.ID}} {{.Names}} {{.State}} {{.Pid}}"
        lines = self.rcrun("ps", "-a", "--no-trunc", "--format", form).check().out.splitlines()
        shown = {}
        for container_id, name, state, pid in (line.split() for line in lines):
            until = time.monotonic() + 60
            while state == "running" and not is_there(pid):
                assert time.monotonic() < until, f"{name} is shown as running"
                got = self.rcrun("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", container_id)
                state, pid = [*got.out.split(), "gone", "0"][:2]
            shown[name] = state
        return shown

    def clean(self) -> None:
        """What a user does, and the age that makes a half-made thing a leftover; no fault came of it all."""
        check = self.rcrun("system", "check", "--quick")
        assert check.status == 0, check.out
        self.rcrun("rm", "-fa").check()
        for folder in ("containers", "tmp", "trash"):
            for path in (self.rcrun.store_dir / folder).glob("*"):
                os.utime(path, (0, 0), follow_symlinks=False)
        self.rcrun("container", "prune", "-f").check()


@pytest.fixture
def traces(rcrun) -> Traces:  # type: ignore[no-untyped-def]
    return Traces(rcrun)


@pytest.fixture
def chance() -> random.Random:
    """Its seed is printed, and RCRUN_SEED repeats a run."""
    seed = int(os.environ.get("RCRUN_SEED") or random.randrange(1_000_000))
    print(f"RCRUN_SEED={seed}")
    return random.Random(seed)


def rounds(usual: int) -> int:
    return int(os.environ.get("RCRUN_ROUNDS") or usual)


@pytest.fixture
def strace(account: Account) -> Callable[..., list[str]]:
    """The words that run rcrun under strace, followed into the shim.

    Root traces, and becomes the account: newuidmap has its privilege only if the tracer may give it.
    """

    def words(*rules: str) -> list[str]:
        user = [] if account.uid == os.geteuid() else ["-u", account.name]
        rule_words = [word for rule in rules for word in ("-e", rule)]
        return [
            "strace",
            "-f",
            "-qq",
            *user,
            "-o",
            "/dev/null",
            *rule_words,
            str(bin_dir() / "rcrun"),
        ]

    return words


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def kill(pid: int) -> None:
    """And wait for its end."""
    end(pid)
    wait_for(lambda: not is_there(pid))
