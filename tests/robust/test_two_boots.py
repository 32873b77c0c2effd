"""The guest goes down and comes up again from the same disk, and what is to run there runs again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from accounts import CHECKOUT

pytestmark = [pytest.mark.requires("uml"), pytest.mark.timeout(600)]
GUEST = CHECKOUT / "tests/rig/guest"

FUNCTIONS = """
uid=$(id -u rcrun)
as_user() {
    runuser -u rcrun -- env HOME=/home/rcrun XDG_RUNTIME_DIR=/run/user/$uid PATH="/opt/rcrun-cli/bin:$PATH" "$@"
}
rcrun() { as_user rcrun "$@"; }
start() {
    name=$1
    shift
    rcrun run -d --name $name --network none "$@" busybox sh -c "echo begun >>/begun; exec sleep 1000" >/dev/null
}
"""
FIRST = """
cp -r rcrun rcrun-cli /opt
chown -R rcrun /opt  # for compiled Python
python3 examples/images/make-busybox /tmp/busybox.tar
rcrun load -q -i /tmp/busybox.tar
start always --restart always --memory 64m
start unless --restart unless-stopped
start stopped --restart unless-stopped
rcrun stop -t 0 stopped
rcrun setup restart
as_user systemctl --user start rcrun-restart
as_user systemctl --user stop rcrun-restart  # as the host does when it goes down
"""
# Nobody starts it: it is enabled.
SECOND = """
until [ "$(as_user systemctl --user is-active rcrun-restart)" = active ]; do sleep 0.1; done
rcrun inspect -f '{{.Name}} {{.State.Status}}' always unless stopped
rcrun exec always cat /begun /sys/fs/cgroup/memory.max
"""


def boot(disk: Path, script: str) -> str:
    words = ["--disk", disk, "--share", CHECKOUT, "--cwd", CHECKOUT, "--timeout", "240"]
    command = ["sh", "-euc", FUNCTIONS + script]
    result = subprocess.run([GUEST, *words, "--", *command], capture_output=True, text=True, check=False)  # fmt: skip
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    return result.stdout


def test_containers_with_a_policy_run_after_a_reboot(tmp_path: Path) -> None:
    """But the one that was stopped by hand."""
    disk = tmp_path / "disk"
    boot(disk, FIRST)
    assert boot(disk, SECOND).splitlines() == [
        "/always running",
        "/unless running",
        "/stopped exited",
        "begun",
        "begun",
        str(64 << 20),
    ]
