"""The host went down, or its process numbers went round: statuses are right, nothing else is hit, start works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from robust.conftest import NO_NETWORK, is_there, kill

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)


@pytest.fixture
def two(rcrun):
    """One that runs, one that ended."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    rcrun("run", "--name", "done", *NO_NETWORK, "busybox", "sh", "-c", "exit 3")
    return rcrun


def state_file(rcrun, name):
    container = rcrun("inspect", "-f", "{{.Id}}", name).check().out.strip()
    return rcrun.account.runtime_dir / "rcrun/containers" / container / "state.json"


def host_goes_down(rcrun, *names):
    """All its processes end without a word, the live state is gone, the boot id is another."""
    for name in names:
        got = rcrun("inspect", "-f", "{{.State.ConmonPid}} {{.State.Pid}} {{.Id}}", name).check()
        monitor, init, container = got.out.split()
        kill(int(monitor))
        kill(int(init))
        path = rcrun.store_dir / "containers" / container / "container.json"
        record = json.loads(path.read_text())
        record["boot"] = "00000000-0000-0000-0000-000000000000"
        path.write_text(json.dumps(record))
    shutil.rmtree(rcrun.account.runtime_dir / "rcrun")


@only_user
def test_after_a_reboot(two, traces):
    host_goes_down(two, "web")
    assert two("system", "check").check().out == "no faults\n"
    form = "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"
    assert two("inspect", "-f", form, "web").check().out == "exited 255 0\n"
    assert two("inspect", "-f", form, "done").check().out == "exited 3 0\n"
    assert two("ps", "-q").check().out == ""
    assert two("wait", "web").check().out == "255\n"
    got = two("exec", "web", "true")
    assert got.status == 1
    assert "is not running" in got.err
    two("start", "web").check()
    assert two("exec", "web", "echo", "again").check().out == "again\n"
    two("rm", "-f", "web", "done").check()
    traces.check_nothing_left()


@only_user
def test_a_container_that_was_to_go_with_its_end(rcrun, traces):
    """--rm and the host goes down: it is shown, and rm removes it."""
    rcrun("run", "-d", "--rm", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    host_goes_down(rcrun, "web")
    assert rcrun("ps", "-a", "--format", "{{.Names}} {{.State}}").check().out in (
        "web exited\n",
        "",
    )
    rcrun("rm", "-f", "web").check()
    traces.check_nothing_left()


@only_user
def test_a_volatile_upper_is_not_used_after_a_reboot(rcrun):
    """Its syncs were skipped: the kernel refuses it, and we say why or begin anew."""
    rcrun("create", "--rm", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    rcrun("start", "web").check()
    host_goes_down(rcrun, "web")
    got = rcrun("start", "web")
    assert "bug in" not in got.err
    rcrun("rm", "-f", "web").check()


@pytest.fixture
def victim(account):
    """A process of the same user that no command may touch."""
    process = subprocess.Popen(["sleep", "1000"], user=account.uid, group=account.gid)
    yield process
    process.kill()
    process.wait()


@only_user
def test_a_pid_that_became_another_process(two, victim):
    """state.json has its number and another start time: the container has ended, the process is left alone."""
    path = state_file(two, "web")
    state = json.loads(path.read_text())
    real = dict(state)
    kill(real["monitor"])
    kill(real["pid"])
    state["pid"] = state["monitor"] = victim.pid
    path.write_text(json.dumps(state))
    form = "{{.State.Status}} {{.State.Pid}}"
    assert two("inspect", "-f", form, "web").check().out == "exited 0\n"
    for words in (("exec", "web", "true"), ("kill", "web"), ("top", "web")):
        assert two(*words).status == 1, words
    two("stop", "-t", "0", "web").check()
    two("start", "web").check()
    two("rm", "-f", "web").check()
    assert victim.poll() is None
    assert is_there(victim.pid)


@only_user
def test_the_number_of_the_monitor_alone_became_another_s(two, victim):
    path = state_file(two, "web")
    state = json.loads(path.read_text())
    kill(state["monitor"])
    path.write_text(json.dumps({**state, "monitor": victim.pid}))
    got = two("rm", "-f", "web").check()
    assert got.out == "web\n"
    assert victim.poll() is None
    assert not is_there(state["pid"])


@only_user
def test_the_number_of_the_network_s_process_became_another_s(rcrun, victim):
    """pasta.pid of a monitor that was killed."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    path = state_file(rcrun, "web").with_name("pasta.pid")
    path.write_text(f"{victim.pid}\n")
    os.chown(path, rcrun.account.uid, rcrun.account.gid)
    rcrun("rm", "-f", "web").check()
    assert victim.poll() is None


@only_user
def test_a_socket_and_files_of_before(two):
    """A live directory that outlived its processes (a /tmp on disk): they are no obstacle."""
    path = state_file(two, "web")
    for name in ("monitor", "pid"):
        kill(json.loads(path.read_text())[name])
    assert path.with_name("attach.sock").exists()
    assert two("ps", "-q").check().out == ""
    got = two("attach", "web")
    assert got.status == 1
    assert "bug in" not in got.err
    two("start", "web").check()
    assert two("ps", "-q").check().out != ""
    two("rm", "-f", "web").check()


@only_user
def test_oci_containers_after_a_reboot(rcrun, account):
    """Their whole state is live: they are gone, and the id is free."""
    root = account.runtime_dir / "oci-reboot"
    bundle = account.new_dir("bundle")
    (bundle / "rootfs").mkdir()
    rcrun.oci("spec", "--rootless", "-b", bundle) if account.uid else rcrun.oci(
        "spec", "-b", bundle
    )
    assert rcrun.oci("--root", root, "list").check().out.startswith("ID")
    assert rcrun.oci("--root", root, "state", "web").status != 0
    assert rcrun.oci("--root", root, "delete", "-f", "web").status == 0
