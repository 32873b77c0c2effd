"""No space, no quota, an error of the disk, at any call: a word, the right status, a store that goes on."""

from __future__ import annotations

import subprocess

import pytest

from robust.conftest import NO_NETWORK, Traces, rounds

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)
WRITES = (
    "write,pwrite64,writev", "mkdir,mkdirat", "rename,renameat2", "symlink,symlinkat", "fdatasync,fsync,syncfs",
    "ftruncate,fallocate", "linkat", "fchmod,fchmodat,chmod", "copy_file_range,sendfile",
)  # fmt: skip
WORDS = {"ENOSPC": "no space left", "EDQUOT": "quota", "EIO": "input/output error"}


def fails_at(strace, rcrun, call, number, error, *words):
    """The command, with one call of its own processes failing; the shim is not followed."""
    rule = (f"trace={call}", f"inject={call}:error={error}:when={number}")
    argv = [word for word in strace(*rule) if word != "-f"]
    return subprocess.run(
        [*argv, *words],
        stdin=subprocess.DEVNULL, capture_output=True,
        env={**rcrun.account.environ, **rcrun.env}, cwd=rcrun.account.home, timeout=120, check=False,
    )  # fmt: skip


@only_user
@pytest.mark.requires("strace", "root")
def test_an_error_of_the_disk_at_each_write(rcrun, traces, chance, strace, busybox_tar):
    verbs = [
        ("create", "--name", "web", *NO_NETWORK, "busybox", "true"),
        ("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100"),
        ("run", "--rm", "--name", "web", "-v", "/data", *NO_NETWORK, "busybox", "true"),
        ("load", "-i", busybox_tar),
        ("tag", "busybox", "other:1"),
        ("rename", "named", "again"),
        ("start", "ended"),
        ("rm", "-f", "ended"),
    ]
    for _ in range(rounds(20)):
        rcrun("create", "--name", "named", *NO_NETWORK, "busybox", "true").check()
        rcrun("run", "--name", "ended", *NO_NETWORK, "busybox", "true").check()
        words, call = chance.choice(verbs), chance.choice(WRITES)
        number, error = chance.randint(1, 8), chance.choice(tuple(WORDS))
        what = f"{' '.join(map(str, words))}: {error} at {call} {number}"
        got = fails_at(strace, rcrun, call, number, error, *words)
        said = got.stderr.decode(errors="replace")
        assert "Traceback" not in said, what
        assert "bug in" not in said, f"{what}: {said}"
        assert got.returncode in (0, 1, 125, 126, 127), f"{what}: {got.returncode} {said}"
        if got.returncode:
            assert (
                said.startswith(("rcrun: error: ", "rcrun: warning: ", "Unable to find image"))
                or "docker" in said
            ), f"{what}: {said}"
        rcrun("images").check()
        traces.check_truth()
        rcrun("run", "--rm", *NO_NETWORK, "busybox", "true").check()
        traces.clean()
        rcrun("rmi", "other:1")
    rcrun("load", "-i", busybox_tar).check()
    traces.check_nothing_left()


@pytest.fixture
def busybox_tar(accounts):
    from tests.conftest import busybox_archive

    return busybox_archive(accounts)


@pytest.fixture
def small_disk(account, busybox_tar):
    """A store on 12 MiB, with the image."""
    from tests.conftest import Rcrun

    folder = account.new_dir("small")
    options = f"size=12m,uid={account.uid},gid={account.gid},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    rcrun = Rcrun(account, folder / "store")
    rcrun.disk = folder
    try:
        rcrun("load", "-i", busybox_tar).check()
        yield rcrun
        rcrun("rm", "-fa").check()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def leave(rcrun, kibibytes):
    """Fill the disk but for so much."""
    path = rcrun.disk / "fill"
    rcrun.account.run("dd", "if=/dev/zero", f"of={path}", "bs=64k")
    rcrun.account.run("truncate", "-s", f"-{kibibytes}K", path).check()


@only_user
@pytest.mark.requires("root")
@pytest.mark.parametrize("kibibytes", [0, 4, 8, 16, 24, 32, 48])
def test_a_little_room(small_disk, kibibytes):
    """Whatever step it is that meets the end: nothing half made is shown or left."""
    rcrun = small_disk
    traces = Traces(rcrun, by_mounts=False)
    leave(rcrun, kibibytes)
    for words in (
        ("run", "-d", "--name", "web"),
        ("run", "--rm", "-v", "/data"),
        ("create", "--name", "cc"),
    ):
        got = rcrun(*words, *NO_NETWORK, "busybox", "sleep", "100" if "-d" in words else "0")
        assert "bug in" not in got.err
        assert got.status in (0, 125)
        if got.status:
            assert "no space left on device" in got.err
    traces.check_truth()
    (rcrun.disk / "fill").unlink()
    rcrun("run", "--rm", "--name", "fine", *NO_NETWORK, "busybox", "true").check()
    traces.clean()
    assert [path for path in traces.left() if not path.startswith("tmp/")] == []


@only_user
@pytest.mark.requires("root")
def test_logs_on_a_full_disk(small_disk):
    """The container goes on; what was lost is lost whole, and the log goes on when there is room."""
    rcrun = small_disk
    script = "i=0; while :; do echo line $i; i=$((i+1)); usleep 500; done"
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    leave(rcrun, 0)
    before = rcrun("exec", "web", "cat", "/proc/1/stat").check().out.split()[13:15]
    for _ in range(20):
        rcrun("logs", "--tail", "1", "web").check()
    (rcrun.disk / "fill").unlink()
    lines = rcrun("logs", "web").check().out.splitlines()
    for _ in range(100):
        again = rcrun("logs", "web").check().out.splitlines()
        if len(again) > len(lines) + 20:
            break
    assert len(again) > len(lines) + 20
    assert all(line.startswith("line ") and line[5:].isdigit() for line in again)
    numbers = [int(line[5:]) for line in again]
    assert numbers == sorted(set(numbers))
    assert rcrun("exec", "web", "cat", "/proc/1/stat").check().out.split()[13:15] != before
    rcrun("rm", "-f", "web").check()


@only_user
@pytest.mark.requires("root")
def test_a_store_that_cannot_be_written(small_disk):
    """Read-only, as after an error of the disk."""
    rcrun = small_disk
    rcrun("run", "--name", "web", *NO_NETWORK, "busybox", "echo", "said").check()
    subprocess.run(["mount", "-o", "remount,ro", rcrun.disk], check=True)
    try:
        for words in (("run", "--rm"), ("create",)):
            got = rcrun(*words, *NO_NETWORK, "busybox", "true")
            assert got.status == 125
            assert "read-only file system" in got.err
            assert "bug in" not in got.err
        for words in (
            ("ps", "-a"),
            ("images",),
            ("inspect", "web"),
            ("logs", "web"),
            ("wait", "web"),
        ):
            rcrun(*words).check()
        for words in (
            ("rm", "web"),
            ("start", "web"),
            ("rename", "web", "other"),
            ("rmi", "busybox"),
        ):
            got = rcrun(*words)
            assert got.status == 1, words
            assert "read-only file system" in got.err
    finally:
        subprocess.run(["mount", "-o", "remount,rw", rcrun.disk], check=True)
