"""cp, commit and export while the container does what it can against whoever copies."""

from __future__ import annotations

import io
import os
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from hostile.conftest import NO_NETWORK

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

SECONDS = 3
# Two names change places as fast as they can: what is there now may be a way out in a moment.
SWAP = """
    cd /work; ln -s "$0" trap; mkdir name; echo inside >name/secret
    exec /attack swap name trap
"""


@pytest.fixture
def outside(rcrun: Rcrun) -> Path:
    """A directory of the host that the container can name, and must not reach."""
    path = rcrun.account.new_dir("outside")
    rcrun.account.run("sh", "-c", "echo secret >secret; mkdir below", cwd=path).check()
    return path


@pytest.fixture
def swapping(rcrun: Rcrun, outside: Path, attack: tuple[str, str]) -> str:
    options = (*NO_NETWORK, *attack, "--tmpfs", "/work:exec")
    words = ("run", "-d", *options, "busybox", "sh", "-ec", SWAP, outside)
    name = rcrun(*words).check().out.strip()
    ready = "while ! test -e /work/name/secret -o -e /work/trap/secret; do sleep 0.1; done"
    rcrun("exec", name, "sh", "-c", ready).check()
    return name


def test_into_a_directory_that_becomes_a_link(rcrun: Rcrun, swapping: str, outside: Path) -> None:
    source = rcrun.account.new_dir("source")
    rcrun.account.run("sh", "-c", "mkdir -p name/below; echo x >name/made; echo x >name/below/made", cwd=source).check()  # fmt: skip
    end = time.monotonic() + SECONDS
    outcomes = set()
    while time.monotonic() < end:
        outcomes.add(rcrun("cp", "name", f"{swapping}:/work", cwd=source).status)
        outcomes.add(rcrun("cp", "name/made", f"{swapping}:/work/name/made", cwd=source).status)
        outcomes.add(rcrun("cp", "name/.", f"{swapping}:/work/name", cwd=source).status)
        assert sorted(os.listdir(outside)) == ["below", "secret"]
        assert os.listdir(outside / "below") == []
    assert outcomes <= {0, 1}


def test_out_of_a_directory_that_becomes_a_link(rcrun: Rcrun, swapping: str, outside: Path) -> None:
    target = rcrun.account.new_dir("target")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for path in ("/work/name", "/work/name/", "/work/name/secret", "/work"):
            data = rcrun("cp", f"{swapping}:{path}", "-").stdout
            assert b"secret\n" not in data.replace(b"name/secret", b"")
        rcrun("cp", f"{swapping}:/work/.", target)
        rcrun("cp", f"{swapping}:/work/name/.", target)
    for folder, _, names in os.walk(target):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    assert file.read() != b"secret\n"


def hostile_tar(*entries: tuple[str, bytes, str]) -> bytes:
    """Name, type and link target of each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, link in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, link, 0o777
            archive.addfile(entry)
    return buffer.getvalue()


def test_archives_that_climb(rcrun: Rcrun, outside: Path) -> None:
    name = rcrun("run", "-d", *NO_NETWORK, "busybox", "sleep", "1000").check().out.strip()
    place = str(outside)
    for entries, said in (
        ([("../../up", tarfile.REGTYPE, "")], '".."'),
        ([("a/../../up", tarfile.REGTYPE, "")], '".."'),
        ([("l", tarfile.SYMTYPE, place), ("l/made", tarfile.REGTYPE, "")], "symbolic link"),
        ([("l", tarfile.SYMTYPE, "/etc"), ("l/made", tarfile.REGTYPE, "")], "symbolic link"),
        ([("h", tarfile.LNKTYPE, "../../etc/passwd")], '".."'),
        ([("m", tarfile.SYMTYPE, place), ("h", tarfile.LNKTYPE, "m/secret")], "symbolic link"),
    ):
        done = rcrun("cp", "-", f"{name}:/tmp", input=hostile_tar(*entries))
        assert (done.status, said in done.err) == (1, True), done
        assert sorted(os.listdir(outside)) == ["below", "secret"]
    node = hostile_tar(("node", tarfile.CHRTYPE, ""), ("after", tarfile.REGTYPE, ""))
    done = rcrun("cp", "-", f"{name}:/tmp", input=node).check()
    assert 'left out "node": it is a device' in done.err
    assert "after" in rcrun("exec", name, "ls", "/tmp").out.split()


def test_links_that_are_copied_out_lead_nobody_astray(rcrun: Rcrun, outside: Path) -> None:
    """What came before is a link to a place of ours: what comes now does not go through it."""
    script = "mkdir /tmp/one; ln -s $0 /tmp/one/d; mkdir -p /tmp/two/d; echo x >/tmp/two/d/made; sleep 1000"
    words = ("run", "-d", *NO_NETWORK, "busybox", "sh", "-c", script, outside)
    name = rcrun(*words).check().out.strip()
    rcrun("exec", name, "sh", "-c", "while ! test -s /tmp/two/d/made; do sleep 0.1; done").check()
    target = rcrun.account.new_dir("target")
    rcrun("cp", f"{name}:/tmp/one/.", target).check()
    done = rcrun("cp", f"{name}:/tmp/two/.", target)
    assert (done.status, "cannot overwrite non-directory" in done.err) == (1, True), done
    assert sorted(os.listdir(outside)) == ["below", "secret"]


def test_no_set_id_program_arrives(rcrun: Rcrun) -> None:
    script = "cp /bin/busybox /tmp/su; chmod 6755 /tmp/su"
    rcrun("run", *NO_NETWORK, "--name", "suid", "busybox", "sh", "-c", script).check()
    target = rcrun.account.new_dir("target")
    rcrun("cp", "suid:/tmp/su", target).check()
    assert (target / "su").stat().st_mode & 0o7777 == 0o755


def test_files_that_never_end(rcrun: Rcrun) -> None:
    """A file that grows, one that shrinks, a pipe that nobody writes."""
    script = """
        mkfifo /work/pipe; cd /work
        while :; do dd if=/dev/zero of=big bs=1M count=8 2>/dev/null; : >big; rm -f big; done
    """
    words = ("run", "-d", *NO_NETWORK, "--tmpfs", "/work", "busybox", "sh", "-c", script)
    name = rcrun(*words).check().out.strip()
    for _ in range(10):
        data = rcrun("cp", f"{name}:/work", "-", timeout=120)
        if data.status == 0:
            with tarfile.open(fileobj=io.BytesIO(data.stdout)) as archive:
                assert archive.getnames()[0] == "work"
        rcrun("export", name, "-o", "/dev/null", timeout=120).check()


def test_a_deep_tree(rcrun: Rcrun) -> None:
    script = "cd /tmp; i=0; while test $i -lt 300; do mkdir d; cd d; i=$((i+1)); done; echo end >f"
    rcrun("run", *NO_NETWORK, "--name", "deep", "busybox", "sh", "-c", script).check()
    target = rcrun.account.new_dir("target")
    rcrun("cp", "deep:/tmp/d", target / "copy").check()
    depth = sum(1 for _ in os.walk(target / "copy"))
    assert depth == 300
    rcrun("commit", "deep", "deep:1").check()
    assert len(rcrun("diff", "deep").check().out.splitlines()) == 302
    rcrun("rmi", "deep:1").check()


def test_names_that_steer_terminals(rcrun: Rcrun) -> None:
    words = (
        "run",
        *NO_NETWORK,
        "--name",
        "names",
        "busybox",
        "touch",
        "/tmp/a\nb",
        "/tmp/\x1b[2Jx",
    )
    rcrun(*words).check()
    out = rcrun("diff", "names").check().stdout
    assert b"\x1b" not in out
    assert len(out.splitlines()) == 3
    target = rcrun.account.new_dir("target")
    rcrun("cp", "names:/tmp/.", target).check()
    assert sorted(os.listdir(target)) == ["\x1b[2Jx", "a\nb"]
