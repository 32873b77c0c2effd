"""`rcrun volume`, and volumes in containers."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

from engine.volumes import NO_NETWORK, clean, names, sh, up

pytestmark = pytest.mark.requires("userns", "overlay")


@pytest.fixture
def rcrun(rcrun: Any) -> Any:
    clean(rcrun)
    yield rcrun
    clean(rcrun)


# ---- create, ls, inspect, rm


def test_create_and_inspect(rcrun: Any) -> None:
    made = rcrun("volume", "create", "-l", "role=db", "-l", "bare", "data").check()
    assert (made.out, made.err) == ("data\n", "")
    (found,) = json.loads(rcrun("volume", "inspect", "data").check().out)
    assert found["Name"] == "data"
    assert found["Driver"] == found["Scope"] == "local"
    assert found["Labels"] == {"role": "db", "bare": ""}
    assert found["Options"] is None
    assert found["Mountpoint"] == f"{rcrun.store_dir}/volumes/data/_data"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d+Z", found["CreatedAt"])
    assert (found["Anonymous"], found["NeedsCopyUp"], found["MountCount"]) == (False, True, 0)
    mine = os.stat(found["Mountpoint"])
    assert (mine.st_uid, mine.st_mode & 0o7777) == (rcrun.account.uid, 0o755)
    assert rcrun("inspect", "--type", "volume", "-f", "{{.Name}}", "data").out == "data\n"


def test_a_name_is_made_up(rcrun: Any) -> None:
    name = rcrun("volume", "create").check().out.strip()
    assert re.fullmatch("[0-9a-f]{64}", name)
    assert rcrun("volume", "inspect", "-f", "{{.Anonymous}}", name).out == "true\n"


def test_one_that_is_there_is_left_as_it_is(rcrun: Any) -> None:
    rcrun("volume", "create", "-l", "a=1", "data").check()
    sh(rcrun, "echo kept > /d/file", "-v", "data:/d")
    assert rcrun("volume", "create", "-l", "a=2", "data").check().out == "data\n"
    assert rcrun("volume", "inspect", "-f", "{{.Labels.a}}", "data").out == "1\n"
    assert sh(rcrun, "cat /d/file", "-v", "data:/d") == "kept\n"


def test_filters(rcrun: Any) -> None:
    rcrun("volume", "create", "-l", "a=1", "-l", "b=2", "first").check()
    rcrun("volume", "create", "-l", "a=2", "second").check()
    rcrun("volume", "create", "-o", "type=tmpfs", "third").check()
    up(rcrun, "user", "-v", "second:/d")
    for asked, expected in [
        (["name=ir"], ["first", "third"]),
        (["name=^s"], ["second"]),
        (["name=first", "name=second"], ["first", "second"]),
        (["label=a"], ["first", "second"]),
        (["label=a=1"], ["first"]),
        (["label=a", "label=b"], ["first"]),
        (["label!=a"], ["third"]),
        (["driver=local"], ["first", "second", "third"]),
        (["driver=nfs"], []),
        (["dangling=true"], ["first", "third"]),
        (["dangling=false"], ["second"]),
        (["opt=type"], ["third"]),
        (["opt=type=nfs"], []),
        (["since=first"], ["second", "third"]),
        (["after=second"], ["third"]),
        (["until=1h"], []),
        (["until=2100-01-01T00:00:00Z"], ["first", "second", "third"]),
        (["anonymous=true"], []),
        (["scope=local", "label=a=2"], ["second"]),
    ]:
        words = [word for each in asked for word in ("-f", each)]
        assert names(rcrun, *words) == expected, asked


def test_remove(rcrun: Any) -> None:
    for name in ("one", "two", "three"):
        rcrun("volume", "create", name).check()
    up(rcrun, "user", "-v", "two:/d")
    got = rcrun("volume", "rm", "one", "two", "nosuch", "three")
    assert (got.status, got.out) == (1, "one\nthree\n")
    short = rcrun("ps", "-q").out.strip()
    assert f"remove two: volume is in use - [{short}]" in got.err
    assert "hint: remove its containers first: rcrun rm user" in got.err
    assert "no such volume: nosuch" in got.err
    assert (rcrun("volume", "rm", "-f", "nosuch").check().out, names(rcrun)) == ("", ["two"])
    assert rcrun("volume", "rm", "-f", "two").status == 1
    rcrun("rm", "-f", "user").check()
    assert rcrun("volume", "rm", "-a").check().out == "two\n"


def test_files_of_other_ids_go_too(rcrun: Any) -> None:
    script = "mkdir -m 700 /d/closed; touch /d/closed/file; chown -R 33:33 /d/closed; chmod 700 /d; chown 33 /d"
    sh(rcrun, script, "-v", "data:/d")
    assert rcrun("volume", "rm", "data").check().out == "data\n"
    assert names(rcrun) == []


def test_prune(rcrun: Any) -> None:
    rcrun("volume", "create", "-l", "keep", "named").check()
    rcrun("volume", "create", "other").check()
    rcrun("create", "--name", "user", *NO_NETWORK, "-v", "/used", "busybox").check()
    (used,) = [name for name in names(rcrun) if len(name) == 64]
    rcrun("create", "--name", "gone", *NO_NETWORK, "-v", "/unused", "busybox").check()
    (unused,) = [name for name in names(rcrun) if len(name) == 64 and name != used]
    rcrun("rm", "gone").check()
    assert unused in names(rcrun)
    got = rcrun("volume", "prune", "-f").check()
    assert re.fullmatch(rf"Deleted Volumes:\n{unused}\n\nTotal reclaimed space: \d+B\n", got.out)
    assert sorted(names(rcrun)) == sorted(["named", "other", used])
    got = rcrun("volume", "prune", "-af", "--filter", "label!=keep").check()
    assert got.out.startswith("Deleted Volumes:\nother\n\n")
    assert sorted(names(rcrun)) == sorted(["named", used])
    assert rcrun("volume", "prune", input="n\n").check().out == ""
    assert rcrun("volume", "prune", input="y\n").check().out == "Total reclaimed space: 0B\n"


def test_volumes_that_others_made_by_hand(rcrun: Any) -> None:
    """An older rcrun, or somebody with mkdir: no record, or one that is damaged."""
    folder = rcrun.store_dir / "volumes"
    script = f'mkdir -p {folder}/bare/_data {folder}/odd/_data; echo "{{" > {folder}/odd/volume.json; echo x > {folder}/bare/_data/f'
    rcrun.account.run("sh", "-c", script).check()
    assert names(rcrun) == ["bare", "odd"]
    (found,) = json.loads(rcrun("volume", "inspect", "bare").check().out)
    assert found["Labels"] == {}
    assert found["CreatedAt"].startswith("20")
    assert sh(rcrun, "cat /d/f", "-v", "bare:/d") == "x\n"
    assert rcrun("volume", "rm", "bare", "odd").check().out == "bare\nodd\n"


# ---- what they begin with


def test_a_volume_that_was_created_begins_with_the_images_files(rcrun: Any) -> None:
    rcrun("volume", "create", "site").check()
    assert sh(rcrun, "cat /var/www/index.html", "-v", "site:/var/www") == "It works.\n"
    assert rcrun("volume", "inspect", "-f", "{{.NeedsCopyUp}}", "site").out == "false\n"
    rcrun("volume", "create", "bare").check()
    assert sh(rcrun, "ls /var/www", "-v", "bare:/var/www:nocopy") == ""
    # As with docker, an empty one begins anew.
    assert sh(rcrun, "ls /var/www", "-v", "bare:/var/www") == "index.html\n"
    sh(rcrun, "rm /d/*; touch /d/own", "-v", "bare:/d")
    assert sh(rcrun, "ls /var/www", "-v", "bare:/var/www") == "own\n"


def test_two_places_of_one_volume(rcrun: Any) -> None:
    words = ("-v", "both:/a", "-v", "both:/var/www:ro")
    assert sh(rcrun, "ls /a /var/www; touch /a/x; ls /var/www", *words).split() == [
        "/a:", "index.html", "/var/www:", "index.html", "index.html", "x",
    ]  # fmt: skip


def test_a_fill_that_was_killed_is_done_again(rcrun: Any) -> None:
    rcrun("volume", "create", "half").check()
    folder = f"{rcrun.store_dir}/volumes/half"
    script = f"cd {folder}; sed -i 's/^{{/{{\"filling\":true,/' volume.json; touch _data/stray"
    rcrun.account.run("sh", "-c", script).check()
    assert sh(rcrun, "ls /var/www", "-v", "half:/var/www").split() == ["index.html", "stray"]
    assert '"filling":false' in rcrun.account.run("cat", f"{folder}/volume.json").out


# ---- drivers


def test_a_tmpfs_volume(rcrun: Any) -> None:
    words = ("-o", "type=tmpfs", "-o", "o=size=1m", "-o", "o=mode=1777", "-o", "device=tmpfs")
    rcrun("volume", "create", *words, "fast").check()
    (found,) = json.loads(rcrun("volume", "inspect", "fast").out)
    assert found["Options"] == {"type": "tmpfs", "o": "size=1m,mode=1777", "device": "tmpfs"}
    script = "grep ' /var/www ' /proc/mounts; ls /var/www; touch /var/www/x; stat -c %a /d"
    out = sh(rcrun, script, "-v", "fast:/var/www", "-v", "fast:/d:nocopy")
    assert out.startswith("tmpfs /var/www tmpfs rw,nosuid,nodev,relatime,size=1024k")
    assert out.split("\n")[1:] == ["index.html", "1777", ""]
    assert sh(rcrun, "ls /d", "-v", "fast:/d") == ""


def test_a_bind_volume(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("device")
    words = ("-o", "type=none", "-o", "o=bind", "-o", f"device={folder}")
    rcrun("volume", "create", *words, "dir").check()
    assert sh(rcrun, "ls /var/www; touch /var/www/new", "-v", "dir:/var/www") == "index.html\n"
    assert sorted(os.listdir(folder)) == ["index.html", "new"]
    assert (
        "Read-only"
        in rcrun("run", "--rm", *NO_NETWORK, "-v", "dir:/d:ro", "busybox", "touch", "/d/x").err
    )
    up(rcrun, "user", "-v", "dir:/d")
    (mount,) = json.loads(rcrun("inspect", "-f", "{{json .Mounts}}", "user").out)
    assert mount["Source"] == f"{rcrun.store_dir}/volumes/dir/_data"
    rcrun("rm", "-f", "user").check()
    rcrun("volume", "rm", "dir").check()
    assert sorted(os.listdir(folder)) == ["index.html", "new"]


def test_a_device_that_is_gone(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("device")
    words = ("-o", "type=none", "-o", "o=bind", "-o", f"device={folder}/none")
    rcrun("volume", "create", *words, "dir").check()
    got = rcrun("run", "--rm", *NO_NETWORK, "-v", "dir:/d", "busybox", "true")
    assert got.status == 125
    assert f'its device "{folder}/none" does not exist' in got.err


def test_options_of_a_new_one_in_mount(rcrun: Any) -> None:
    text = "type=volume,src=new,dst=/d,volume-label=a=b,volume-opt=type=tmpfs,volume-opt=o=size=64k"
    assert "size=64k" in sh(rcrun, "grep ' /d ' /proc/mounts", "--mount", text)
    (found,) = json.loads(rcrun("volume", "inspect", "new").out)
    assert (found["Labels"], found["Options"]) == ({"a": "b"}, {"type": "tmpfs", "o": "size=64k"})


# ---- the mounts of inspect


def test_mounts_of_inspect(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("src")
    words = (
        "-v",
        "data:/data:ro,z",
        "-v",
        f"{folder}:/bound:rslave",
        "-v",
        "/anon",
        "--tmpfs",
        "/tmpfs",
    )
    rcrun("create", "--name", "web", *NO_NETWORK, *words, "busybox").check()
    rows = json.loads(rcrun("inspect", "-f", "{{json .Mounts}}", "web").out)
    found = {row["Destination"]: row for row in rows}
    assert {key: found["/data"][key] for key in ("Type", "Name", "Driver", "Mode", "RW", "Propagation")} == {
        "Type": "volume", "Name": "data", "Driver": "local", "Mode": "ro,z", "RW": False, "Propagation": "",
    }  # fmt: skip
    assert found["/data"]["Source"] == f"{rcrun.store_dir}/volumes/data/_data"
    assert found["/bound"]["Source"] == str(folder)
    assert (found["/bound"]["Mode"], found["/bound"]["Propagation"]) == ("rslave", "rslave")
    assert (found["/anon"]["Type"], len(found["/anon"]["Name"]), found["/anon"]["RW"]) == (
        "volume",
        64,
        True,
    )
    assert "/tmpfs" not in found  # as in docker and podman: it is in HostConfig.Tmpfs
