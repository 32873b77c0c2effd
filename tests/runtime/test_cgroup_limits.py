"""Limits that hold, with both drivers, as a user and as root; they need the guest (tests/rig) or a host like it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import Account
from runtime.conftest import Bundle
from waiting import reaches, wait_for

pytestmark = [
    pytest.mark.requires("userns", "cgroup-limits", "systemd"),
    pytest.mark.usefixtures("ours"),
]
MIB = 1 << 20
CASES = ("cgroupfs-user", "cgroupfs-root", "systemd-user", "systemd-root")


class Limited(Bundle):
    """With a driver, and a namespace of cgroups so that it sees its own group as the root."""

    def __init__(self, account: Account, program: Path, driver: str) -> None:
        super().__init__(account, program)
        self.driver = driver
        self.config["linux"]["namespaces"].append({"type": "cgroup"})
        self.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
        if driver == "systemd":
            self.config["linux"]["cgroupsPath"] = f":rcruntest:{self.id}"
        elif account.uid == 0:
            self.config["linux"]["cgroupsPath"] = f"/rcrun-limits/{self.id}"

    def words(self) -> list[str]:
        return [*super().words(), f"--cgroup-manager={self.driver}"]

    def limits(self, **resources: Any) -> Limited:
        self.config["linux"]["resources"] = resources
        return self

    def file(self, name: str) -> str:
        """Of its group, as it sees it."""
        words = ("exec", self.id, "/init", "cat", f"/sys/fs/cgroup/{name}")
        return self.runtime(*words).check().out.strip()

    def property(self, name: str) -> str:
        """Of its scope."""
        unit = self.state()["systemd-scope"]
        words = ["systemctl", *self.manager(), "show", "-P", name, unit]
        return self.account.run(*words, env=self.bus()).check().out.strip()

    def manager(self) -> list[str]:
        return [] if self.account.uid == 0 else ["--user"]

    def bus(self) -> dict[str, str]:
        return {"XDG_RUNTIME_DIR": f"/run/user/{self.account.uid}"}

    def group(self) -> str:
        return Path(f"/proc/{self.state()['pid']}/cgroup").read_text(encoding="ascii").strip()[3:]


@pytest.fixture
def new(
    request: pytest.FixtureRequest, accounts, init_program: Path
) -> Iterator[Callable[[], Limited]]:
    driver, _, who = request.param.partition("-")
    account = accounts.get("delegated" if (driver, who) == ("cgroupfs", "user") else who)
    if driver == "systemd" and who == "user":
        # as of somebody who logged in: his processes are elsewhere than his systemd's
        account.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path=/run/user/{account.uid}/bus"
    made: list[Limited] = []

    def make() -> Limited:
        made.append(Limited(account, init_program, driver))
        return made[-1]

    yield make
    for one in made:
        one.runtime("delete", "--force", one.id)
        assert not list(Path("/sys/fs/cgroup").rglob(f"*{one.id}*")), "a group is left"


@pytest.fixture
def box(new: Callable[[], Limited]) -> Limited:
    return new()


every_way = pytest.mark.parametrize("new", CASES, indirect=True)
by_systemd = pytest.mark.parametrize("new", CASES[2:], indirect=True)


@every_way
def test_a_memory_hog_is_killed_and_nothing_else(new) -> None:
    neighbour = new().limits(memory={"limit": 64 * MIB}).args("sleep", "1000").started()
    hog = new().limits(memory={"limit": 24 * MIB, "swap": 24 * MIB}).args("hog", "200")
    assert hog.run().status == 137
    assert neighbour.state()["status"] == "running"
    assert new().limits(memory={"limit": 64 * MIB}).args("hog", "8").run().out == "held 1\n"


@every_way
def test_forks_stop_at_the_limit(box: Limited) -> None:
    result = box.limits(pids={"limit": 10}).args("forks", "50", "5").run()
    assert result.out == "9\n"  # and the init


@every_way
def test_a_busy_loop_gets_its_quota(box: Limited) -> None:
    box.limits(cpu={"quota": 25_000, "period": 100_000}).args("sleep", "600").started()
    spin = ("exec", box.id, "/init", "spin", "2")
    if not reaches(0.25, lambda: float(box.runtime(*spin).check().out)):
        assert "nr_throttled 0\n" not in box.file("cpu.stat") + "\n"


@every_way
def test_statistics_are_the_kernel_s(box: Limited) -> None:
    box.limits(memory={"limit": 64 * MIB}, pids={"limit": 9}).args("fork", "60").started()
    box.said_soon("\n")
    group = Path(f"/sys/fs/cgroup{box.group()}")

    def spent() -> int:
        return int((group / "cpu.stat").read_text(encoding="ascii").split()[1]) * 1000

    before = spent()
    told = json.loads(box.runtime("events", "--stats", box.id).check().out)["data"]
    assert before <= told["cpu"]["usage"]["total"] <= spent()
    assert told["pids"] == {"current": 2, "limit": 9}
    usage = told["memory"]["usage"]
    held = int((group / "memory.current").read_text(encoding="ascii"))
    assert usage["usage"] == pytest.approx(held, rel=0.03, abs=1 << 18)
    assert usage["limit"] == 64 * MIB


@every_way
def test_two_share_by_weight(new) -> None:
    """1024 and 256 shares are the weights 100 and 36."""
    boxes = [
        new().limits(cpu={"shares": shares}).args("spin", "4", "/go") for shares in (1024, 256)
    ]
    for one in boxes:
        one.create()
        one.runtime("start", one.id).check()
    for one in boxes:
        one.put("rootfs/go")
    time.sleep(4)
    parts = [float(one.said_soon("\n")) for one in boxes]
    assert parts[0] / parts[1] == pytest.approx(100 / 36, rel=0.3)


@every_way
def test_what_is_set_is_there(box: Limited) -> None:
    box.limits(
        memory={"limit": 64 * MIB, "reservation": 16 * MIB, "swap": 96 * MIB},
        cpu={"shares": 512, "quota": 50_000, "period": 200_000, "burst": 10_000},
        pids={"limit": 77},
        unified={"memory.high": str(48 * MIB)},
    ).args("sleep", "1000").started()
    expected = {
        "memory.max": str(64 * MIB),
        "memory.low": str(16 * MIB),
        "memory.high": str(48 * MIB),
        "cpu.weight": "59",
        "cpu.max": "50000 200000",
        "cpu.max.burst": "10000",
        "pids.max": "77",
    }
    assert {name: box.file(name) for name in expected} == expected


@every_way
def test_update(box: Limited) -> None:
    box.limits(
        memory={"limit": 32 * MIB}, cpu={"quota": 50_000, "period": 100_000}, pids={"limit": 20}
    )
    box.args("sleep", "1000").started()
    box.runtime("update", "--memory", "50M", "--pids-limit", "30", box.id).check()
    box.runtime("update", "--cpu-period", "200000", box.id).check()
    assert box.file("memory.max") == str(50 * MIB)
    assert box.file("pids.max") == "30"
    assert box.file("cpu.max") == "50000 200000"  # the other half stays
    given = json.dumps({"cpu": {"shares": 200, "quota": -1}, "memory": {"limit": -1}})
    box.runtime("update", "-r", "-", box.id, input=given).check()
    assert (box.file("cpu.weight"), box.file("cpu.max")) == ("29", "max 200000")
    assert box.file("memory.max") == "max"
    box.runtime("update", "--pids-limit", "-1", box.id).check()
    assert box.file("cpu.max") == "max 200000"
    kept = json.loads(Path(box.root, box.id, "config.json").read_text(encoding="utf-8"))
    assert kept["linux"]["resources"]["pids"] == {"limit": -1}
    assert kept["linux"]["resources"]["cpu"] == {"quota": -1, "period": 200_000, "shares": 200}


@every_way
def test_update_checks_before(box: Limited) -> None:
    box.limits(memory={"limit": 64 * MIB}).args("sleep", "1000").started()
    given = json.dumps({"memory": {"limit": 4096, "checkBeforeUpdate": True}})
    result = box.runtime("update", "-r", "-", box.id, input=given)
    assert result.status == 1
    assert "cannot set the memory limit lower than its current usage" in result.err
    assert box.state()["status"] == "running"


@every_way
def test_events(box: Limited) -> None:
    box.limits(memory={"limit": 32 * MIB, "swap": 32 * MIB}, pids={"limit": 5})
    box.args("sleep", "1000").started()
    with open(box.dir / "events", "wb") as out:
        watching = box.account.popen(
            *box.words(), "events", "--interval", "200ms", box.id, stdout=out
        )
        seen(box, '"stats"')
        box.runtime("exec", "-d", box.id, "/init", "hog", "200", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        seen(box, '{"type":"oom","id":"' + box.id + '"}')
        box.runtime("exec", box.id, "/init", "forks", "9", "0")
        seen(box, '"type":"pids"')
        box.runtime("kill", box.id, "KILL").check()
        assert watching.wait(60) == 0
    first = json.loads(Path(box.dir, "events").read_text().splitlines()[0])
    assert (first["type"], first["id"]) == ("stats", box.id)
    assert first["data"]["memory"]["usage"]["limit"] == 32 * MIB
    assert first["data"]["pids"]["limit"] == 5


def seen(box: Limited, text: str) -> None:
    until = time.monotonic() + 60
    while text not in (said := Path(box.dir, "events").read_text(encoding="utf-8")):
        assert time.monotonic() < until, said
        time.sleep(0.05)


@every_way
def test_an_exec_is_in_the_group(box: Limited) -> None:
    """Also from where the kernel lets nobody enter it, which then systemd does."""
    box.args("sleep", "1000").started()
    words = ("-d", "--pid-file", str(box.dir / "p"), box.id, "/init", "sleep", "1000")
    with open(box.dir / "exec.out", "wb") as out:
        box.runtime("exec", *words, stdout=out, stderr=out).check()
    pid = (box.dir / "p").read_text(encoding="ascii")
    group = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").strip()[3:]
    assert group == box.group()


@every_way
def test_pause_kill_and_delete(box: Limited) -> None:
    box.without_namespace("pid").args("fork", "1000").started()
    box.said_soon("\n")
    pids = json.loads(box.runtime("ps", "-f", "json", box.id).check().out)
    assert len(pids) == 2
    box.runtime("pause", box.id).check()
    assert box.state()["status"] == "paused"
    box.runtime("resume", box.id).check()
    box.runtime("kill", "--all", box.id, "KILL").check()
    box.status_soon("stopped")
    wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()])
    box.runtime("delete", box.id).check()


@every_way
def test_a_controller_that_the_host_lacks(box: Limited) -> None:
    """The guest has one processor, so no cpuset."""
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text(encoding="ascii").split()
    if "cpuset" in controllers:
        pytest.skip("this host has cpuset")
    result = box.limits(cpu={"cpus": "0"}).run()
    assert result.status == 1
    assert "controller `cpuset` is not available" in result.err


@by_systemd
def test_a_scope(box: Limited) -> None:
    box.limits(
        memory={"limit": 64 * MIB}, cpu={"shares": 1024, "quota": 50_000, "period": 100_000},
        pids={"limit": 20},
    ).args("sleep", "1000")  # fmt: skip
    box.config["annotations"] = {
        "org.systemd.property.TimeoutStopUSec": "uint64 7000000",
        "org.systemd.property.Description": "'a box'",
    }
    box.started()
    unit = f"rcruntest-{box.id}.scope"
    assert box.state()["systemd-scope"] == unit
    assert box.group().endswith(f".slice/{unit}/container")
    names = ("MemoryMax", "CPUWeight", "CPUQuotaPerSecUSec", "TasksMax", "Delegate", "Description", "TimeoutStopUSec")  # fmt: skip
    assert [box.property(name) for name in names] == [
        str(64 * MIB), "100", "500ms", "20", "yes", "a box", "7s",
    ]  # fmt: skip
    box.runtime("update", "--memory", "32M", "--cpu-share", "200", box.id).check()
    assert [box.property(name) for name in names[:2]] == [str(32 * MIB), "29"]
    box.runtime("delete", "--force", box.id).check()
    wait_for(lambda: is_inactive(box, unit))


def is_inactive(box: Limited, unit: str) -> bool:
    shown = box.account.run("systemctl", *box.manager(), "is-active", unit, env=box.bus())
    return shown.out == "inactive\n"


@by_systemd
def test_a_scope_ends_with_its_container(box: Limited) -> None:
    """In the foreground nobody of ours is there afterwards."""
    assert box.args("exit", "3").run().status == 3
    wait_for(lambda: is_inactive(box, f"rcruntest-{box.id}.scope"))


@by_systemd
def test_a_launch_that_fails_leaves_no_scope(box: Limited) -> None:
    box.config["process"]["args"] = ["/missing"]
    assert box.create().status == 1
    wait_for(lambda: is_inactive(box, f"rcruntest-{box.id}.scope"))


@by_systemd
def test_the_scope_itself_can_be_its_group(box: Limited) -> None:
    box.config["annotations"] = {"run.oci.systemd.subgroup": ""}
    box.limits(pids={"limit": 20}).args("sleep", "1000").started()
    assert box.group().endswith(f"rcruntest-{box.id}.scope")
    assert box.file("pids.max") == "20"


@by_systemd
def test_errors_of_systemd_are_worded(box: Limited) -> None:
    box.config["annotations"] = {"org.systemd.property.NoSuchThing": "true"}
    result = box.run()
    assert result.status == 1
    assert "NoSuchThing" in result.err
    box.config["annotations"] = {}
    box.config["linux"]["cgroupsPath"] = "/a/path"
    result = box.run()
    assert (result.status, "SLICE:PREFIX:NAME" in result.err) == (1, True)


@pytest.mark.parametrize("new", CASES[2:3], indirect=True)
def test_a_user_without_systemd(box: Limited) -> None:
    """No limit asked for: no cgroup. One asked for: what is missing, and what to do."""
    bus = box.account.environ.pop("DBUS_SESSION_BUS_ADDRESS")
    try:
        box.args("true").run().check()
        result = box.limits(memory={"limit": 64 * MIB}).run()
    finally:
        box.account.environ["DBUS_SESSION_BUS_ADDRESS"] = bus
    assert result.status == 1
    assert "cannot reach the systemd of this user" in result.err
    assert "loginctl enable-linger" in result.err


@pytest.mark.parametrize("new", [CASES[1], CASES[3]], indirect=True)
def test_devices_are_held_by_the_cgroup(box: Limited) -> None:
    deny = {"allow": False, "access": "rwm"}
    allow = {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}
    box.mount("/hostdev", "bind", "/dev", "rbind", "rw").args("cat", "/hostdev/net/tun")
    assert "Operation not permitted" in box.limits(devices=[deny]).run().err
    assert (
        "bad state" in box.limits(devices=[deny, allow]).run().err
    )  # it is open, and no interface
    assert box.output("cat", "/hostdev/null") == ""
