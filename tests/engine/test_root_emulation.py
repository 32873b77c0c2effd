"""Root emulation: what a user with a single id may do as root of a container, and what the image keeps of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.builds import QUIET, Work, forget_images
from engine.debian_root import image_tar, make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")
ON = (*QUIET, "--root-emulation", "on")

Looks = dict[str, tuple[int, int, str]]


@pytest.fixture
def work(single_rcrun: Rcrun) -> Iterator[Work]:
    yield Work(single_rcrun)
    forget_images(single_rcrun)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("identity") / "identity"
    flags = ["-static", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread"]
    source = Path(__file__).parent / "identity.c"
    subprocess.run(["cc", *flags, "-o", path, source], check=True)
    return path.read_bytes()


@pytest.fixture
def identity(single_rcrun: Rcrun, program: bytes) -> tuple[str, str]:
    path = single_rcrun.account.new_dir("identity") / "identity"
    path.write_bytes(program)
    path.chmod(0o755)
    return ("-v", f"{path}:/identity:ro")


def looks(data: bytes) -> Looks:
    """Owner and what ls says of each entry; a device with its numbers."""
    found = {}
    letters = {
        tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.FIFOTYPE: "p",
    }  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            text = letters.get(entry.type, "-") + f"{entry.mode:o}"
            if entry.isdev() and not entry.isfifo():
                letter = "c" if entry.ischr() else "b"
                text = f"{letter}{entry.mode:o} {entry.devmajor}:{entry.devminor}"
            found[entry.name] = (entry.uid, entry.gid, text)
    return found


def layers(rcrun: Rcrun, image: str) -> list[Looks]:
    blobs = rcrun.store_dir / "blobs/sha256"

    def blob(digest: str) -> bytes:
        return rcrun.account.run("cat", blobs / digest.removeprefix("sha256:")).check().stdout

    told = json.loads(rcrun("image", "inspect", image).check().out)[0]
    manifest = json.loads(blob(told["Digest"]))
    return [looks(blob(layer["digest"])) for layer in manifest["layers"]]


MADE_BY_FILES = {
    "bin": (29, 0, "d755"),
    "w": (0, 0, "d755"),
    "w/a": (11, 13, "-4755"), "w/c": (11, 13, "h4755"), "w/again": (0, 0, "-644"), "w/l": (15, 16, "l777"),
    "w/at": (21, 22, "-644"), "w/dots": (23, 24, "-644"), "w/magic": (25, 26, "-644"), "w/roots": (0, 0, "-644"),
    "w/null": (0, 0, "c644 1:3"), "w/disk": (0, 6, "b640 259:70000"), "w/fifo": (27, 28, "p600"),
    "w/jail": (0, 0, "d755"), "w/jail/w": (31, 33, "-644"),
    "w/his": (42, 65534, "-640"), "w/hisdir": (42, 65534, "d750"), "w/linked": (42, 65534, "-600"),
    "w/renamed": (42, 65534, "h600"), "w/cloexec": (42, 65534, "-600"), "w/hislink": (42, 65534, "l777"),
    "w/hisfifo": (42, 65534, "p640"),
}  # fmt: skip


def test_calls_and_what_they_leave(
    single_rcrun: Rcrun, work: Work, identity: tuple[str, str]
) -> None:
    rcrun = single_rcrun
    words = "/identity ids && /identity files && rm /bin/vi"
    rcrun("run", "--name", "one", *ON, *identity, "busybox", "sh", "-c", words).check()
    rcrun("commit", "one", "made").check()
    made = layers(rcrun, "made")[-1]
    assert made.pop("bin/.wh.vi")[2] == "-0"
    assert made.pop("identity")[2] == "-644"  # where it was mounted
    assert made == MADE_BY_FILES
    exported = looks(rcrun("export", "one").check().stdout)
    assert {name: exported[name] for name in MADE_BY_FILES} == MADE_BY_FILES
    assert "A /w/null\n" in rcrun("diff", "one").check().out
    # the image is the same for a container of its own, which sees what is recorded if it is told
    shown = "stat -c '%n %u:%g' /w/a /w/hisdir /bin; test ! -e /w/null"
    seen = rcrun("run", "--rm", *ON, "made", "sh", "-c", shown).check().out
    assert seen == "/w/a 11:13\n/w/hisdir 42:65534\n/bin 29:0\n"
    # `cp` hands out files, not what was noted on them
    rcrun("cp", "one:/w/his", rcrun.account.dir / "his").check()
    assert os.listxattr(rcrun.account.dir / "his") == []


def test_run_and_exec_on_request(single_rcrun: Rcrun) -> None:
    rcrun = single_rcrun
    rcrun("run", "-d", "--name", "plain", *QUIET, "busybox", "sleep", "100").check()
    rcrun("run", "-d", "--name", "told", *ON, "busybox", "sleep", "100").check()
    chown = ("sh", "-c", "touch /f && chown 3:4 /f && stat -c %u:%g /f")
    assert rcrun("exec", "plain", *chown).status == 1
    assert rcrun("exec", "--root-emulation", "on", "plain", *chown).check().out == "3:4\n"
    assert rcrun("exec", "told", *chown).check().out == "3:4\n"
    assert rcrun("exec", "--root-emulation", "off", "told", *chown).status == 1
    # who is left behind by an exec is answered all the same
    rcrun("exec", "told", "sh", "-c", "(sleep 0.3; chown 7 /f) & true").check()
    rcrun("exec", "told", "sh", "-c", "until [ $(stat -c %u /f) = 7 ]; do sleep 0.1; done").check()
    refused = rcrun("run", "--rm", *ON, "-u", "5", "busybox", "true")
    assert refused.status == 125
    assert "the container runs as user 5" in refused.err
    missing = rcrun("run", "--rm", *ON, "busybox", "/nothing")
    assert (missing.status, "/nothing" in missing.err) == (127, True), missing.err
    rcrun("rm", "-f", "-t", "0", "plain", "told").check()


def test_a_build_keeps_owners_through_its_steps(work: Work) -> None:
    work.file("mine", "x\n")
    image = work.image(
        "FROM busybox AS one\n"
        "RUN mkdir -p /srv/d && touch /srv/f /srv/g /srv/d/in && chown 33:34 /srv/f /srv/g /srv/d/in && "
        "ln -s f /srv/l && chown -h 35:36 /srv/l && chmod 4711 /srv/g\n"
        'RUN [ "$(stat -c %u:%g /srv/f)" = 33:34 ] && mv /srv/f /srv/moved && chown 0:0 /srv/d/in && chmod 600 /srv/g\n'
        "FROM busybox\n"
        "COPY --from=one /srv/ /copied/\n"
        "COPY --chown=77:78 mine /own/dir/\n"
        "RUN rm /own/dir/mine; chgrp 79 /own/dir; cp -p /copied/moved /again\n"
        "USER 1000:1000\n"
        "RUN echo >/tmp/by-him\n"
    )
    base, copied, own, changed, his = layers(work.rcrun, image)[-5:]
    assert "bin/busybox" in base
    assert copied == {
        "copied": (0, 0, "d755"),
        "copied/d": (0, 0, "d755"),
        "copied/d/in": (0, 0, "-644"),
        "copied/g": (33, 34, "-600"),
        "copied/l": (35, 36, "l777"),
        "copied/moved": (33, 34, "-644"),
    }
    assert own == {
        "own": (77, 78, "d755"),
        "own/dir": (77, 78, "d755"),
        "own/dir/mine": (77, 78, "-644"),
    }
    assert changed.pop("own/dir/.wh.mine")[2] == "-0"
    assert changed == {
        "again": (33, 34, "-644"),
        "own": (77, 78, "d755"),
        "own/dir": (77, 79, "d755"),
    }
    assert his == {"tmp": (0, 0, "d1777"), "tmp/by-him": (1000, 1000, "-644")}
    off = work("FROM busybox\nRUN touch /f; chown 5 /f\n", "--root-emulation", "off")
    assert off.status == 1
    assert "--root-emulation" in off.err


def test_apt_installs_packages(work: Work) -> None:
    """apt becomes _apt and looks whether it did; dpkg, useradd and a postinst give files to others."""
    rcrun = work.rcrun
    archive = work.folder / "debian.tar"
    archive.write_bytes(image_tar())
    rcrun("import", archive, "tiny-debian").check()
    archive.unlink()
    make_repository(work.folder / "repo")
    verify = "-o APT::Sandbox::Verify=1 -o APT::Sandbox::User=_apt"
    image = work.image(
        "FROM tiny-debian\n"
        "COPY repo /repo\n"
        f"RUN apt-get {verify} update && apt-get {verify} install -y tiny\n"
        "RUN dpkg-query -W tiny && rm /var/lib/tiny/data\n",
    )
    installed, removed = layers(rcrun, image)[-2:]
    assert {
        name: look
        for name, look in installed.items()
        if name.startswith(("var/lib/tiny", "usr/bin/tiny", "etc/shadow", "usr/share/base"))
    } == {
        "etc/shadow": (0, 42, "-640"),
        "etc/shadow-": (0, 42, "-640"),
        "usr/bin/tiny": (0, 101, "-750"),
        "usr/bin/tiny.link": (0, 101, "h750"),
        "usr/share/base": (0, 0, "d755"),
        "usr/share/base/file": (0, 0, "-644"),
        "var/lib/tiny": (101, 12, "d755"),
        "var/lib/tiny/data": (101, 12, "-644"),
        "var/lib/tiny/link": (101, 101, "l777"),
        "var/lib/tiny/own": (101, 101, "-600"),
    }
    assert removed["var/lib/tiny"] == (101, 12, "d755")
    assert "var/lib/tiny/.wh.data" in removed


@pytest.mark.parametrize("space", [(), ("--pid", "host")])
def test_hostile_callers(
    single_rcrun: Rcrun, identity: tuple[str, str], space: tuple[str, ...]
) -> None:
    """Arguments that change meanwhile, links out of the root, and more processes than anybody counts."""
    rcrun = single_rcrun
    folder = rcrun.account.new_dir("volume")
    (folder / "mine").write_text("mine\n")
    os.chown(folder / "mine", rcrun.account.uid, rcrun.account.gid)
    before = os.stat(folder / "mine")
    volume = ("-v", f"{folder}:/vol")
    words = "/identity race && /identity flood && chown 7:8 /vol/mine && stat -c %u /vol/mine"
    done = rcrun("run", "--rm", *ON, *space, *identity, *volume, "busybox", "sh", "-c", words)
    assert done.check().out == "0\n"
    after = os.stat(folder / "mine")
    assert (after.st_uid, after.st_mode, after.st_ino) == (
        before.st_uid, before.st_mode, before.st_ino,
    )  # fmt: skip
    assert os.listxattr(folder / "mine") == []
    assert sorted(path.name for path in folder.iterdir()) == ["mine"]
