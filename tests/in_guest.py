"""Tests of what this host lacks and the guest has (tests/rig) run in there, and their reports count here.

`requires("systemd")` and `requires("cgroup-limits")` mark them; a host that has both runs them itself. The guest's
pytest writes each report to a file as it comes; pytest here gives them out in the tests' places, so there is one
summary and one exit status.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import CHECKOUT, SYSTEM_PATH, USER, bin_dir, user_bus
from parallel import GUEST, plain_id

TIME_LIMIT = 1500
MAKERS = ["linux.uml", "mmdebstrap", "mke2fs"]
REPORTS = "RCRUN_GUEST_REPORTS"


# ---- what it is for


def cgroup_limits() -> str | None:
    """cgroup v2 with the controllers that limits are made of."""
    path = Path("/sys/fs/cgroup/cgroup.controllers")
    given = path.read_text(encoding="ascii").split() if path.exists() else []
    missing = {"cpu", "io", "memory", "pids"} - set(given)
    return f"cgroup v2 has no {', '.join(sorted(missing))} here" if missing else None


def systemd() -> str | None:
    """As init, with cgroup v2, and with a manager of the tests' user that is up."""
    if not os.path.exists("/run/systemd/system"):
        return "systemd is not init here"
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "cgroup v2 is not at /sys/fs/cgroup"
    up = user_bus(pwd.getpwnam(USER).pw_uid).exists()
    return None if up else f"no systemd runs for {USER}: loginctl enable-linger {USER}"


IN_THE_GUEST: dict[str, Callable[[], str | None]] = {
    "cgroup-limits": cgroup_limits,
    "systemd": systemd,
}


def names_for(item: pytest.Item) -> set[str]:
    """What the test needs that the guest has."""
    return {name for mark in item.iter_markers("requires") for name in mark.args} & set(
        IN_THE_GUEST
    )


def unusable() -> str | None:
    """Why no guest can be booted here."""
    if os.environ.get("RCRUN_GUEST") == "no":
        return "RCRUN_GUEST=no"
    if os.geteuid() != 0:
        return "the guest is booted by root: make test takes sudo for it"
    missing = [name for name in MAKERS if not shutil.which(name, path=SYSTEM_PATH)]
    return f"the guest needs {', '.join(missing)}: run ci/setup test" if missing else None


# ---- here


class Here:
    """Finds the tests, boots the guest for them, gives their reports out."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.guest: Guest | None = None
        self.ids: set[str] = set()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """For `-m guest`, and for one worker."""
        if names_for(item):
            item.add_marker(pytest.mark.guest)
            item.add_marker(pytest.mark.xdist_group(GUEST))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        lacking = {name for name, probe in IN_THE_GUEST.items() if probe() is not None}
        theirs = [item for item in session.items if names_for(item) & lacking]
        if not theirs or unusable():
            return  # each of them says why it cannot run: requires
        self.ids = {item.nodeid for item in theirs}
        # First, so that what a session has set up is still taken down by a test that runs here.
        session.items.sort(key=lambda item: item.nodeid not in self.ids)
        self.guest = Guest(self.config, [plain_id(item) for item in theirs])
        for item in theirs:
            item.add_marker(pytest.mark.timeout(0))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if self.guest is None or item.nodeid not in self.ids:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self.guest.reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_unconfigure(self) -> None:
        if self.guest is not None:
            self.guest.close()


class Guest:
    """pytest in the guest; booted when the first report is asked for."""

    def __init__(self, config: pytest.Config, ids: list[str]) -> None:
        self.config = config
        self.dir = Path(tempfile.mkdtemp(prefix="rcrun-in-guest-"))
        (self.dir / "ids").write_text("".join(f"{one}\n" for one in ids), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.lines: Iterator[str] = iter(())
        self.told: dict[str, list[pytest.TestReport]] = {}

    def start(self) -> subprocess.Popen[bytes]:
        reports = self.dir / "reports"
        reports.touch()
        words = ["setpriv", "--pdeathsig", "TERM", "--", str(CHECKOUT / "tests/rig/guest")]
        words += ["--timeout", str(TIME_LIMIT)]
        words += ["--write", str(CHECKOUT), "--write", str(self.dir), "--cwd", str(CHECKOUT)]
        if not bin_dir().is_relative_to(CHECKOUT):
            words += ["--share", str(bin_dir().parents[1])]
        if sys.prefix != sys.base_prefix and not Path(sys.prefix).is_relative_to(CHECKOUT):
            words += ["--share", sys.prefix]
        words += ["--", "env", *environment(), f"{REPORTS}={reports}", *pytest_words()]
        with open(self.dir / "output", "wb") as output:
            process = subprocess.Popen([*words, f"@{self.dir}/ids"], stdout=output, stderr=output)
        self.lines = lines_of(reports, process)
        return process

    def reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        if self.process is None:
            self.process = self.start()
        found = self.told.setdefault(plain_id(item), [])
        for line in self.lines if not is_whole(found) else ():
            report = self.report_of(json.loads(line))
            self.told.setdefault(report.nodeid, []).append(report)
            if is_whole(found):
                break
        for report in found:
            report.nodeid = item.nodeid
            yield report
        if is_whole(found):
            return
        output = (self.dir / "output").read_text(encoding="utf-8", errors="replace")
        why = f"the guest ended without a report of this test; it said:\n{output[-4000:]}"
        yield pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")

    def report_of(self, data: dict[str, Any]) -> pytest.TestReport:
        report = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
        if isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # of a skip; JSON has no tuples
        return report

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def is_whole(reports: list[pytest.TestReport]) -> bool:
    return bool(reports) and reports[-1].when == "teardown"


def environment() -> list[str]:
    """What is told to the tests by environment, and who runs them there: the guest's own user."""
    told = [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name in ("OCI_RUNTIME", "RCRUN_STRICT", "RCRUN_SANITIZE", "CI")
    ]
    path = f"{bin_dir()}:{Path(sys.executable).parent}:{SYSTEM_PATH}"
    return [*told, f"RCRUN_TEST_BIN={bin_dir()}", f"PATH={path}"]


def pytest_words() -> list[str]:
    """Nothing is quick in there."""
    words = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider"]
    return [*words, "-o", "timeout=600"]


def lines_of(path: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of a file that the process appends to, as they come."""
    with open(path, encoding="utf-8") as file:
        rest = ""
        while True:
            ended = process.poll() is not None
            rest += file.read()
            *whole, rest = rest.split("\n")
            yield from whole
            if ended:
                return
            if not whole:
                time.sleep(0.05)


# ---- there


class There:
    """Writes the reports."""

    def __init__(self, config: pytest.Config, path: str) -> None:
        self.config = config
        self.file = open(path, "a", encoding="utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.file.write(json.dumps(data) + "\n")
        self.file.flush()
        # The folder is the host's; it sees what has left the guest's own cache.
        os.fsync(self.file.fileno())


def plugins(config: pytest.Config) -> list[object]:
    reports = os.environ.get(REPORTS)
    return [Here(config), There(config, reports)] if reports else [Here(config)]
