"""What restart policies mean for a reboot; the unit of systemd that `setup restart` installs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from accounts import user_bus
from waiting import wait_for

NO_NETWORK = ("--network", "none")
LOOP = ("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done")
ALL = ("always", "unless-stopped", "on-failure", "no")


def tell(rcrun, template, name):
    return rcrun("inspect", "-f", template, name).check().out.strip()


def words(rcrun):
    listed = rcrun("ps", "-a", "--format", "{{.Names}} {{.State}}").check().out.split("\n")
    return dict(line.split() for line in listed if line)


def run_all(rcrun):
    """One of each policy that runs, and one of each that somebody has stopped."""
    for policy in ALL:
        for name in (policy, f"{policy}-stopped"):
            rcrun("run", "-d", "--name", name, "--restart", policy, *NO_NETWORK, "busybox", *LOOP).check()  # fmt: skip
        rcrun("stop", "-t", "0", f"{policy}-stopped").check()
    rcrun("create", "--name", "created", "--restart", "always", *NO_NETWORK, "busybox", *LOOP).check()  # fmt: skip
    for policy in ALL:
        wait_for(lambda name=policy: is_up(rcrun, name))


def is_up(rcrun, name, runs=1):
    """So far that it minds TERM."""
    return rcrun("logs", name).out == "up\n" * runs


def lose_power(rcrun):
    """As a host that goes down at once: no process, no live state, another boot id in the records."""
    for name in rcrun("ps", "-q").out.split():
        os.kill(int(tell(rcrun, "{{.State.ConmonPid}}", name)), signal.SIGKILL)
    wait_for(lambda: not rcrun("ps", "-q").out)
    runroot = rcrun("info", "--format", "{{.Store.RunRoot}}").out.strip()
    shutil.rmtree(Path(runroot, "containers"))
    for path in (rcrun.store_dir / "containers").glob("*/container.json"):
        record = json.loads(path.read_text())
        if record["boot"]:
            record["boot"] = "00000000-0000-0000-0000-000000000000"
        path.write_text(json.dumps(record))


AFTER_BOOT = {
    "always": "running", "always-stopped": "running", "unless-stopped": "running", "created": "created",
    "unless-stopped-stopped": "exited", "on-failure": "exited", "on-failure-stopped": "exited",
    "no": "exited", "no-stopped": "exited",
}  # fmt: skip


def test_after_a_power_cut(rcrun):
    run_all(rcrun)
    lose_power(rcrun)
    assert tell(rcrun, "{{.State.ExitCode}}", "always") == "255"
    got = rcrun("__boot", "start").check()
    assert sorted(got.out.split()) == ["always", "always-stopped", "unless-stopped"]
    assert words(rcrun) == AFTER_BOOT
    assert rcrun("__boot", "start").check().out == ""


def test_going_down_in_order(rcrun):
    """Containers get their stop signal, nobody starts them again, and it is no stop by hand."""
    run_all(rcrun)
    rcrun("__boot", "stop").check()
    time.sleep(0.5)
    assert words(rcrun) == {**dict.fromkeys(AFTER_BOOT, "exited"), "created": "created", "no": "running"}  # fmt: skip
    assert tell(rcrun, "{{.State.ExitCode}}", "unless-stopped") == "0"
    rcrun("stop", "-t", "0", "no").check()
    rcrun("__boot", "start").check()
    assert words(rcrun) == AFTER_BOOT


def test_a_monitor_that_is_told_to_end_starts_nothing(rcrun):
    """As systemd ends a session: TERM to everybody."""
    rcrun("run", "-d", "--name", "web", "--restart", "always", *NO_NETWORK, "busybox", *LOOP).check()  # fmt: skip
    wait_for(lambda: is_up(rcrun, "web"))
    os.kill(int(tell(rcrun, "{{.State.ConmonPid}}", "web")), signal.SIGTERM)
    wait_for(lambda: words(rcrun) == {"web": "exited"})
    time.sleep(0.5)
    assert words(rcrun) == {"web": "exited"}
    assert rcrun("__boot", "start").check().out == "web\n"


def test_one_that_cannot_start_does_not_stop_the_others(rcrun):
    for name in ("bad", "good"):
        rcrun("run", "-d", "--name", name, "--restart", "always", *NO_NETWORK, "busybox", *LOOP).check()  # fmt: skip
    lose_power(rcrun)
    container = rcrun.store_dir / "containers" / tell(rcrun, "{{.Id}}", "bad")
    (container / "config.json").write_text("{")
    got = rcrun("__boot", "start")
    assert (got.status, got.out) == (1, "good\n")
    assert 'cannot start "bad": ' in got.err


def test_ps_by_policy(rcrun):
    run_all(rcrun)
    got = rcrun("ps", "-a", "--filter", "restart-policy=unless-stopped", "--format", "{{.Names}}")
    assert sorted(got.out.split()) == ["unless-stopped", "unless-stopped-stopped"]


def test_without_systemd(rcrun):
    """What to do is told: a PATH without systemctl, on hosts that have it."""
    if Path("/usr/bin/systemctl").exists() or Path("/bin/systemctl").exists():
        got = rcrun("setup", "restart", "--print").check()
        assert "ExecStart=" in got.out
        return
    got = rcrun("setup", "restart").check()
    assert "there is no systemd here" in got.out
    assert "@reboot " in got.out


@pytest.mark.requires("systemd", "userns", "overlay", "subids")
@pytest.mark.parametrize("delegated_account", ["systemd"], indirect=True)
def test_the_users_unit(delegated_account, shared_stores):
    rcrun = shared_stores(delegated_account)
    account, runtime = delegated_account, user_bus(delegated_account.uid).parent
    runroot = rcrun("info", "--format", "{{.Store.RunRoot}}").out.strip()

    def systemctl(*words):
        return account.run("systemctl", "--user", *words)

    try:
        run_all(rcrun)
        # units of this boot alone: nothing of the account's home is touched
        env = {"XDG_CONFIG_HOME": str(runtime), "RCRUN_RUNROOT": runroot}
        got = rcrun("setup", "restart", env=env).check()
        assert f"{runtime}/systemd/user/rcrun-restart.service is there and enabled" in got.out
        assert "daemon-reload" not in got.out
        assert systemctl("is-enabled", "rcrun-restart.service").out.strip() in ("enabled", "enabled-runtime")  # fmt: skip
        lose_power(rcrun)
        systemctl("start", "rcrun-restart.service").check()
        assert words(rcrun) == AFTER_BOOT
        group = Path(f"/proc/{tell(rcrun, '{{.State.ConmonPid}}', 'always')}/cgroup").read_text()
        assert (
            "/rcrun-monitor-" in group
        )  # a scope of its own, which does not end with the unit's start
        for name in ("always", "unless-stopped"):
            wait_for(lambda name=name: is_up(rcrun, name, 2))
        systemctl("stop", "rcrun-restart.service").check()
        assert words(rcrun) == {**dict.fromkeys(AFTER_BOOT, "exited"), "created": "created"}
        assert tell(rcrun, "{{.State.ExitCode}}", "unless-stopped") == "0"
        systemctl("start", "rcrun-restart.service").check()
        assert words(rcrun) == AFTER_BOOT
    finally:
        systemctl("stop", "rcrun-restart.service")
        shutil.rmtree(f"{runtime}/systemd/user", ignore_errors=True)
        systemctl("daemon-reload")
        rcrun("rm", "-f", *words(rcrun))
