"""`volume export` and `volume import`: owners as containers see them, and archives that mean no good."""

from __future__ import annotations

import io
import os
import tarfile
from typing import Any

import pytest

from engine.volumes import clean, sh

pytestmark = pytest.mark.requires("userns", "overlay")

FILES = """cd /d; mkdir -p dir/deep; echo text > dir/file; ln dir/file hard; ln -s /etc/passwd link; mkfifo pipe
chmod 4755 dir/file; touch .wh.name; touch "a name
with a line"; dd if=/dev/zero of=zeros bs=1k count=3 2>/dev/null; chmod 750 /d"""


@pytest.fixture
def rcrun(rcrun: Any) -> Any:
    clean(rcrun)
    yield rcrun
    clean(rcrun)


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def test_there_and_back(rcrun: Any) -> None:
    sh(rcrun, FILES, "-v", "data:/d")
    archive = rcrun("volume", "export", "data").check()
    assert archive.err == ""
    found = members(archive.stdout)
    assert found["."].mode == 0o750
    assert found["dir/file"].mode == 0o4755
    assert found["hard"].linkname == "dir/file"
    assert found["link"].linkname == "/etc/passwd"
    assert found["zeros"].size == 3072
    assert found["pipe"].isfifo()
    assert "a name\nwith a line" in found
    rcrun("volume", "create", "copy").check()
    assert rcrun("volume", "import", "copy", "-", input=archive.stdout).check().out == ""
    assert rcrun("volume", "export", "copy").check().stdout == archive.stdout
    assert rcrun("volume", "inspect", "-f", "{{.NeedsCopyUp}}", "copy").out == "false\n"


@pytest.mark.requires("subids")
def test_owners_are_those_of_containers(rcrun: Any) -> None:
    sh(
        rcrun,
        "touch /d/f; chown 33:44 /d/f; mkdir -m 700 /d/closed; touch /d/closed/x; chown -R 5 /d/closed",
        "-v",
        "data:/d",
    )
    archive = rcrun("volume", "export", "data").check().stdout
    found = members(archive)
    assert (found["f"].uid, found["f"].gid, found["."].uid) == (33, 44, 0)
    assert found["closed/x"].uid == 5
    rcrun("volume", "create", "copy").check()
    rcrun("volume", "import", "copy", input=archive).check()
    assert sh(rcrun, "stat -c %u:%g /d/f /d/closed/x", "-v", "copy:/d") == "33:44\n5:0\n"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_file_over_what_is_there(rcrun: Any, kind: str) -> None:
    folder = rcrun.account.new_dir("tar")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{kind}") as archive:
        info = tarfile.TarInfo("sub/new")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"new"))
    (folder / "x.tar").write_bytes(packed.getvalue())
    sh(
        rcrun,
        "mkdir /d/sub; echo old > /d/sub/old; echo old > /d/sub/new; chmod 711 /d",
        "-v",
        "data:/d",
    )
    rcrun("volume", "import", "data", folder / "x.tar").check()
    assert (
        sh(rcrun, "cat /d/sub/new; ls /d/sub; stat -c %a /d", "-v", "data:/d")
        == "newnew\nold\n711\n"
    )


def test_to_a_file(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("tar")
    sh(rcrun, "touch /d/f", "-v", "data:/d")
    assert rcrun("volume", "export", "-o", folder / "x.tar", "data").check().out == ""
    assert "f" in members((folder / "x.tar").read_bytes())
    assert os.listdir(folder) == ["x.tar"]
    got = rcrun("volume", "export", "-o", folder / "none/x.tar", "data")
    assert (got.status, got.err) == (
        1,
        f'rcrun: error: cannot write "{folder}/none/x.tar": no such file or directory\n',
    )
    with open("/dev/full", "wb") as full:
        got = rcrun("volume", "export", "data", stdout=full)
    assert (got.status, got.err) == (
        1,
        "rcrun: error: cannot write the archive: no space left on device\n",
    )


def test_a_reader_that_goes_away(rcrun: Any) -> None:
    sh(rcrun, "dd if=/dev/zero of=/d/big bs=1M count=4 2>/dev/null", "-v", "data:/d")
    reader, writer = os.pipe()
    os.close(reader)
    got = rcrun("volume", "export", "data", stdout=writer)
    os.close(writer)
    assert (got.status, got.err) == (141, "")


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


HOSTILE = {
    "dots": ([entry("../out")], 'a ".." in the path'),
    "deep dots": ([entry("a/../../out")], 'a ".." in the path'),
    "link to dots": ([entry("l", tarfile.LNKTYPE, "../../out")], 'a ".." in the path'),
    "through a link": ([entry("l", tarfile.SYMTYPE, "{out}"), entry("l/x")], ""),
    "through a relative link": ([entry("l", tarfile.SYMTYPE, "../../../../..{out}"), entry("l/x")], ""),
    "hard link to a link": ([entry("l", tarfile.SYMTYPE, "{out}/file"), entry("h", tarfile.LNKTYPE, "l"), entry("h")], ""),
    "the root as a file": ([entry("./", tarfile.SYMTYPE, "{out}")], "would replace the root"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_stay_in_the_volume(rcrun: Any, name: str) -> None:
    outside = rcrun.account.new_dir("out")
    rcrun.account.run("sh", "-c", f"echo mine > {outside}/file").check()
    made, message = HOSTILE[name]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info in made:
            info.linkname = info.linkname.replace("{out}", str(outside))
            archive.addfile(info)
    rcrun("volume", "create", "data").check()
    got = rcrun("volume", "import", "data", input=packed.getvalue())
    assert message in got.err
    assert not message or got.status == 1
    assert "bug" not in got.err
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "nosuch"), "no such volume: nosuch"),
        (("import", "nosuch"), "no such volume: nosuch"),
        (("import", "data", "/no/such"), 'cannot read "/no/such": no such file or directory'),
        (("import", "data"), "cannot import the archive"),
        (("export", "fast"), 'the volume "fast" is a tmpfs'),
        (("import", "fast"), 'the volume "fast" is a tmpfs'),
    ],
)
def test_faults(rcrun: Any, words: tuple[str, ...], message: str) -> None:
    rcrun("volume", "create", "data").check()
    rcrun("volume", "create", "-o", "type=tmpfs", "fast").check()
    got = rcrun("volume", *words, input="no tar at all")
    assert (got.status, got.out) == (1, "")
    assert message in got.err


def test_what_one_id_cannot_have(single_rcrun: Any) -> None:
    clean(single_rcrun)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = entry("file")
        info.uid = 33
        archive.addfile(info)
        info = entry("null", tarfile.CHRTYPE)
        info.devmajor, info.devminor = 1, 3
        archive.addfile(info)
    single_rcrun("volume", "create", "data").check()
    got = single_rcrun("volume", "import", "data", input=packed.getvalue()).check()
    assert "warning: 2 entries are devices that cannot be made here, or belong to ids" in got.err
    assert sh(single_rcrun, "ls -ln /d | awk '{print $3, $NF}'", "-v", "data:/d").split("\n")[
        1:-1
    ] == ["0 file"]
    clean(single_rcrun)
