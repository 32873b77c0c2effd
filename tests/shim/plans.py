"""The real shim, driven by plans: what each record does, seen from inside, and what it reports when it cannot."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from accounts import CHECKOUT, SYSTEM_PATH, Account, Result, bin_dir
from rcrun.kernel.shim import Report, decode_report, encode_plan

SANITIZED = os.environ.get("RCRUN_SANITIZE") == "1"
# As ci/test makes it: a copy of both packages beside the launchers.
SHIM = (bin_dir().parents[1] if SANITIZED else CHECKOUT) / "rcrun/shim/rcrun-shim"
BUSYBOX = "/bin/busybox"
APPLETS = (
    "cat chmod cp cut echo env false find grep head id ifconfig kill ls mkdir mount nice ps pwd readlink sh sleep sort"
    " stat touch tr true tty umount wc"
)
PATH = ["env", "PATH=/bin"]
SLEEP = [PATH, ["exec", "sleep", "1000"]]
PROC = ["mount", "proc", "proc", "/proc", "nosuid,nodev,noexec", ""]

Records = Iterable[Sequence[str]]


class Outcome:
    """What came of a plan: exit status, streams, and the report, None when there was none."""

    def __init__(self, result: Result, report: Report | None) -> None:
        self.status = result.status
        self.out = result.out
        self.err = result.err
        self.report = report

    def __repr__(self) -> str:
        return (
            f"status {self.status}\n--- stdout\n{self.out}--- stderr\n{self.err}--- {self.failure}"
        )

    @property
    def failure(self) -> tuple[int, str, str, int] | None:
        """(index of the record, call, name of errno, index of the word)"""
        report = self.report
        if report is None:
            return None
        name = errno.errorcode.get(report.errno, str(report.errno))
        return (report.step, report.call, name, report.word)


def memfd(data: bytes, name: str = "test") -> int:
    fd = os.memfd_create(name)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Shim:
    """Starts the shim as one account, with a root of its own that holds a static busybox."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.dir = account.new_dir("plan")
        self.root = self.dir / "root"
        self.program: list[str | os.PathLike[str]] = [SHIM]
        self._make_root()

    def _make_root(self) -> None:
        for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp"):
            (self.root / name).mkdir(parents=True)
        busybox = self.account.dir / "busybox"
        if not busybox.exists():
            busybox.write_bytes(Path(BUSYBOX).read_bytes())
            busybox.chmod(0o755)
        (self.root / "bin/busybox").hardlink_to(busybox)
        for applet in APPLETS.split():
            (self.root / "bin" / applet).symlink_to("busybox")
        (self.root / "etc/motd").write_text("hello\n")
        subprocess.run(
            ["chown", "-R", f"{self.account.uid}:{self.account.gid}", self.dir], check=True
        )

    # ---- records

    @property
    def is_root(self) -> bool:
        return self.account.uid == 0

    def maps(self) -> list[list[str]]:
        """Root of the container is the account; root needs no user namespace for that."""
        if self.is_root:
            return []
        return [
            ["uidmap", "", "0", str(self.account.uid), "1"],
            ["gidmap", "", "0", str(self.account.gid), "1"],
        ]

    def namespaces(self, types: str) -> list[list[str]]:
        words = [*([] if self.is_root else ["user"]), *([types] if types else [])]
        return [*self.maps(), ["unshare", ",".join(words)]]

    def plan(
        self,
        *steps: Sequence[str],
        settings: Records = (),
        types: str = "mount,pid",
        before: Records = (),
        after: Records = (),
        end: Records | None = None,
    ) -> list[list[str]]:
        """A container: `before` the pivot, `steps` behind it, `end` instead of the command, `after` its end."""
        command = [PATH, ["exec", "true"]] if end is None else end
        records = [
            ["plan", "1"],
            ["session", "container"],
            *settings,
            *self.namespaces(types),
            ["propagation", "rslave"],
            ["root-bind", str(self.root)],
            *before,
            ["pivot"],
            *steps,
            *command,
            *([["on-exit"], *after] if after else []),
        ]
        return [list(record) for record in records]

    def work(self, *steps: Sequence[str], settings: Records = ()) -> list[list[str]]:
        records = [["plan", "1"], ["session", "work"], *settings, *self.namespaces("")]
        return [list(record) for record in (*records, *steps)]

    # ---- running

    def start(
        self, plan: Records | bytes, *, fds: Sequence[int] = (), **options: object
    ) -> subprocess.Popen[bytes]:
        """The shim with this plan as its child would be; no report."""
        data = plan if isinstance(plan, bytes) else encode_plan(list(plan))
        fd = memfd(data, "rcrun-plan")
        try:
            words = [*self.program, str(fd)]
            return self.account.popen(*words, pass_fds=(fd, *fds), **options)
        finally:
            os.close(fd)

    def run(
        self,
        plan: Sequence[Sequence[str]],
        *,
        fds: Sequence[int] = (),
        program: Sequence[str | os.PathLike[str]] = (),
        **options: object,
    ) -> Outcome:
        """To the end, with a report as Python's launch() asks for it; its index is that of `plan`."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        reported = [plan[0], ["report", str(writer)], *plan[1:]]
        fd = memfd(encode_plan(reported), "rcrun-plan")
        try:
            words = [*(program or self.program), str(fd)]
            result = self.account.run(*words, pass_fds=(fd, writer, *fds), **options)
        finally:
            os.close(writer)
            os.close(fd)
        with open(reader, "rb") as file:
            report = decode_report(file.read())
        if report is not None and report.step > 0:
            report.step -= 1
        return Outcome(result, report)

    def sh(self, script: str, *steps: Sequence[str], **given: object) -> Outcome:
        """A shell's script in a container made by plan(), which must be made."""
        options = {name: given.pop(name) for name in ("fds", "input", "timeout") if name in given}
        plan = self.plan(*steps, end=[PATH, ["exec", "sh", "-c", script]], **given)  # type: ignore[arg-type]
        outcome = self.run(plan, **options)  # type: ignore[arg-type]
        assert outcome.report is None, repr(outcome)
        return outcome

    def fails(self, record: Sequence[str], **given: object) -> tuple[str, str, int]:
        """(call, errno, word) of a container that cannot be made because of one record, which is in `before`."""
        fds = given.pop("fds", ())
        plan = self.plan(before=[record], **given)  # type: ignore[arg-type]
        outcome = self.run(plan, fds=fds)  # type: ignore[arg-type]
        failure = outcome.failure
        assert failure is not None, repr(outcome)
        assert plan[failure[0]] == list(record), repr(outcome)
        return failure[1:]


def script(path: Path, text: str) -> str:
    """An executable for the host's shell, as hooks and helpers are."""
    path.write_text(f"#!/bin/sh\nPATH={SYSTEM_PATH}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def start_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def is_alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def whole_json(path: Path) -> dict[str, int]:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)
    document: dict[str, int] = json.loads(path.read_text())
    return document


def hook(
    kind: str, index: int, path: str, *args: str, timeout: int = 0, env: tuple[str, ...] = ()
) -> list[str]:
    return ["hook", kind, str(index), str(timeout), path, str(len(args)), *args, *env]


def fails(shim: Shim, *steps: list[str], at: int = 0, **given: object) -> tuple[str, str, int]:
    """The report of steps behind the pivot, which must be about the one at this place among them."""
    plan = shim.plan(*steps, before=[PROC], **given)  # type: ignore[arg-type]
    outcome = shim.run(plan)
    assert outcome.failure is not None, repr(outcome)
    assert plan[outcome.failure[0]] == steps[at], repr(outcome)
    return outcome.failure[1:]
