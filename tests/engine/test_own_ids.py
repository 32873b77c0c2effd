"""User namespaces with ids of their own: --userns auto, nomap and keep-id, maps as they are typed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.volumes import NO_NETWORK, up
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay")
USER = pytest.mark.parametrize("account", ["user"], indirect=True)


def sh(rcrun: Any, script: str, *options: str) -> list[str]:
    words = ("run", "--rm", *NO_NETWORK, *options, "busybox", "sh", "-c", script)
    out: str = rcrun(*words).check().out
    return [" ".join(line.split()) for line in out.splitlines()]


def first_subordinate(rcrun: Any) -> int:
    return int(sh(rcrun, "cat /proc/self/uid_map")[1].split()[1])


@USER
def test_nomap_leaves_the_caller_out(rcrun: Any) -> None:
    first = first_subordinate(rcrun)
    script = "cut -c1- /proc/self/uid_map; id -u; stat -c %u /etc/passwd /home/guest; touch /new; stat -c %u /new"
    assert sh(rcrun, script, "--userns", "nomap") == [f"0 {first} 65536", "0", "0", "1000", "0"]


@USER
def test_auto_gives_each_container_ids_of_its_own(rcrun: Any) -> None:
    first = first_subordinate(rcrun)
    up(rcrun, "one", "--userns", "auto")
    up(rcrun, "two", "--userns", "auto:size=2000")
    maps = [
        rcrun("exec", name, "cat", "/proc/self/uid_map").check().out.split()
        for name in ("one", "two")
    ]
    assert maps == [["0", str(first), "1024"], ["0", str(first + 1024), "2000"]]
    rcrun("rm", "-f", "one").check()
    assert sh(rcrun, "cat /proc/self/uid_map", "--userns", "auto") == [f"0 {first} 1024"]
    refused = rcrun("run", "--rm", "--userns", "auto:size=65000", "busybox", "true")
    assert refused.status == 125
    assert "no 65000 uids in a row are left" in refused.err
    pid = int(rcrun("inspect", "-f", "{{.State.Pid}}", "two").check().out)
    assert Path(f"/proc/{pid}").stat().st_uid == first + 1024


@USER
def test_made_at_once_they_have_different_ids(rcrun: Any) -> None:
    names = [f"box{number}" for number in range(6)]
    with ThreadPoolExecutor(len(names)) as pool:
        for done in [pool.submit(up, rcrun, name, "--userns", "auto") for name in names]:
            done.result()
    maps = [rcrun("exec", name, "cat", "/proc/self/uid_map").check().out for name in names]
    assert len(set(maps)) == len(names)


@USER
def test_auto_with_a_row_of_ones_own(rcrun: Any) -> None:
    """The caller's own id among those that are the container's alone."""
    folder = rcrun.account.new_dir("mine")
    script = "id -u; touch /w/made; stat -c %u /w/made; cat /proc/self/uid_map | wc -l"
    options = (
        "--userns",
        "auto:uidmapping=500:0:1,gidmapping=500:0:1",
        "-u",
        "500:500",
        "-v",
        f"{folder}:/w",
    )
    assert sh(rcrun, script, *options) == ["500", "500", "3"]
    assert (Path(folder) / "made").stat().st_uid == rcrun.account.uid


@USER
def test_maps_as_they_are_typed(rcrun: Any) -> None:
    first = first_subordinate(rcrun)
    script = "cat /proc/self/uid_map /proc/self/gid_map; stat -c %u /etc/passwd"
    assert sh(rcrun, script, "--uidmap", "0:5:1000") == [f"0 {first + 4} 1000"] * 2 + ["0"]
    found = sh(rcrun, script, "--uidmap", f"0:@{first}:100,100:0", "--gidmap", "0:1:50")
    assert found == [f"0 {first} 100", f"100 {rcrun.account.uid} 1", f"0 {first} 50", "0"]
    name = rcrun.account.run("id", "-un").check().out.strip()
    assert sh(rcrun, "cat /proc/self/uid_map", "--subuidname", name) == [f"0 {first} 65536"]
    refused = rcrun("run", "--rm", "--subuidname", "nobody-at-all", "busybox", "true")
    assert "/etc/subuid has no ids for that name" in refused.err
    refused = rcrun("run", "--rm", "--uidmap", "0:70000:5", "busybox", "true")
    assert "70000 is not among our ids" in refused.err


@USER
def test_its_network_volumes_and_end(rcrun: Any) -> None:
    """Its root has no rights over what is the caller's: everything is opened for it, and removed after it."""
    words = ("run", "--rm", *NO_NETWORK, "--userns", "nomap", "--name", "box", "--hostname", "box")
    script = "cat /etc/hostname; echo x >/v/y; cat /v/y; cat /run/secrets/s"
    rcrun("secret", "create", "s", "-", input="told").check()
    rcrun("volume", "create", "mine").check()
    found = rcrun(*words, "-v", "mine:/v:U", "--secret", "s", "busybox", "sh", "-c", script).check()
    assert found.out.split() == ["box", "x", "told"]
    assert list((rcrun.store_dir / "containers").iterdir()) == []
    wait_for(lambda: list((rcrun.store_dir / "trash").iterdir()) == [])  # after the end was told
    rcrun("volume", "rm", "mine").check()
    rcrun("secret", "rm", "s").check()


@USER
def test_copying_in_and_out_knows_its_numbers(rcrun: Any) -> None:
    up(rcrun, "box", "--userns", "nomap")
    rcrun("exec", "box", "sh", "-c", "echo in >/file; chown 1000 /file").check()
    folder = rcrun.account.new_dir("out")
    rcrun("cp", "box:/file", folder).check()
    assert (Path(folder) / "file").read_text() == "in\n"
    rcrun("cp", f"{folder}/file", "box:/again").check()
    assert rcrun("exec", "box", "cat", "/again").check().out == "in\n"


@USER
def test_what_it_has_changed_and_an_image_of_it(rcrun: Any) -> None:
    script = "echo x >/file; chown 1000 /file; chmod 4755 /file; rm /var/www/index.html"
    words = (
        "run",
        "--name",
        "box",
        *NO_NETWORK,
        "--userns",
        "nomap",
        "busybox",
        "sh",
        "-c",
        script,
    )
    rcrun(*words).check()
    assert rcrun("diff", "box").check().out.split("\n")[:-1] == [
        "A /file", "C /var", "C /var/www", "D /var/www/index.html",
    ]  # fmt: skip
    rcrun("commit", "box", "shifted").check()
    words = ("run", "--rm", *NO_NETWORK, "shifted", "stat", "-c", "%u %a", "/file", "/etc/passwd")
    assert rcrun(*words).check().out.splitlines() == ["1000 4755", "0 644"]
    rcrun("rm", "box").check()
    rcrun("rmi", "shifted").check()


@USER
def test_keep_id_is_known_by_name(rcrun: Any) -> None:
    name = rcrun.account.run("id", "-un").check().out.strip()
    assert sh(rcrun, "id -un; id -u", "--userns", "keep-id") == [name, str(rcrun.account.uid)]
    script = "grep -c . /etc/passwd"
    assert sh(rcrun, script, "--userns", "keep-id", "--passwd=false") == sh(rcrun, script)
    found = sh(
        rcrun, "id -u; wc -l </proc/self/uid_map", "--userns", "keep-id:uid=7,gid=7,size=100"
    )
    assert found[0] == "7"


def test_one_id_says_what_it_lacks(single_rcrun: Any) -> None:
    for word in ("auto", "nomap"):
        refused = single_rcrun("run", "--rm", "--userns", word, "busybox", "true")
        assert refused.status == 125
        assert f"--userns {word} needs subordinate ids: " in refused.err
    assert sh(single_rcrun, "id -u", "--uidmap", "33:0:1", "-u", "33:33") == ["33"]
    refused = single_rcrun("run", "--rm", "--uidmap", "0:0:10", "busybox", "true")
    assert "1 is not among our ids" in refused.err


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_root_maps_too(rcrun: Any) -> None:
    script = "cat /proc/self/uid_map; id -u; stat -c %u /etc/passwd /home/guest; cat /etc/hostname"
    words = ("--uidmap", "0:300000:65536", "--hostname", "box")
    assert sh(rcrun, script, *words) == ["0 300000 65536", "0", "0", "1000", "box"]
    refused = rcrun("run", "--rm", "--userns", "keep-id", "busybox", "true")
    assert "not root" in refused.err
