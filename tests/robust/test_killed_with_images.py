"""kill -9 before any system call of what brings, makes and removes images: the store has no fault, and the next try works."""

from __future__ import annotations

import os
import subprocess
import tarfile

import pytest

from registry.tiny_registry import TinyRegistry
from robust.conftest import NO_NETWORK, rounds
from tiny_image import docker_archive, oci_archive, tiny_image

# Of Python and its workers: what changes the store, and what starts, holds and tells of them.
CALLS = (
    "mkdir", "rename", "renameat", "unlink,unlinkat", "rmdir", "write", "ftruncate", "flock", "openat", "openat2",
    "mkdirat", "symlinkat", "mknodat", "utimensat", "fchmod", "fchown", "setxattr,fsetxattr", "removexattr,fremovexattr",
    "fdatasync,fsync,syncfs", "clone,vfork,clone3", "execve", "wait4", "read", "lseek",
)  # fmt: skip


@pytest.fixture
def registry():
    with TinyRegistry() as server:
        yield server


@pytest.fixture
def verbs(rcrun, registry, account):
    """Each brings, makes or removes something, whatever the one before it left."""
    image = tiny_image({"one": b"1", "d/two": os.urandom(3 << 20)}, {"three": b"3" * 99})
    registry.put(image, "latest")
    folder = account.new_dir("verbs")
    (folder / "image.tar").write_bytes(oci_archive(tiny_image({"four": b"4"}, {"five": b"5"})))
    (folder / "file").write_text("copied\n")
    (folder / "Containerfile").write_text("FROM busybox\nCOPY file /\nRUN rm /file; echo >/made\n")
    name = f"{registry.address}/team/app"
    rcrun(
        "run",
        "--name",
        "base",
        "--label",
        "keep",
        *NO_NETWORK,
        "busybox",
        "sh",
        "-c",
        "echo >/new; rm -r /home",
    ).check()
    return [
        ("pull", "-q", name),
        ("load", "-i", folder / "image.tar"),
        ("import", folder / "image.tar", "imported"),
        ("build", "-q", "--no-cache", *NO_NETWORK, "-t", "built", folder),
        ("commit", "-q", "base", "committed"),
        ("push", "-q", "busybox", f"{registry.address}/pushed:1"),
        ("rmi", "-f", name, "built", "committed", "imported"),
        ("image", "prune", "-af"),
        ("builder", "prune", "-af"),
        # The base stays, and with it its image: others build and push it.
        ("system", "prune", "-af", "--filter", "label!=keep"),
        ("image", "prune", "--blobs"),
    ]


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace", "root", "userns", "overlay")
def test_killed_before_a_call(rcrun, traces, chance, strace, verbs):
    killed = 0
    for _ in range(rounds(12)):
        words, call, number = chance.choice(verbs), chance.choice(CALLS), chance.randint(1, 9)
        what = f"{' '.join(map(str, words))}: before {call} {number}"
        rule = (f"trace={call}", f"inject={call}:signal=SIGKILL:when={number}")
        got = subprocess.run(
            [*strace(*rule), *words],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
            env={**rcrun.account.environ, **rcrun.env}, cwd=rcrun.account.home,
        )  # fmt: skip
        killed += got.returncode in (137, -9)
        assert b"bug in" not in got.stderr, f"{what}: {got.stderr.decode(errors='replace')}"
        check = rcrun("system", "check", "--quick")
        assert check.status == 0, f"{what}: {check.out}"
        again = rcrun(*words)
        assert again.status == 0 or words[0] == "rmi", f"{what}: {again.err}"
    print(f"{killed} commands were killed")
    traces.clean()
    rcrun(*verbs[6])
    rcrun("builder", "prune", "-af").check()
    rcrun("image", "prune", "-f").check()
    traces.check_nothing_left()
    rcrun(
        "save", "-o", rcrun.account.new_dir("saved") / "base", "busybox"
    ).check()  # its blob is back
    assert rcrun("system", "check").check().out == "no faults\n"


# Every call by which `image prune --blobs` changes what is kept: of its worker (which comes first), and of its own.
DROPPING = (
    ("syncfs", "worker"), ("unlink", "worker"), ("fdatasync", "worker"), ("rename", "worker"),
    ("fdatasync", "own"), ("rename", "own"), ("fsync", "own"), ("unlink", "own"),
)  # fmt: skip


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("strace", "root", "userns")
def test_a_blob_that_is_dropped(fresh_rcrun, account, strace):
    """Killed before any of them: either the blob is whole, or what it is made of is."""
    rcrun, folder = fresh_rcrun(), account.new_dir("dropped")
    archive, out = folder / "image.tar", folder / "out.tar"
    archive.write_bytes(docker_archive(tiny_image({"a": os.urandom(40_000)}), "app:1"))
    rcrun("load", "-q", "-i", archive).check()
    layer = largest_file(archive)
    for call, whose in DROPPING:
        words = strace(f"trace={call}", f"inject={call}:signal=SIGKILL:when=1")
        if whose == "own":
            words.remove("-f")
        got = subprocess.run(
            [*words, "image", "prune", "--blobs"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
            env={**account.environ, **rcrun.env}, cwd=account.home,
        )  # fmt: skip
        assert got.returncode == 1 if whose == "worker" else got.returncode in (137, -9), call
        out.unlink(missing_ok=True)
        rcrun("save", "-q", "-o", out, "app:1").check()
        assert largest_file(out) == layer
        account.run("rm", "-rf", rcrun.store_dir / "recipes").check()
    assert rcrun("system", "check").status == 0


def largest_file(path):
    """The layer of an archive."""
    with tarfile.open(path) as archive:
        member = max(archive.getmembers(), key=lambda each: each.size)
        return archive.extractfile(member).read()
