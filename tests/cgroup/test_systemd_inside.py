"""A systemd as the first process of a container: the guest's own, in a tree that has little else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts import Account, user_bus

pytestmark = pytest.mark.requires("userns", "systemd", "cgroup-limits")
USERS = ("root:x:0:0", "messagebus:x:100:100", "systemd-network:x:998:998", "nobody:x:65534:65534")
GROUPS = (
    "root:x:0",
    "adm:x:4",
    "tty:x:5",
    "utmp:x:43",
    "messagebus:x:100",
    "systemd-network:x:998",
    "systemd-journal:x:999",
)
FILES = {
    "etc/passwd": "".join([f"{user}::/root:/bin/sh\n" for user in USERS]),
    "etc/group": "".join([f"{group}:\n" for group in GROUPS]),
    "etc/machine-id": "",
}
FOLDERS = (
    "usr",
    "etc",
    "var/log/journal",
    "var/lib",
    "var/cache",
    "tmp",
    "run",
    "root",
    "dev",
    "proc",
    "sys",
)
OURS = """\
[Service]
Type=oneshot
RemainAfterExit=yes
MemoryMax=32M
ExecStart=/bin/sh -c 'cat /proc/self/cgroup /sys/fs/cgroup/system.slice/ours.service/memory.max >/root/started'
ExecStop=/usr/bin/touch /root/stopped
[Install]
WantedBy=multi-user.target
"""


def tree(account: Account) -> Path:
    top = account.new_dir("tree")
    account.run("mkdir", "-p", *[str(top / folder) for folder in FOLDERS]).check()
    unit = "etc/systemd/system/ours.service"
    account.run("mkdir", "-p", f"{top}/etc/systemd/system/multi-user.target.wants").check()
    for path, text in {**FILES, unit: OURS}.items():
        account.run("tee", top / path, input=text).check()
    wanted = top / "etc/systemd/system/multi-user.target.wants/ours.service"
    account.run("ln", "-s", "../ours.service", wanted).check()
    for name in ("dbus.service", "dbus.socket", "systemd-logind.service"):
        account.run("ln", "-s", "/dev/null", top / "etc/systemd/system" / name).check()
    for name in ("bin", "sbin", "lib", "lib64"):
        account.run("ln", "-s", f"usr/{name}", top / name).check()
    return top


@pytest.fixture
def bus(account: Account) -> Iterator[None]:
    """As of somebody who has logged in."""
    before = dict(account.environ)
    if account.uid:
        account.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={user_bus(account.uid)}"
    yield
    account.environ = before


@pytest.mark.usefixtures("bus")
def test_it_boots_works_and_stops(rcrun: Callable, account: Account) -> None:
    top = tree(account)
    words = ("--name", "host", "--network", "none", "-v", "/usr:/usr:ro", "--memory", "256m")
    rcrun("run", "-d", *words, "--systemd", "always", "--rootfs", top, "/sbin/init").check()
    inside = lambda *command: rcrun("exec", "host", *command).out.strip()  # noqa: E731
    until = time.monotonic() + 200
    while (state := inside("systemctl", "is-system-running")) != "running":
        assert state != "degraded", inside("systemctl", "--failed")
        assert time.monotonic() < until, (
            state,
            inside("systemctl", "list-jobs"),
            inside("journalctl", "-n", "20"),
        )
        time.sleep(0.2)
    # it shares its group out, and what it starts is limited
    assert (top / "root/started").read_text().split() == [
        "0::/system.slice/ours.service",
        str(32 << 20),
    ]
    assert inside("cat", "/etc/machine-id") == rcrun("ps", "-q", "--no-trunc").out[:32]
    assert inside("cat", "/proc/1/cgroup") == "0::/init.scope"
    assert rcrun("inspect", "-f", "{{.Config.StopSignal}}", "host").out == "SIGRTMIN+3\n"
    rcrun("stop", "-t", "100", "host").check()
    assert rcrun("inspect", "-f", "{{.State.ExitCode}}", "host").out == "0\n"
    assert (top / "root/stopped").exists()
