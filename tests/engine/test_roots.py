"""The root of a container: overlay, fuse-overlayfs, a copy; and the copier that also fills volumes."""

from __future__ import annotations

import json
import os
import stat

import pytest

from rcrun.storage import copytree

NO_NETWORK = ("--network", "none")


@pytest.fixture
def layers(tmp_path):
    """A bottom and a top layer, without whiteouts, which need a device node."""
    bottom, top, target = (tmp_path / name for name in ("bottom", "top", "target"))
    for folder in (bottom / "etc", bottom / "opaque", top / "opaque", target):
        folder.mkdir(parents=True)
    (bottom / "etc/old").write_text("old")
    (bottom / "etc/changed").write_text("before")
    (bottom / "opaque/hidden").write_text("hidden")
    (top / "etc").mkdir(mode=0o700)
    (top / "etc/changed").write_text("after")
    (top / "opaque/shown").write_text("shown")
    os.setxattr(top / "opaque", "user.overlay.opaque", b"y")
    return bottom, top, target


def merge(layers):
    bottom, top, target = layers
    copytree.merge(str(target), [str(top), str(bottom)])
    return target


def test_merge_shows_what_overlayfs_would(layers):
    target = merge(layers)
    assert sorted(os.listdir(target / "etc")) == ["changed", "old"]
    assert (target / "etc/changed").read_text() == "after"
    assert stat.S_IMODE((target / "etc").stat().st_mode) == 0o700
    assert os.listdir(target / "opaque") == ["shown"]
    assert "user.overlay.opaque" not in os.listxattr(target / "opaque")


def test_merge_replaces_kinds(layers):
    bottom, top, _ = layers
    (bottom / "kind").mkdir()
    (bottom / "kind/file").write_text("")
    (top / "kind").write_text("a file")
    (bottom / "other").write_text("a file")
    (top / "other").mkdir()
    target = merge(layers)
    assert (target / "kind").read_text() == "a file"
    assert (target / "other").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="a whiteout is a device node")
def test_merge_takes_whiteouts(layers):
    _, top, _ = layers
    os.mknod(top / "etc/old", stat.S_IFCHR, os.makedev(0, 0))
    assert os.listdir(merge(layers) / "etc") == ["changed"]


def test_links_times_and_modes_are_kept(layers):
    bottom, _, _ = layers
    os.link(bottom / "etc/old", bottom / "etc/second")
    os.symlink("/etc/passwd", bottom / "etc/link")
    os.chmod(bottom / "etc/old", 0o4750)
    os.utime(bottom / "etc/old", ns=(1, 2_000_000_123))
    os.mkfifo(bottom / "etc/pipe")
    etc = merge(layers) / "etc"
    assert os.readlink(etc / "link") == "/etc/passwd"
    assert (etc / "old").stat().st_ino == (etc / "second").stat().st_ino
    assert (etc / "old").stat().st_mtime_ns == 2_000_000_123
    assert stat.S_IMODE((etc / "old").stat().st_mode) == 0o4750
    assert stat.S_ISFIFO((etc / "pipe").stat().st_mode)


def test_fill_stays_inside_the_root(layers, tmp_path):
    bottom, _, target = layers
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("")
    os.symlink(secret, bottom / "data")
    copytree.fill(str(bottom), "/data", str(target))
    assert os.listdir(target) == []
    os.symlink("/etc", bottom / "inside")
    copytree.fill(str(bottom), "/inside", str(target))
    assert sorted(os.listdir(target)) == ["changed", "old"]


def test_fill_of_what_is_no_directory(layers):
    bottom, _, target = layers
    copytree.fill(str(bottom), "/none", str(target))
    copytree.fill(str(bottom), "/etc/old", str(target))
    assert os.listdir(target) == []


# The driver is remembered in overlay.json: writing another answer there is how the tests choose it.


def use_driver(rcrun, driver):
    rcrun("run", "--rm", *NO_NETWORK, "busybox", "true").check()
    path = f"{rcrun.store_dir}/overlay.json"
    known = json.loads(rcrun.account.run("cat", path).check().out)
    text = json.dumps({**known, "driver": driver})
    rcrun.account.run("sh", "-c", f"cat > {path}", input=text).check()
    return lambda: rcrun.account.run("rm", path).check()


@pytest.fixture(params=["overlay", "fuse-overlayfs", "copy"])
def driven(request, rcrun):
    forget = use_driver(rcrun, request.param)
    rcrun.driver = request.param
    yield rcrun
    forget()


@pytest.mark.requires("overlay", "fuse")
def test_every_driver_gives_a_root_that_can_be_written_and_stays(driven):
    script = (
        "echo $(stat -c %u:%a / /etc/passwd); echo more >> /etc/passwd; rm /bin/ls; touch /made"
    )
    driven("run", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    assert driven("logs", "web").out == "0:755 0:644\n"
    assert driven("inspect", "-f", "{{.Driver}}", "web").out == f"{driven.driver}\n"
    driven("start", "-a", "web").check()
    assert driven("logs", "web").out == "0:755 0:644\n" * 2
    untouched = "test -e /bin/ls && ! grep -q more /etc/passwd && ! test -e /made"
    driven("run", "--rm", *NO_NETWORK, "busybox", "sh", "-c", untouched).check()
    driven("rm", "web").check()


def test_one_id_is_enough(single_rcrun):
    rcrun = single_rcrun
    got = rcrun(
        "run", "--rm", *NO_NETWORK, "busybox", "sh", "-c", "id -u; touch /made; stat -c %u /made"
    )
    assert got.check().out == "0\n0\n"
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    assert rcrun("exec", "web", "id", "-u").check().out == "0\n"
    rcrun("rm", "-f", "web").check()
