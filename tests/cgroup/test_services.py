"""Containers that are services of systemd: who says that they are ready, sockets that it opened, the unit's own group."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts import Account, Result, bin_dir
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "subids", "systemd", "cgroup-limits")
HOSTS_PROGRAMS = ("-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro")
STAYS = "trap 'exit 0' TERM; echo up; sleep 100 & wait"


class Services:
    """Transient units that run rcrun, of the user's systemd or of the host's."""

    def __init__(self, account: Account, rcrun: Callable[..., Result]) -> None:
        self.account = account
        self.rcrun = rcrun
        self.units: list[str] = []
        self.bus = {"XDG_RUNTIME_DIR": f"/run/user/{account.uid}"}

    def systemd(self, program: str, *words: str) -> Result:
        who = [] if self.account.uid == 0 else ["--user"]
        return self.account.run(program, *who, *words, env=self.bus)

    def start(self, unit: str, options: tuple[str, ...], *words: str) -> Result:
        self.units.append(unit)
        environ = {**self.account.environ, **self.rcrun.env}  # type: ignore[attr-defined]
        given = [f"-E{name}={environ[name]}" for name in ("PATH", "RCRUN_ROOT", "RCRUN_RUNROOT")]
        started = ("--quiet", "--unit", unit, *given, *options, "--", str(bin_dir() / "rcrun"))
        return self.systemd("systemd-run", *started, *words)

    def show(self, unit: str, *names: str) -> list[str]:
        given = [self.systemd("systemctl", "show", "-P", name, unit).check().out for name in names]
        return [text.strip() for text in given]


@pytest.fixture
def services(account: Account, rcrun) -> Iterator[Services]:
    made = Services(account, rcrun)
    yield made
    for unit in made.units:
        made.systemd("systemctl", "stop", unit, f"{unit}.socket")
        made.systemd("systemctl", "reset-failed", unit)
    wait_for(lambda: not list(Path("/sys/fs/cgroup").rglob("rcrun-*.scope")))


def state(services: Services, name: str, field: str) -> str:
    return services.rcrun("inspect", "-f", "{{.State." + field + "}}", name).check().out.strip()


SAYS_IT = f"sleep 0.5; /usr/bin/systemd-notify --ready --status='it is fine' --pid=1; {STAYS}"
CHECKED = ("--health-cmd", "test -e /good", "--health-interval", "100ms")


@pytest.mark.parametrize(
    ("account", "mode", "words", "script"),
    [
        ("root", "conmon", (), STAYS),
        ("user", "healthy", CHECKED, f"sleep 0.5; touch /good; {STAYS}"),
        ("user", "container", HOSTS_PROGRAMS, SAYS_IT),
        ("root", "container", HOSTS_PROGRAMS, SAYS_IT),
    ],
    indirect=["account"],
)
def test_who_tells_that_it_is_ready(services: Services, mode, words, script) -> None:
    """systemd-run waits until then; the monitor is the service's main process."""
    unit = f"rcrun-test-{mode}"
    begun = time.monotonic()
    run = ("run", "--name", "web", "--sdnotify", mode, *words, "--network", "none", "busybox")
    services.start(
        unit, ("-p", "Type=notify", "-p", "NotifyAccess=all"), *run, "sh", "-c", script
    ).check()
    assert mode == "conmon" or time.monotonic() - begun > 0.5
    assert services.show(unit, "ActiveState", "MainPID") == [
        "active",
        state(services, "web", "ConmonPid"),
    ]
    if mode == "container":
        assert services.show(unit, "StatusText") == ["it is fine"]
    wait_for(lambda: services.rcrun("logs", "web").out == "up\n")
    services.systemd("systemctl", "stop", unit).check()
    assert services.show(unit, "Result") == ["success"]
    assert state(services, "web", "Status") == "exited"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_detached_one_in_the_unit_itself(services: Services) -> None:
    """As Quadlet has it: `run -d` ends, and what it has started is the unit, whose end is its end."""
    unit = "rcrun-test-split"
    options = ("-p", "Type=notify", "-p", "NotifyAccess=all", "-p", "Delegate=yes")
    run = (
        "run",
        "-d",
        "--name",
        "web",
        "--cgroups",
        "split",
        "--sdnotify",
        "conmon",
        "--memory",
        "64m",
    )
    services.start(unit, options, *run, "--network", "none", "busybox", "sh", "-c", STAYS).check()
    group = services.show(unit, "ControlGroup")[0]
    path = state(services, "web", "CgroupPath")
    assert os.path.dirname(path) == group
    assert Path(f"/sys/fs/cgroup{path}/memory.max").read_text() == f"{64 << 20}\n"
    wait_for(lambda: services.rcrun("logs", "web").out == "up\n")
    services.systemd("systemctl", "stop", unit).check()
    assert (services.show(unit, "Result"), state(services, "web", "Status")) == (
        ["success"],
        "exited",
    )
    refused = services.rcrun("run", "--cgroups", "split", "--network", "none", "busybox", "true")
    assert "Delegate=yes" in refused.err


SERVES = """\
import os, socket
print(os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] == str(os.getpid()), os.environ["LISTEN_FDNAMES"], flush=True)
peer, _ = socket.socket(fileno=3).accept()
peer.sendall(b"hello")
"""


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.parametrize("init", [(), ("--init",)])
def test_a_socket_that_systemd_opened(services: Services, init: tuple[str, ...]) -> None:
    """The container is started by the first who connects."""
    path = str(services.account.new_dir("socket") / "s")
    options = (f"--socket-property=ListenStream={path}", "--socket-property=FileDescriptorName=web")
    run = ("run", "--name", "web", *init, *HOSTS_PROGRAMS, "--network", "none", "busybox")
    services.start("rcrun-test-socket", options, *run, "/usr/bin/python3", "-c", SERVES).check()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(path)
        assert client.recv(10) == b"hello"
    wait_for(lambda: services.rcrun("logs", "web").check().out == "1 True web\n")
