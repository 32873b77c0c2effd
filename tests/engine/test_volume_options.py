"""--volumes-from, overlays over volumes, parts of volumes, owners: seen from inside of a container."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from engine.volumes import NO_NETWORK, clean, names, sh, up

pytestmark = pytest.mark.requires("userns", "overlay")


@pytest.fixture
def rcrun(rcrun: Any) -> Any:
    clean(rcrun)
    yield rcrun
    clean(rcrun)


# ---- volumes from


def test_volumes_from(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("src")
    up(rcrun, "one", "-v", "data:/data", "-v", "/anon", "-v", f"{folder}:/dir:ro", "--tmpfs", "/t")
    rcrun("exec", "one", "sh", "-c", "echo d > /data/f; echo a > /anon/f").check()
    assert (
        sh(rcrun, "cat /data/f /anon/f; ls -d /t", "--volumes-from", "one", "-v", "/t")
        == "d\na\n/t\n"
    )
    for mode, path in (("", "/dir/x"), (":rw", "/dir/x"), (":ro", "/data/x"), (":ro", "/anon/x")):
        got = rcrun(
            "run", "--rm", *NO_NETWORK, "--volumes-from", f"one{mode}", "busybox", "touch", path
        )
        assert "Read-only file system" in got.err, mode
    rcrun("create", "--name", "two", *NO_NETWORK, "--volumes-from", "one:ro", "busybox").check()
    rows = json.loads(rcrun("inspect", "-f", "{{json .Mounts}}", "two").out)
    assert [(row["Destination"], row["RW"]) for row in rows] == [
        ("/data", False), ("/anon", False), ("/dir", False),
    ]  # fmt: skip
    assert rcrun("inspect", "-f", "{{.HostConfig.VolumesFrom}}", "two").out == "[one:ro]\n"


def test_what_is_typed_and_the_later_one_win(rcrun: Any) -> None:
    for name in ("one", "two"):
        up(rcrun, name, "-v", f"data-{name}:/data", "-v", f"own-{name}:/own-{name}")
        rcrun("exec", name, "sh", "-c", f"echo {name} > /data/f").check()
    both = ("--volumes-from", "one", "--volumes-from", "two")
    assert sh(rcrun, "cat /data/f; ls -d /own-*", *both) == "two\n/own-one\n/own-two\n"
    assert sh(rcrun, "ls /data", *both, "-v", "typed:/data") == ""


def test_a_volume_goes_with_the_last_container_that_has_it(rcrun: Any) -> None:
    up(rcrun, "first", "--rm", "-v", "/anon")
    (name,) = names(rcrun)
    up(rcrun, "second", "--volumes-from", "first")
    rcrun("stop", "first").check()
    rcrun("wait", "first")
    rcrun("exec", "second", "touch", "/anon/still").check()
    assert names(rcrun) == [name]
    rcrun("create", "--name", "third", *NO_NETWORK, "--volumes-from", "second", "busybox").check()
    rcrun("rm", "-fv", "second").check()
    assert names(rcrun) == [name]
    rcrun("rm", "-v", "third").check()
    assert names(rcrun) == []


def test_rm_without_v_leaves_it(rcrun: Any) -> None:
    up(rcrun, "first", "-v", "/anon")
    rcrun("rm", "-f", "first").check()
    assert len(names(rcrun)) == 1


def test_volumes_from_nobody(rcrun: Any) -> None:
    got = rcrun("run", "--rm", *NO_NETWORK, "--volumes-from", "nosuch", "busybox", "true")
    assert (got.status, got.out) == (125, "")
    assert "no such container: nosuch" in got.err


# ---- overlays


def test_an_overlay_forgets(rcrun: Any) -> None:
    sh(rcrun, "echo kept > /d/f; chown 33:33 /d 2>/dev/null; chmod 2770 /d", "-v", "data:/d")
    up(rcrun, "web", "-v", "data:/d:O")
    assert rcrun("exec", "web", "stat", "-c", "%a", "/d").out == "2770\n"
    rcrun("exec", "web", "sh", "-c", "echo new > /d/f; rm -f /d/none; touch /d/x; ls /d").check()
    assert sh(rcrun, "cat /d/f; ls /d", "-v", "data:/d") == "kept\nf\n"
    rcrun("restart", "-t", "0", "web").check()
    assert rcrun("exec", "web", "sh", "-c", "cat /d/f; ls /d").out == "kept\nf\n"


@pytest.mark.requires("subids")
def test_an_overlay_belongs_to_whom_its_lower_does(rcrun: Any) -> None:
    sh(rcrun, "chown 33:44 /d; chmod 700 /d", "-v", "data:/d")
    assert (
        sh(rcrun, "stat -c %u:%g:%a /d; touch /d/x", "-v", "data:/d:O", "-u", "33:44")
        == "33:44:700\n"
    )


def test_an_overlay_over_a_directory_of_the_host(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("a,b") / "c:d"
    rcrun.account.run("mkdir", folder).check()
    rcrun.account.run("touch", folder / "mine").check()
    source = str(folder).replace(":", "\\:")
    assert sh(rcrun, "touch /d/x; rm /d/mine; ls /d", "-v", f"{source}:/d:O") == "x\n"
    assert os.listdir(folder) == ["mine"]
    got = rcrun("run", "--rm", *NO_NETWORK, "-v", f"{source}:/d:O,ro", "busybox", "touch", "/d/x")
    assert "Read-only" in got.err


def test_an_overlay_with_directories_of_ones_own_keeps(rcrun: Any) -> None:
    base = rcrun.account.new_dir("overlay")
    for name in ("lower", "upper", "work"):
        rcrun.account.run("mkdir", base / name).check()
    words = ("-v", f"{base}/lower:/d:O,upperdir={base}/upper,workdir={base}/work")
    sh(rcrun, "echo kept > /d/x", *words)
    assert sh(rcrun, "cat /d/x", *words) == "kept\n"
    assert (os.listdir(base / "lower"), os.listdir(base / "upper")) == ([], ["x"])


# ---- parts of volumes


def test_a_part_of_a_volume(rcrun: Any) -> None:
    sh(
        rcrun,
        "mkdir -p /d/a/b; echo part > /d/a/b/f; ln -s a/b /d/link; echo file > /d/one",
        "-v",
        "data:/d",
    )
    for path in ("a/b", "link"):
        mount = ("--mount", f"src=data,dst=/p,volume-subpath={path}")
        assert sh(rcrun, "cat /p/f", *mount) == "part\n"
    assert sh(rcrun, "cat /p", "--mount", "src=data,dst=/p,volume-subpath=one,readonly") == "file\n"
    up(
        rcrun,
        "web",
        "--mount",
        "src=data,dst=/p,volume-subpath=a/b",
        "--mount",
        "src=data,dst=/q,subpath=a,ro",
    )
    rcrun("exec", "web", "touch", "/p/new").check()
    assert rcrun("exec", "web", "ls", "/q/b").out == "f\nnew\n"
    rcrun("restart", "-t", "0", "web").check()
    assert rcrun("exec", "web", "cat", "/p/f").out == "part\n"


@pytest.mark.parametrize(
    "target", ["/etc", "../../../../../../../../../etc", "/proc/self/root/etc"]
)
def test_a_part_never_leads_out_of_the_volume(rcrun: Any, target: str) -> None:
    sh(rcrun, f"ln -s {target} /d/out; mkdir /d/etc; touch /d/etc/inside", "-v", "data:/d")
    got = rcrun(
        "run",
        "--rm",
        *NO_NETWORK,
        "--mount",
        "src=data,dst=/p,volume-subpath=out",
        "busybox",
        "ls",
        "/p",
    )
    assert (got.status, got.out) in ((0, "inside\n"), (125, "")), got
    assert "bug" not in got.err


def test_a_part_of_a_directory_never_leads_out_of_it(rcrun: Any) -> None:
    """CVE-2017-1002101, and the change of owner that goes with it."""
    base = rcrun.account.new_dir("parts")
    script = """mkdir -p secret shared/a; echo secret >secret/key; echo part >shared/a/f; cd shared
        ln -s a in; ln -s ../secret up; ln -s "$1/secret" all; ln -s "/proc/self/root$1/secret" magic"""
    rcrun.account.run("sh", "-c", f'cd "$1"; {script}', "sh", base).check()
    owner = (base / "secret/key").stat().st_uid
    bind = f"type=bind,src={base}/shared,dst=/p,subpath="
    assert sh(rcrun, "cat /p/f; echo new > /p/g", "--mount", f"{bind}in,U") == "part\n"
    assert (base / "shared/a/g").read_text() == "new\n"
    words = ("run", "--rm", *NO_NETWORK, "-u", "33", "--mount")
    for path in ("up", "all", "magic", "up/key", "none"):
        for more in ("", ",U"):
            got = rcrun(*words, f"{bind}{path}{more}", "busybox", "ls", "/p")
            assert (got.status, got.out) == (125, ""), (path, got)
            assert "no such file or directory" in got.err or path == "magic", got
            assert "bug" not in got.err
    assert (base / "secret/key").stat().st_uid == owner
    up(rcrun, "web", "--mount", f"{bind}in")
    rcrun.account.run("ln", "-sfn", "../secret", base / "shared/in").check()
    assert f'"{base}/shared" has no "in"' in rcrun("restart", "-t", "0", "web").err
    got = rcrun(*words, f"type=bind,src={base}/secret/key,dst=/p,subpath=x", "busybox", "true")
    assert (got.status, "not a directory" in got.err) == (125, True), got


def test_a_part_that_is_not_there(rcrun: Any) -> None:
    got = rcrun(
        "run", *NO_NETWORK, "--mount", "src=data,dst=/p,volume-subpath=none", "busybox", "true"
    )
    assert got.status == 125
    assert 'the volume has no "none"' in got.err
    assert rcrun("ps", "-aq").out == ""


# ---- owners


@pytest.mark.requires("subids")
def test_the_owner_option_of_a_volume(rcrun: Any) -> None:
    script = "stat -c %u /d /d/f"
    sh(rcrun, "touch /d/f", "-v", "data:/d")
    assert sh(rcrun, script, "-v", "data:/d:U", "-u", "33") == "33\n33\n"
    assert (
        sh(rcrun, script, "--mount", "type=volume,src=data,dst=/d,U=true", "-u", "44") == "44\n44\n"
    )


def test_words_that_change_nothing_here(rcrun: Any) -> None:
    for words in ("z", "Z", "cached", "nocopy", "copy", "rw,z", "nosuid,nodev"):
        assert sh(rcrun, "echo on", "-v", f"data:/d:{words}") == "on\n"
    assert sh(rcrun, "echo on", "--mount", "src=data,dst=/d,relabel=shared") == "on\n"


# ---- with one id alone


def test_one_id_is_enough(single_rcrun: Any) -> None:
    rcrun = single_rcrun
    clean(rcrun)
    rcrun("volume", "create", "site").check()
    assert sh(rcrun, "cat /var/www/index.html", "-v", "site:/var/www") == "It works.\n"
    assert sh(rcrun, "touch /d/x; ls /d", "-v", "site:/d:O", "-u", "33") == "index.html\nx\n"
    sh(rcrun, "mkdir /d/part; touch /d/part/f", "-v", "site:/d")
    assert sh(rcrun, "ls /p", "--mount", "src=site,dst=/p,volume-subpath=part") == "f\n"
    up(rcrun, "web", "-v", "site:/d", "-v", "/anon")
    assert sh(rcrun, "ls /d", "--volumes-from", "web") == "index.html\npart\n"
    rcrun("rm", "-fv", "web").check()
    assert names(rcrun) == ["site"]
    clean(rcrun)
