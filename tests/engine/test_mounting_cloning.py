"""`unshare`, `mount`, `image mount`, `container clone`, `init`, `container cleanup`, `update` without a cgroup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts import bin_dir
from engine.volumes import NO_NETWORK, up

pytestmark = pytest.mark.requires("userns", "overlay")
PROGRAM = f"{bin_dir()}/rcrun"


def script(rcrun: Any, text: str) -> list[str]:
    """A script that may mount: a user's runs in `rcrun unshare`. `$R` is rcrun."""
    words = ("sh", "-ec", f"R={PROGRAM}; {text}")
    if rcrun.account.kind == "root":
        done = rcrun.account.run("unshare", "-m", "--propagation", "private", *words, env=rcrun.env)
    else:
        done = rcrun("unshare", *words)
    out: str = done.check().out
    return out.splitlines()


def test_the_files_of_a_container(rcrun: Any) -> None:
    rcrun("create", "--name", "box", *NO_NETWORK, "busybox", "cat", "/made").check()
    text = "d=$($R mount box); cat $d/var/www/index.html; echo there >$d/made; $R mount | wc -l; $R unmount box; $R mount"
    assert script(rcrun, text) == ["It works.", "1", "box"]
    assert rcrun("start", "-a", "box").check().out == "there\n"


def test_one_that_runs_is_read_only(rcrun: Any) -> None:
    up(rcrun, "box")
    rcrun("exec", "box", "sh", "-c", "echo seen >/made").check()
    text = "d=$($R mount box); cat $d/made; touch $d/x 2>/dev/null || echo no; $R umount --all"
    found = script(rcrun, text.replace("umount", "unmount"))
    assert found[:2] == ["seen", "no"]


def test_the_files_of_an_image(rcrun: Any) -> None:
    text = (
        "d=$($R image mount busybox); stat -c %u $d/etc/passwd $d/home/guest; touch $d/x 2>/dev/null || echo no;"
        " $R image mount --format json | grep -c mountpoint; $R image unmount busybox; $R image mount"
    )
    assert script(rcrun, text) == ["0", "1000", "no", "1", "busybox"]


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_user_needs_unshare(rcrun: Any) -> None:
    rcrun("create", "--name", "box", *NO_NETWORK, "busybox", "true").check()
    refused = rcrun("mount", "box")
    assert refused.status == 1
    assert "a user's mounts need a namespace of their own" in refused.err
    assert "hint: rcrun unshare sh -c 'rcrun mount box" in refused.err
    assert rcrun("unshare", "sh", "-c", "id -u; exit 7").status == 7
    assert rcrun("unshare", "id", "-u").check().out == "0\n"
    # what containers wrote with other ids can be changed there
    folder = rcrun.account.new_dir("theirs")
    words = (
        "run",
        "--rm",
        *NO_NETWORK,
        "-v",
        f"{folder}:/w",
        "busybox",
        "sh",
        "-c",
        "mkdir /w/d; chown 33:33 /w/d",
    )
    rcrun(*words).check()
    assert rcrun.account.run("rmdir", f"{folder}/d").status == 0 or (Path(folder) / "d").exists()
    rcrun("unshare", "rm", "-rf", f"{folder}/d").check()
    assert not (Path(folder) / "d").exists()
    # and rcrun works there with the same layers
    assert script(rcrun, "$R images -q | wc -l; $R ps -a | grep -c box") == ["1", "1"]


def test_clone(rcrun: Any) -> None:
    words = ("--name", "first", *NO_NETWORK, "-e", "A=b", "-v", "shared:/v")
    rcrun(
        "create",
        *words,
        "busybox",
        "sh",
        "-c",
        "hostname; cat /etc/hostname; echo $A; touch /new /v/new; ls /v",
    ).check()
    first = rcrun("start", "-a", "first").check().out.split()
    second = rcrun("container", "clone", "first").check().out.strip()
    found = rcrun("start", "-a", "first-clone").check().out.split()
    assert found[:2] == [second[:12]] * 2
    assert found[2:] == first[2:] == ["b", "new"]
    third = rcrun("container", "clone", "--run", "--name", "third", "first").check().out.strip()
    assert rcrun("wait", third).check().out == "0\n"
    assert rcrun("logs", third).check().out.split() == [third[:12], third[:12], "b", "new"]
    rcrun("container", "clone", "--cpu-shares", "300", "first", "fourth").check()
    form = "{{.HostConfig.CpuShares}} {{.Name}} {{.State.Status}}"
    found = rcrun("inspect", "-f", form, "fourth").check().out.split()
    assert found == ["300", "/fourth", "created"]
    rcrun("rm", "fourth").check()
    rcrun("container", "clone", "--destroy", "first", "moved").check()
    names = rcrun("ps", "-a", "--format", "{{.Names}}").check().out.split()
    assert sorted(names) == ["first-clone", "moved", "third"]
    refused = rcrun("container", "clone", "third", "moved")
    assert refused.status == 1
    assert "already in use" in refused.err
    rcrun("rm", "-fa").check()
    rcrun("volume", "rm", "shared").check()


def test_init_and_cleanup(rcrun: Any) -> None:
    rcrun("create", "--name", "made", *NO_NETWORK, "busybox", "true").check()
    assert rcrun("init", "made").check().out == "made\n"
    up(rcrun, "runs")
    assert "it is running" in rcrun("container", "init", "runs").err
    assert "it is running" in rcrun("container", "cleanup", "runs").err
    assert rcrun("container", "cleanup", "--rm", "made").check().out == "made\n"
    assert rcrun("ps", "-a", "--format", "{{.Names}}").check().out == "runs\n"
    refused = rcrun("container", "runlabel", "x", "busybox")
    assert "an image must not say what runs on the host" in refused.err


def test_update_of_environment_and_limits_of_processes(rcrun: Any) -> None:
    words = (
        "create",
        "--name",
        "box",
        "-e",
        "OLD=1",
        *NO_NETWORK,
        "busybox",
        "sh",
        "-c",
        "echo $OLD$NEW; ulimit -n",
    )
    rcrun(*words).check()
    rcrun("update", "--env", "NEW=2", "--unsetenv", "OLD", "--ulimit", "nofile=99", "box").check()
    assert rcrun("start", "-a", "box").check().out.split() == ["2", "99"]
    assert rcrun("update", "-l", "--restart", "unless-stopped").status == 0
    refused = rcrun("update", "box")
    assert "you must provide one or more options" in refused.err
    assert "unknown policy" in rcrun("update", "--restart", "sometimes", "box").err
