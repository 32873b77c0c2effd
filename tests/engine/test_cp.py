"""cp: docker's table of sources and destinations, in containers that run, have stopped, or were only made."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from accounts import Result
    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

MAKE = ("--network", "none")


def made(rcrun: Rcrun, state: str, *options: str) -> str:
    """A container in this state; its id."""
    if state == "created":
        return rcrun("create", *MAKE, *options, "busybox", "sleep", "1000").check().out.strip()
    name = rcrun("run", "-d", *MAKE, *options, "busybox", "sleep", "1000").check().out.strip()
    if state == "stopped":
        rcrun("stop", "-t", "0", name).check()
    return name


def shown(rcrun: Rcrun, name: str, path: str) -> dict[str, tarfile.TarInfo]:
    """What is at a path of a container, by another way than cp."""
    data = rcrun("export", name).check().stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            entry.name: entry
            for entry in archive
            if entry.name == path or entry.name.startswith(f"{path}/")
        }


@pytest.fixture
def folder(rcrun: Rcrun) -> Path:
    """A directory of the caller's with `file`, and `dir` which has a file, a link, a directory and a hard link."""
    path = rcrun.account.new_dir("copy")
    script = """
        echo file >file
        mkdir -p dir/below empty
        echo one >dir/one
        ln dir/one dir/below/twin
        ln -s /etc/passwd dir/link
        chmod 4751 dir/one
        chmod 700 dir/below
        touch -d '2001-02-03 04:05:06.789' dir/one dir/below
    """
    rcrun.account.run("sh", "-euc", script, cwd=path).check()
    return path


def cp(rcrun: Rcrun, folder: Path, *words: str, **options: object) -> Result:
    return rcrun("cp", *words, cwd=folder, **options)


@pytest.mark.parametrize("state", ["running", "stopped", "created"])
def test_there_and_back(rcrun: Rcrun, folder: Path, state: str) -> None:
    name = made(rcrun, state)
    done = cp(rcrun, folder, "dir", f"{name}:/home").check()
    assert (done.out, done.err) == ("", "")
    found = shown(rcrun, name, "home/dir")
    assert set(found) == {
        f"home/dir{rest}" for rest in ("", "/one", "/link", "/below", "/below/twin")
    }
    assert all((entry.uid, entry.gid) == (0, 0) for entry in found.values())
    assert found["home/dir/one"].islnk() or found["home/dir/below/twin"].islnk()
    assert found["home/dir/link"].linkname == "/etc/passwd"
    assert found["home/dir/below"].mode == 0o700
    assert int(found["home/dir/below"].mtime) == 981173106
    cp(rcrun, folder, f"{name}:/home/dir", "back").check()
    assert (folder / "back/one").read_text() == "one\n"
    assert (folder / "back/one").stat().st_mtime_ns == (folder / "dir/one").stat().st_mtime_ns
    assert (folder / "back/one").stat().st_mode & 0o7777 == 0o751
    assert os.path.samefile(folder / "back/one", folder / "back/below/twin")
    assert (folder / "back/link").readlink().as_posix() == "/etc/passwd"
    owner = (folder / "back").stat()
    assert (owner.st_uid, owner.st_gid) == (rcrun.account.uid, rcrun.account.gid)


# Source, destination, what it is called then; `new` does not exist.
PLACED = [
    ("file", "/home", "home/file"),
    ("file", "/home/", "home/file"),
    ("file", "/home/new", "home/new"),
    ("file", "/home/old", "home/old"),
    ("dir", "/home", "home/dir/one"),
    ("dir/", "/home", "home/dir/one"),
    ("dir/.", "/home", "home/one"),
    ("dir", "/home/new", "home/new/one"),
    ("dir", "/home/new/", "home/new/one"),
    ("dir/.", "/home/new", "home/new/one"),
    ("dir", "home", "home/dir/one"),
    ("./dir/below/../one", "/home", "home/one"),
    ("dir/link", "/home", "home/link"),
    ("file", "/tolink", "home/file"),
    ("file", "/tonew", "home/made"),
]  # fmt: skip


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.parametrize("where", ["in", "out"])
def test_the_table(rcrun: Rcrun, folder: Path, where: str) -> None:
    setup = "mkdir -p home; echo old >home/old; ln -s home tolink; ln -s home/made tonew"
    for source, target, wanted in PLACED:
        name = rcrun("run", "-d", *MAKE, "busybox", "sleep", "1000").check().out.strip()
        rcrun("exec", name, "sh", "-c", f"cd /; {setup}").check()
        if where == "in":
            cp(rcrun, folder, source, f"{name}:{target}").check()
            assert wanted in shown(rcrun, name, wanted), (source, target)
        else:
            cp(rcrun, folder, "dir", f"{name}:/").check()
            cp(rcrun, folder, "file", f"{name}:/").check()
            top = rcrun.account.new_dir("top")
            rcrun.account.run("sh", "-euc", setup, cwd=top).check()
            rcrun(
                "cp", f"{name}:{source}", f".{target}" if target[0] == "/" else target, cwd=top
            ).check()
            assert os.path.lexists(top / wanted), (source, target)
        rcrun("rm", "-f", name).check()


REFUSED = [
    ("dir", "/etc/passwd", 'cannot copy a directory to the file "{0}:/etc/passwd"'),
    ("file", "/etc/passwd/", '"{0}:/etc/passwd/" is not a directory'),
    ("file", "/none/", 'no such directory: "{0}:/none/"'),
    ("file", "/none/deep", 'no such directory: "{0}:/none"'),
    ("file/", "/home", '"file/" is not a directory'),
    ("nothing", "/home", 'could not find the file "nothing"'),
    ("empty", "/etc/passwd/x", 'cannot copy "{0}:/etc/passwd/x": not a directory'),
]


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_refusals(rcrun: Rcrun, folder: Path) -> None:
    rcrun("run", "-d", *MAKE, "--name", "refuses", "busybox", "sleep", "1000").check()
    for source, target, words in REFUSED:
        done = cp(rcrun, folder, source, f"refuses:{target}")
        assert done.status == 1, done
        assert words.format("refuses") in done.err, done
        assert done.err.startswith("rcrun: error: ")
        assert "bug" not in done.err
    for words, said in (
        (("refuses:/none", "."), 'could not find the file "refuses:/none"'),
        (("refuses:/etc/", "file"), 'cannot copy a directory to the file "file"'),
        (("refuses:/etc/passwd", "none/x"), 'no such directory: "none"'),
        (("file", "dir"), "neither the source nor the destination is in a container"),
        (("file", "nobody:/x"), "no such container: nobody"),
        (("refuses:", "x"), '"refuses:" names no path'),
        (("-", "refuses:/etc/passwd"), 'the destination "refuses:/etc/passwd" must be a directory'),
        (("-", "refuses:/none"), 'could not find the file "refuses:/none"'),
    ):
        done = cp(rcrun, folder, *words, input=b"\0" * 1024)
        assert done.status == 1, done
        assert said in done.err, done
    podman = rcrun.account.new_dir("bin") / "podman"
    podman.symlink_to(rcrun.account.run("sh", "-c", "command -v rcrun").out.strip())
    done = rcrun.account.run(podman, "cp", "file", "nobody:/x", env=rcrun.env, cwd=folder)
    assert (done.status, done.err) == (
        125,
        'Error: no container with name or ID "nobody" found: no such container\n',
    )


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_kinds_replace_each_other_only_with_overwrite(rcrun: Rcrun, folder: Path) -> None:
    name = made(rcrun, "running")
    rcrun(
        "exec",
        name,
        "sh",
        "-c",
        "mkdir -p /t/dir/one; echo x >/t/dir/below; mkdir /u; echo x >/u/dir",
    ).check()
    done = cp(rcrun, folder, "dir", f"{name}:/t")
    assert (done.status, "cannot overwrite" in done.err) == (1, True), done
    done = cp(rcrun, folder, "dir", f"{name}:/u")
    assert (done.status, "cannot overwrite non-directory" in done.err) == (1, True), done
    cp(rcrun, folder, "--overwrite", "dir", f"{name}:/t").check()
    cp(rcrun, folder, "--overwrite", "dir", f"{name}:/u").check()
    assert not shown(rcrun, name, "t/dir/one")["t/dir/one"].isdir()
    assert "t/dir/below/twin" in shown(rcrun, name, "t/dir")
    assert "u/dir/below" in shown(rcrun, name, "u/dir")


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_through_volumes_and_binds(rcrun: Rcrun, folder: Path, state: str) -> None:
    outside = rcrun.account.new_dir("bound")
    rcrun.account.run("sh", "-c", "echo bound >one; ln -s /etc leak", cwd=outside).check()
    options = ("-v", f"{outside}:/bound", "-v", "cpvolume:/data", "-v", f"{outside}:/ro:ro")
    name = made(rcrun, state, *options)
    cp(rcrun, folder, "file", f"{name}:/data/x").check()
    cp(rcrun, folder, "file", f"{name}:/bound/").check()
    assert (outside / "file").read_text() == "file\n"
    assert (outside / "file").stat().st_uid == rcrun.account.uid
    seen = rcrun("run", "--rm", *MAKE, "-v", "cpvolume:/d", "busybox", "cat", "/d/x").check()
    assert seen.out == "file\n"
    cp(rcrun, folder, f"{name}:/bound/one", "got").check()
    assert (folder / "got").read_text() == "bound\n"
    done = cp(rcrun, folder, "file", f"{name}:/ro/new")
    assert (done.status, "read-only file system" in done.err) == (1, True), done
    # A link in the volume is the container's to follow: its /etc, not ours.
    cp(rcrun, folder, "file", f"{name}:/bound/leak/made-by-cp").check()
    assert not os.path.lexists("/etc/made-by-cp")
    assert "etc/made-by-cp" in shown(rcrun, name, "etc/made-by-cp")


def test_tmpfs_and_bound_files_of_a_running_one(rcrun: Rcrun, folder: Path) -> None:
    name = made(rcrun, "running", "--tmpfs", "/tt")
    cp(rcrun, folder, "dir", f"{name}:/tt").check()
    assert rcrun("exec", name, "cat", "/tt/dir/one").out == "one\n"
    cp(rcrun, folder, f"{name}:/tt/dir", "out").check()
    assert (folder / "out/below/twin").read_text() == "one\n"
    cp(rcrun, folder, "file", f"{name}:/etc/hosts").check()  # a mount: its content is what changes
    assert rcrun("exec", name, "cat", "/etc/hosts").out == "file\n"


def test_owners(rcrun: Rcrun, folder: Path) -> None:
    name = made(rcrun, "running")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("theirs")
        entry.uid, entry.gid, entry.mode = 33, 44, 0o6755
        tar.addfile(entry)
    cp(rcrun, folder, "-", f"{name}:/home", input=archive.getvalue()).check()
    cp(rcrun, folder, "-a", "-", f"{name}:/tmp", input=archive.getvalue()).check()
    found = {**shown(rcrun, name, "home"), **shown(rcrun, name, "tmp")}
    assert (found["home/theirs"].uid, found["home/theirs"].gid) == (0, 0)
    assert (found["tmp/theirs"].uid, found["tmp/theirs"].gid) == (33, 44)
    assert found["tmp/theirs"].mode == 0o6755
    cp(rcrun, folder, "-a", f"{name}:/tmp/theirs", "kept").check()
    cp(rcrun, folder, f"{name}:/tmp/theirs", "plain").check()
    mine = (rcrun.account.uid, rcrun.account.gid)
    plain, kept = (folder / "plain").stat(), (folder / "kept").stat()
    assert (plain.st_uid, plain.st_gid, plain.st_mode & 0o7777) == (*mine, 0o755)
    assert (kept.st_uid, kept.st_gid) == ((33, 44) if rcrun.account.uid == 0 else mine)


@pytest.mark.parametrize("state", ["running", "stopped", "created"])
def test_between_containers(rcrun: Rcrun, folder: Path, state: str) -> None:
    one, other = made(rcrun, state), made(rcrun, state)
    cp(rcrun, folder, "dir", f"{one}:/home").check()
    cp(rcrun, folder, f"{one}:/home/dir", f"{other}:/srv").check()
    assert "srv/below/twin" in shown(rcrun, other, "srv")
    cp(rcrun, folder, f"{one}:/home/dir/.", f"{one}:/tmp").check()
    assert "tmp/one" in shown(rcrun, one, "tmp")
    cp(rcrun, folder, f"{one}:/home/dir", f"{one}:/home/dir/below").check()
    found = shown(rcrun, one, "home/dir/below/dir")
    assert "home/dir/below/dir/below/twin" in found
    assert "home/dir/below/dir/below/dir" not in found


def test_a_stopped_one_starts_with_what_was_copied(rcrun: Rcrun, folder: Path) -> None:
    name = rcrun("create", *MAKE, "--rm", "busybox", "cat", "/home/file").check().out.strip()
    cp(rcrun, folder, "file", f"{name}:/home").check()
    cp(rcrun, folder, f"{name}:/home/file", "again").check()
    assert rcrun("start", "-a", name).check().out == "file\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_read_only_root(rcrun: Rcrun, folder: Path) -> None:
    for state in ("running", "stopped"):
        name = made(rcrun, state, "--read-only", "-v", "rovolume:/v")
        done = cp(rcrun, folder, "file", f"{name}:/home/x")
        assert (done.status, "read-only file system" in done.err) == (1, True), done
        cp(rcrun, folder, "file", f"{name}:/v/x").check()
        cp(rcrun, folder, f"{name}:/etc/passwd", ".").check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_streams(rcrun: Rcrun, folder: Path) -> None:
    name = made(rcrun, "running")
    for source, names in (
        ("/etc/passwd", ["passwd"]),
        ("/var/www", ["www", "www/index.html"]),
        ("/var/www/.", [".", "index.html"]),
    ):
        data = rcrun("cp", f"{name}:{source}", "-").check().stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert archive.getnames() == names
    packed = rcrun.account.run("tar", "-cz", "dir", cwd=folder).check().stdout
    cp(rcrun, folder, "-", f"{name}:/home", input=packed).check()
    assert rcrun("exec", name, "cat", "/home/dir/below/twin").out == "one\n"
    listed = rcrun.account.run("tar", "-t", input=rcrun("cp", f"{name}:/home/dir", "-").stdout)
    assert sorted(listed.check().out.split()) == sorted(["dir/", "dir/one", "dir/link", "dir/below/", "dir/below/twin"])  # fmt: skip
    cut = cp(rcrun, folder, "-", f"{name}:/home", input=b"no archive at all" * 100)
    assert (cut.status, "not a tar archive" in cut.err) == (1, True), cut


def test_links_of_the_source(rcrun: Rcrun, folder: Path) -> None:
    name = made(rcrun, "running")
    rcrun("exec", name, "sh", "-c", "ln -s /var/www /home/www; ln -s passwd /etc/p").check()
    cp(rcrun, folder, f"{name}:/home/www", "link").check()
    assert (folder / "link").readlink().as_posix() == "/var/www"
    cp(rcrun, folder, "-L", f"{name}:/home/www", "followed").check()
    assert (folder / "followed/index.html").exists()
    cp(rcrun, folder, f"{name}:/home/www/", "slash").check()
    assert (folder / "slash/index.html").exists()
    cp(rcrun, folder, "-L", f"{name}:/etc/p", ".").check()
    assert (folder / "p").read_text().startswith("root:")


def test_sparse_files_and_attributes(rcrun: Rcrun, folder: Path) -> None:
    script = "truncate -s 64M holes; printf middle | dd of=holes bs=1M seek=32 conv=notrunc"
    rcrun.account.run("sh", "-ec", script, cwd=folder).check()
    os.setxattr(folder / "file", "user.note", b"kept\n")
    name = made(rcrun, "running")
    cp(rcrun, folder, "holes", f"{name}:/home").check()
    cp(rcrun, folder, "file", f"{name}:/home").check()
    cp(rcrun, folder, f"{name}:/home/.", "back").check()
    copied = folder / "back/holes"
    assert copied.stat().st_size == 64 << 20
    assert copied.stat().st_blocks * 512 < 1 << 20
    assert copied.read_bytes()[32 << 20 :][:6] == b"middle"
    assert os.getxattr(folder / "back/file", "user.note") == b"kept\n"


def test_devices_and_sockets_are_left_out(rcrun: Rcrun, folder: Path) -> None:
    name = made(rcrun, "running")
    done = cp(rcrun, folder, f"{name}:/dev", "dev").check()
    assert 'left out "null": it is a device' in done.err
    assert not (folder / "dev/null").exists()
    assert (folder / "dev/stdin").is_symlink()
    alone = cp(rcrun, folder, f"{name}:/dev/null", "null")
    assert (alone.status, "neither a file nor a directory" in alone.err) == (1, True), alone


def test_the_single_id_user(single_rcrun: Rcrun) -> None:
    rcrun, folder = single_rcrun, single_rcrun.account.new_dir("copy")
    rcrun.account.run("sh", "-ec", "mkdir dir; echo one >dir/one", cwd=folder).check()
    for state in ("running", "stopped"):
        name = made(rcrun, state)
        cp(rcrun, folder, "-a", "dir", f"{name}:/home").check()
        cp(rcrun, folder, f"{name}:/home/dir", f"back-{state}").check()
        assert (folder / f"back-{state}/one").read_text() == "one\n"
