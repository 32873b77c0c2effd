"""kill -9 before any system call of what brings, makes and removes images: the store has no fault, and the next try works."""

from __future__ import annotations

import os
import subprocess

import pytest

from registry.tiny_registry import TinyRegistry
from robust.conftest import NO_NETWORK, rounds
from tiny_image import oci_archive, tiny_image

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
    assert rcrun("system", "check").check().out == "no faults\n"
