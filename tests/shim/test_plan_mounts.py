"""Steps that make the root and mount into it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from shim.plans import PATH, PROC, Shim
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")
AS_ROOT = pytest.mark.parametrize("account", ["root"], indirect=True)
AS_USER = pytest.mark.parametrize("account", ["user"], indirect=True)


def options(outcome: object, path: str) -> set[str]:
    """Of the mount on `path`, from the output of /proc/self/mountinfo."""
    lines = [line.split() for line in outcome.out.splitlines()]  # type: ignore[attr-defined]
    found = [line for line in lines if line[4] == path]
    assert found, f"no mount on {path} in {lines}"
    return set(found[-1][5].split(","))


def mountinfo(shim: Shim, *before: list[str], **given: object) -> object:
    return shim.sh("cat /proc/self/mountinfo", before=[PROC, *before], **given)


@pytest.fixture
def source(shim: Shim) -> Path:
    """A directory of the host with a file in it."""
    path = shim.dir / "source"
    path.mkdir()
    (path / "file").write_text("text")
    os.chown(path, shim.account.uid, shim.account.gid)
    return path


# ---- bind


@pytest.mark.parametrize(
    ("flags", "there", "absent"),
    [
        ("", {"rw"}, {"noexec"}),
        ("ro", {"ro"}, set()),
        ("ro,rw", {"rw"}, {"ro"}),
        ("rw,ro", {"ro"}, set()),
        ("nosuid,nodev,noexec", {"nosuid", "nodev", "noexec"}, set()),
        ("noexec,exec", {"rw"}, {"noexec"}),
        ("noatime", {"noatime"}, {"relatime"}),
        ("relatime,noatime,nodiratime", {"noatime", "nodiratime"}, {"relatime"}),
        ("noatime,relatime", {"relatime"}, {"noatime"}),
        ("rro", {"ro"}, set()),
        ("rec,rro,rnosuid", {"ro", "nosuid"}, set()),
    ],
)
def test_bind(shim: Shim, flags: str, there: set[str], absent: set[str]) -> None:
    # a mount of our own: those of the host keep some of their options in a user namespace
    own = ["mount", "tmpfs", "tmpfs", "/own", "", ""]
    bound = ["bind", f"{shim.root}/own", "/mnt/deep/place", flags]
    seen = options(mountinfo(shim, own, bound), "/mnt/deep/place")
    assert there <= seen
    assert not absent & seen


def test_bind_a_file(shim: Shim, source: Path) -> None:
    bound = ["bind", str(source / "file"), "/etc/new", "ro"]
    outcome = shim.sh("cat /etc/new; echo x >/etc/new || echo read-only", before=[bound])
    assert outcome.out == "textread-only\n"
    assert (shim.root / "etc/new").read_text() == ""


def test_bind_what_does_not_exist(shim: Shim) -> None:
    record = ["bind", "/nowhere", "/mnt", ""]
    assert shim.fails(record) == ("open_tree", "ENOENT", 1)
    assert shim.sh("test ! -e /mnt", before=[["bind", "/nowhere", "/mnt", "optional"]]).status == 0


def test_bind_a_fallback(shim: Shim, source: Path) -> None:
    record = ["bind", "/nowhere", "/mnt", "", str(source)]
    assert shim.sh("cat /mnt/file", before=[record]).out == "text"


def test_bind_does_not_create(shim: Shim, source: Path) -> None:
    record = ["bind", str(source), "/mnt", "nocreate"]
    assert shim.fails(record) == ("openat2", "ENOENT", 2)
    assert not (shim.root / "mnt").exists()


def test_bind_follows_links_beneath_the_root(shim: Shim, source: Path) -> None:
    (shim.root / "out").symlink_to(shim.dir / "elsewhere")
    (shim.dir / "elsewhere").mkdir()
    (shim.root / "up").symlink_to("../../../../etc")
    shim.sh("true", before=[["bind", str(source), "/up/place", ""]])
    assert (shim.root / "etc/place").is_dir()
    shim.run(shim.plan(before=[["bind", str(source), "/out/place", ""]]))
    assert not list((shim.dir / "elsewhere").iterdir())


def test_bind_follows_no_magic_link(shim: Shim, source: Path) -> None:
    (shim.root / "magic").symlink_to("/proc/self/root")
    record = ["bind", str(source), "/magic/place", ""]
    plan = shim.plan(before=[["bind", "/proc", "/proc", "rec"], record])
    assert shim.run(plan).failure[1:] == ("mkdirat", "ELOOP", 2)


def test_unknown_flags(shim: Shim, source: Path) -> None:
    assert shim.fails(["bind", str(source), "/mnt", "ro,strange"]) == ("mount", "EINVAL", 3)
    assert shim.fails(["mount", "tmpfs", "tmpfs", "/mnt", "strange", ""]) == ("mount", "EINVAL", 4)


# ---- new file systems


def test_mount_tmpfs(shim: Shim) -> None:
    record = ["mount", "tmpfs", "tmpfs", "/mnt", "nosuid,noexec", "size=64k,mode=1700"]
    outcome = shim.sh("stat -c %a /mnt; grep ' /mnt ' /proc/self/mountinfo", before=[PROC, record])
    mode, line = outcome.out.splitlines()
    assert mode == "1700"
    assert "size=64k" in line
    assert {"nosuid", "noexec"} <= set(line.split()[5].split(","))


def test_mount_fails(shim: Shim) -> None:
    assert shim.fails(["mount", "nosuchfs", "none", "/mnt", "", ""]) == ("mount", "ENODEV", 3)
    bad = ["mount", "tmpfs", "tmpfs", "/mnt", "", "nosuchoption"]
    assert shim.fails(bad) == ("mount", "EINVAL", 3)
    on_file = ["mount", "tmpfs", "tmpfs", "/etc/motd", "", ""]
    assert shim.fails(on_file)[1:] == ("ENOTDIR", 3)


def test_proc_shows_the_new_namespace(shim: Shim) -> None:
    assert shim.sh("echo /proc/[0-9]*", before=[PROC]).out == "/proc/1\n"


def test_devpts_and_mqueue(shim: Shim) -> None:
    records = [
        [
            "mount",
            "devpts",
            "devpts",
            "/dev/pts",
            "nosuid,noexec",
            "newinstance,ptmxmode=0666,mode=0620",
        ],
        ["mount", "mqueue", "mqueue", "/dev/mqueue", "nosuid,nodev,noexec", ""],
    ]
    outcome = shim.sh("ls /dev/pts; ls -d /dev/mqueue", before=records, types="mount,pid,ipc")
    assert outcome.out.split() == ["ptmx", "/dev/mqueue"]


def test_tmpfs_copyup(shim: Shim) -> None:
    place = shim.root / "var"
    (place / "deep").mkdir(parents=True)
    (place / "deep/file").write_text("content")
    (place / "deep/file").chmod(0o4751)
    (place / "link").symlink_to("/etc/motd")
    with open(place / "sparse", "wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")
    os.chmod(place, 0o2750)
    os.utime(place / "deep/file", (1000, 2000))
    for path in (place, *place.rglob("*")):
        os.chown(path, shim.account.uid, shim.account.gid, follow_symlinks=False)
    os.chmod(place / "deep/file", 0o4751)
    os.chmod(place, 0o2750)
    seen = shim.sh(
        "cd /var; stat -c '%a %Y' deep/file; stat -c %a .; readlink link; cat deep/file; echo; stat -c %s sparse;"
        " tr -d '\\0' <sparse; echo; test $(stat -c %b sparse) -lt 64 && echo holes; echo new >deep/new",
        before=[["tmpfs-copyup", "/var", "", "size=1m"]],
    )
    assert seen.out.split() == [
        *("4751", "2000", "2750", "/etc/motd", "content", str(64 << 20), "data", "holes")
    ]
    assert not (place / "deep/new").exists()


@AS_ROOT
def test_tmpfs_copyup_keeps_capabilities(shim: Shim) -> None:
    (shim.root / "var").mkdir()
    program = shim.root / "var/program"
    program.write_bytes(b"")
    # cap_net_raw=ep of the second version, without a user namespace
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(program, "security.capability", capability)
    plan = shim.plan(
        settings=[["pid-file", str(shim.dir / "pid")]],
        before=[["tmpfs-copyup", "/var", "", ""]],
        end=[PATH, ["exec", "sleep", "1000"]],
    )
    with shim.start(plan) as process:
        wait_for((shim.dir / "pid").exists)
        pid = int((shim.dir / "pid").read_text())
        copied = os.getxattr(f"/proc/{pid}/root/var/program", "security.capability")
        os.kill(pid, signal.SIGKILL)
        assert process.wait() == 137
    assert copied == capability


def test_tmpfs_copyup_read_only(shim: Shim) -> None:
    (shim.root / "var").mkdir()
    (shim.root / "var/file").write_text("content")
    outcome = shim.sh(
        "cat /var/file; echo x >/var/new || echo no", before=[["tmpfs-copyup", "/var", "ro", ""]]
    )
    assert outcome.out == "contentno\n"


def test_tmpfs_copyup_without_room(shim: Shim) -> None:
    (shim.root / "var").mkdir()
    (shim.root / "var/big").write_bytes(b"x" * 200_000)
    os.chown(shim.root / "var/big", shim.account.uid, shim.account.gid)
    assert shim.fails(["tmpfs-copyup", "/var", "", "size=64k"])[:2] == ("copy_tree", "ENOSPC")


# ---- propagation


@pytest.mark.parametrize("word", ["private", "slave", "shared", "unbindable", "rprivate", "rslave"])
def test_mount_propagation(shim: Shim, source: Path, word: str) -> None:
    bind = ["bind", str(source), "/mnt", ""]
    outcome = shim.sh(
        "grep ' /mnt ' /proc/self/mountinfo",
        before=[
            PROC,
            bind,
            ["mount-propagation", "/mnt", "private"],
            ["mount-propagation", "/mnt", word],
        ],
    )
    assert ("shared:" in outcome.out) == (word == "shared")
    assert ("unbindable" in outcome.out) == (word == "unbindable")


def test_propagation_words(shim: Shim) -> None:
    assert shim.fails(["mount-propagation", "/tmp", "odd"])[:2] == ("propagation", "EINVAL")
    assert shim.fails(["mount-propagation", "/none", "private"])[:2] == ("openat2", "ENOENT")
    assert shim.fails(["propagation", "rodd"]) == ("propagation", "EINVAL", 0)
    assert shim.fails(["root-propagation", "odd"])[:2] == ("propagation", "EINVAL")


def test_root_propagation(shim: Shim) -> None:
    outcome = shim.sh(
        "grep ' / / ' /proc/self/mountinfo || cat /proc/self/mountinfo",
        ["root-propagation", "shared"],
        before=[PROC],
    )
    root = [line for line in outcome.out.splitlines() if line.split()[4] == "/"][-1]
    assert "shared:" in root


def test_the_host_sees_nothing(shim: Shim) -> None:
    shim.sh("true", before=[["mount", "tmpfs", "tmpfs", "/tmp", "", ""]])
    assert str(shim.root) not in Path("/proc/self/mountinfo").read_text()


# ---- nodes


def test_device(shim: Shim) -> None:
    records = [
        ["device", "/dev/null", "c", "1", "3", "666", "0", "0"],
        ["device", "/dev/sub/zero", "c", "1", "5", "666", "0", "0", "/dev/zero"],
        ["device", "/dev/pipe", "p", "0", "0", "640", "0", "0"],
    ]
    outcome = shim.sh(
        "stat -c '%F %t,%T' /dev/null /dev/sub/zero; stat -c '%F %a' /dev/pipe; echo x >/dev/null;"
        " head -c 3 /dev/sub/zero | wc -c",
        before=records,
    )
    assert outcome.out.splitlines() == [
        *("character special file 1,3", "character special file 1,5", "fifo 640", "3")
    ]


def test_a_device_of_the_image_is_not_trusted(shim: Shim) -> None:
    (shim.root / "dev/null").write_text("file of the image")
    outcome = shim.sh(
        "stat -c %t,%T /dev/null", before=[["device", "/dev/null", "c", "1", "3", "666", "0", "0"]]
    )
    assert outcome.out == "1,3\n"


@AS_USER
def test_a_device_that_is_another_one_is_not_bound(shim: Shim) -> None:
    record = ["device", "/dev/null", "c", "1", "3", "666", "0", "0", "/dev/zero"]
    assert shim.fails(record) == ("open_tree", "ENODEV", 8)


@AS_ROOT
def test_root_nodev(shim: Shim) -> None:
    os.mknod(shim.root / "dev/own", 0o666 | 0o020000, os.makedev(1, 3))
    outcome = shim.sh(
        "echo x >/dev/own || echo closed; echo x >/dev/null && echo open",
        before=[["root-nodev"], ["device", "/dev/null", "c", "1", "3", "666", "0", "0"]],
    )
    assert outcome.out == "closed\nopen\n"


def test_symlink_and_mkdir(shim: Shim) -> None:
    (shim.root / "there").write_text("kept")
    records = [
        ["symlink", "/proc/self/fd", "/dev/new/fd"],
        ["symlink", "elsewhere", "/there"],
        ["mkdir", "/a/b/c", "711"],
    ]
    outcome = shim.sh(
        "readlink /dev/new/fd; cat /there; echo; stat -c %a /a /a/b/c", before=records
    )
    assert outcome.out.split() == ["/proc/self/fd", "kept", "755", "711"]
    assert shim.fails(["mkdir", "/etc/motd/x", "755"])[:2] == ("mkdirat", "ENOTDIR")
    assert shim.fails(["symlink", "x", "/etc/motd/x"]) == ("mkdirat", "ENOTDIR", 2)


def test_mask_and_readonly(shim: Shim) -> None:
    (shim.root / "etc/dir").mkdir()
    (shim.root / "etc/dir/inner").write_text("x")
    records = [["mask", "/etc/motd"], ["mask", "/etc/dir"], ["mask", "/etc/absent"]]
    outcome = shim.sh(
        "wc -c </etc/motd; ls /etc/dir; echo x >/etc/dir/y || echo masked; echo x >/run/x || echo ro",
        ["readonly", "/run"],
        ["readonly", "/absent/really"],
        before=records,
    )
    assert outcome.out.split() == ["0", "masked", "ro"]


def test_a_mount_on_the_root_is_the_root(shim: Shim, source: Path) -> None:
    records = [["mount", "tmpfs", "tmpfs", "/", "", ""], ["bind", str(source), "/there", ""]]
    copied = ["tmpfs-copyup", "/", "", ""]
    outcome = shim.sh("ls / | wc -l; cat /etc/motd", before=[copied])
    assert outcome.status == 0
    plan = shim.plan(before=records)
    assert shim.run(plan).failure[1:3] == ("execve", "ENOENT")  # it is empty but for that
    assert not (shim.root / "there").exists()
