"""A store on a full disk: a clear error, nothing half made, and all is well again when there is room."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import Rcrun, busybox_archive

NO_NETWORK = ("--network", "none")


@pytest.fixture
def small(account, accounts):
    """A store of 16 MiB with the image."""
    folder = account.new_dir("small")
    options = f"size=16m,uid={account.uid},gid={account.gid},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    rcrun = Rcrun(account, folder / "store")
    rcrun.disk = folder
    try:
        rcrun("load", "-i", busybox_archive(accounts)).check()
        yield rcrun
        rcrun("rm", "-fa").check()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(rcrun):
    got = rcrun.account.run("dd", "if=/dev/zero", f"of={rcrun.disk}/fill", "bs=4k")
    assert "No space left" in got.err


def make_room(rcrun):
    rcrun.account.run("rm", f"{rcrun.disk}/fill").check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root")
def test_run_on_a_full_disk(small):
    fill(small)
    for words in (("run", "--rm"), ("run", "-d", "--name", "web"), ("create",)):
        got = small(*words, *NO_NETWORK, "busybox", "true")
        assert got.status == 125
        assert "no space left on device" in got.err
        assert got.out == ""
    assert small("ps", "-aq").check().out == ""
    assert small.account.run("ls", f"{small.store_dir}/containers").out == ""
    unread = small("system", "check")
    assert unread.status == 1
    assert "could not be compared with its blob: " in unread.out
    assert "no space left on device" in unread.out.lower()
    make_room(small)
    assert small("system", "check").check().out == "no faults\n"
    small("run", "--rm", "--name", "web", *NO_NETWORK, "busybox", "true").check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root")
def test_a_disk_that_fills_while_a_container_runs(small):
    small("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    fill(small)
    assert small("exec", "web", "echo", "here").check().out == "here\n"
    assert " web " in small("stats", "--no-stream", "web").check().out
    small("stop", "-t", "0", "web").check()
    assert small("inspect", "-f", "{{.State.Status}}", "web").check().out == "exited\n"
    small("rm", "web").check()
    assert small.account.run("ls", f"{small.store_dir}/containers").out == ""


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root")
def test_load_on_a_full_disk(small, accounts):
    small("rmi", "busybox").check()
    fill(small)
    got = small("load", "-i", busybox_archive(accounts))
    assert got.status != 0
    assert "no space left on device" in got.err.lower()
    make_room(small)
    small("load", "-i", busybox_archive(accounts)).check()
    small("run", "--rm", *NO_NETWORK, "busybox", "true").check()
