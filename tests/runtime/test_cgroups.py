"""A container's cgroup where one is delegated: pause, resume, kill of all, exec, and nothing left at the end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts import DelegatedAccount
from runtime.conftest import Bundle
from waiting import wait_for

pytestmark = [pytest.mark.requires("userns"), pytest.mark.usefixtures("ours")]


@pytest.fixture
def bundle(delegated_account: DelegatedAccount, init_program: Path) -> Iterator[Bundle]:
    made = Bundle(delegated_account, init_program)
    made.config["linux"]["namespaces"].append({"type": "cgroup"})
    yield made
    made.runtime("delete", "--force", made.id)


def groups_left(bundle: Bundle) -> list[str]:
    account = bundle.account
    assert isinstance(account, DelegatedAccount)
    return DelegatedAccount.groups_left(
        account
    )  # rcrun-oci makes them where it is, if nobody asks for scopes


def test_the_container_is_in_a_group_of_its_own_and_sees_no_other(bundle: Bundle) -> None:
    bundle.args("cat", "/proc/self/cgroup").started()
    assert "0::/\n" in bundle.said_soon("0::/")
    assert groups_left(bundle) == [f"./rcrun-{bundle.id}.scope"]
    bundle.status_soon("stopped")
    bundle.runtime("delete", bundle.id).check()
    assert groups_left(bundle) == []


def test_a_foreground_run_leaves_no_group(bundle: Bundle) -> None:
    bundle.args("true").run().check()
    assert groups_left(bundle) == []


def test_a_failed_launch_leaves_no_group(bundle: Bundle) -> None:
    bundle.config["process"]["args"] = ["/missing"]
    assert bundle.run().status == 1
    bundle.mount("/x", "bind", "/no/where", "bind")
    assert bundle.create().status == 1
    assert groups_left(bundle) == []


def test_pause_and_resume(bundle: Bundle) -> None:
    bundle.args("signal", "15").started()
    bundle.said_soon("ready")
    assert bundle.runtime("resume", bundle.id).status == 1
    bundle.runtime("pause", bundle.id).check()
    assert bundle.state()["status"] == "paused"
    assert bundle.runtime("pause", bundle.id).status == 1

    bundle.runtime("kill", bundle.id, "TERM").check()
    assert "signal" not in bundle.said()
    refused = bundle.runtime("exec", bundle.id, "/init", "true")
    assert (refused.status, "paused" in refused.err) == (1, True)

    bundle.runtime("resume", bundle.id).check()
    bundle.said_soon("signal 15")


def test_a_paused_container_can_be_deleted_by_force(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    bundle.runtime("pause", bundle.id).check()
    bundle.runtime("delete", "--force", bundle.id).check()
    assert groups_left(bundle) == []


def test_everything_in_the_group_is_killed(bundle: Bundle) -> None:
    """Also where no pid namespace ends with the init."""
    bundle.without_namespace("pid").args("fork", "1000").started()
    bundle.said_soon("\n")
    pids = json.loads(bundle.runtime("ps", "-f", "json", bundle.id).check().out)
    assert len(pids) == 2
    bundle.runtime("kill", "--all", bundle.id, "KILL").check()
    bundle.status_soon("stopped")
    wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def test_delete_takes_what_the_init_left_behind(bundle: Bundle) -> None:
    bundle.without_namespace("pid").args("fork", "1000").started()
    bundle.said_soon("\n")
    pids = json.loads(bundle.runtime("ps", "-f", "json", bundle.id).check().out)
    bundle.runtime("kill", bundle.id, "KILL").check()
    bundle.status_soon("stopped")
    bundle.runtime("delete", bundle.id).check()
    assert groups_left(bundle) == []
    assert not [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]


def test_an_exec_is_in_the_group(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    words = ("-d", "--pid-file", str(bundle.dir / "p"), bundle.id, "/init", "sleep", "1000")
    with open(bundle.dir / "exec.out", "wb") as out:
        bundle.runtime("exec", *words, stdout=out, stderr=out).check()
    pid = (bundle.dir / "p").read_text(encoding="ascii")
    init = bundle.state()["pid"]
    assert Path(f"/proc/{pid}/cgroup").read_text() == Path(f"/proc/{init}/cgroup").read_text()


def test_a_path_of_the_configuration(bundle: Bundle) -> None:
    bundle.linux(cgroupsPath="user.slice:libpod:x").args("sleep", "1000").started()
    assert groups_left(bundle) == ["./libpod-x.scope"]


def test_disabled(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").write()
    words = ("--cgroup-manager=disabled", "run", "-d", "-b", str(bundle.dir), bundle.id)
    with open(bundle.dir / "output", "wb") as out:
        bundle.runtime(*words, stdout=out, stderr=out).check()
    assert groups_left(bundle) == []
    refused = bundle.runtime("pause", bundle.id)
    assert (refused.status, "no cgroup of its own" in refused.err) == (1, True)


def test_a_controller_that_is_not_there(bundle: Bundle) -> None:
    bundle.linux(resources={"unified": {"foo.bar": "1"}})
    result = bundle.run()
    assert result.status == 1
    assert "the requested cgroup controller `foo` is not available" in result.err
    assert groups_left(bundle) == []


def test_a_limit_of_what_is_there(bundle: Bundle) -> None:
    """hugetlb is the one controller that the test machines have in v2; a host of today has pids."""
    here = bundle.account.run("cat", "/sys/fs/cgroup/cgroup.controllers").check().out.split()
    name, value = ("pids.max", "20") if "pids" in here else ("hugetlb.2MB.max", "2097152")
    bundle.linux(resources={"unified": {name: value}}).args("sleep", "1000").started()
    group = f"/sys/fs/cgroup/{bundle.account.group}/rcrun-{bundle.id}.scope"
    assert bundle.account.run("cat", f"{group}/{name}").check().out == f"{value}\n"


def test_the_cgroup_namespace_of_another(
    bundle: Bundle, delegated_account: DelegatedAccount, init_program: Path
) -> None:
    """It is entered from within the group: systemd's `nsdelegate` lets nobody in from outside of it."""
    bundle.args("sleep", "1000").started()
    others = f"/proc/{bundle.state()['pid']}/ns"
    made = Bundle(delegated_account, init_program)
    made.config["linux"]["namespaces"] += [
        {"type": kind, "path": f"{others}/{kind}"} for kind in ("user", "cgroup")
    ]
    try:
        assert f"0::/../rcrun-{made.id}.scope" in made.output("cat", "/proc/self/cgroup")
    finally:
        made.runtime("delete", "--force", made.id)


def test_a_group_that_is_in_use(bundle: Bundle) -> None:
    """Two in one group would be frozen and killed together."""
    bundle.linux(cgroupsPath="shared").args("sleep", "1000").started()
    other = Bundle(bundle.account, Path(bundle.dir, "rootfs/init"))
    other.linux(cgroupsPath="shared").args("true")
    result = other.run()
    assert (result.status, "cgroup is not empty" in result.err) == (1, True)
    assert bundle.state()["status"] == "running"
    assert groups_left(bundle) == ["./shared"]


def test_a_frozen_group(bundle: Bundle) -> None:
    """Nothing would ever begin in it."""
    account = bundle.account
    assert isinstance(account, DelegatedAccount)
    group = f"/sys/fs/cgroup/{account.group}/cold"
    account.run("sh", "-c", f"mkdir {group}; echo 1 >{group}/cgroup.freeze").check()
    result = bundle.linux(cgroupsPath="cold").run()
    assert (result.status, "unexpectedly frozen" in result.err) == (1, True)
    account.run("rmdir", group).check()


def test_exec_below_the_group(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    account = bundle.account
    assert isinstance(account, DelegatedAccount)
    group = f"/sys/fs/cgroup/{account.group}/rcrun-{bundle.id}.scope"
    account.run("mkdir", f"{group}/below").check()
    words = ("exec", "--cgroup", "below", bundle.id, "/init", "cat", "/proc/self/cgroup")
    assert "0::/below\n" in bundle.runtime(*words).check().out
    bundle.runtime("delete", "--force", bundle.id).check()
    assert groups_left(bundle) == []  # with the one below


def test_events_end_with_the_container(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    told = json.loads(bundle.runtime("events", "--stats", bundle.id).check().out)
    assert (told["type"], told["id"]) == ("stats", bundle.id)
    watching = bundle.account.popen(
        *bundle.words(), "events", "--interval", "100ms", bundle.id, stdout=subprocess.PIPE
    )
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert first["type"] == "stats"
    bundle.runtime("kill", bundle.id, "KILL").check()
    rest, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert all(json.loads(line)["type"] == "stats" for line in rest.splitlines())
    refused = bundle.runtime("events", "--stats", bundle.id)
    assert (refused.status, "container not running" in refused.err) == (1, True)


def test_events_of_a_wrong_interval(bundle: Bundle) -> None:
    result = bundle.runtime("events", "--interval", "0s", bundle.id)
    assert (result.status, "must be greater than 0" in result.err) == (1, True)


def test_update_of_one_without_a_cgroup(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").write()
    words = ("--cgroup-manager=disabled", "run", "-d", "-b", str(bundle.dir), bundle.id)
    with open(bundle.dir / "output", "wb") as out:
        bundle.runtime(*words, stdout=out, stderr=out).check()
    result = bundle.runtime("update", "--memory", "50M", bundle.id)
    assert (result.status, "no cgroup of its own" in result.err) == (1, True)
    missing = bundle.runtime("update", "--memory", "50M", "nobody")
    assert (missing.status, "does not exist" in missing.err) == (1, True)
