"""openat2 and the walk that replaces it on older kernels agree, on paths that try to get out."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from rcrun.kernel import syscalls

PATHS = """
. / .. ../.. a a/b a/b/file a/file/x nothing nothing/x a/b/../b/file a/../../../etc a/./b//file a/b/
absolute absolute/b up up/a/b/file outside outside/passwd loop loop/x chain chain/file deep/../a
dangling dangling/x a/to-root/a/b/file file-link file-link/x
""".split()
FLAGS = {
    "path": os.O_PATH,
    "directory": os.O_PATH | os.O_DIRECTORY,
    "nofollow": os.O_PATH | os.O_NOFOLLOW,
    "read": os.O_RDONLY | os.O_NOFOLLOW,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("inside")
    (root / "a/file").write_text("inside")
    (root / "etc").mkdir()
    for name, target in {
        "absolute": "/a",
        "up": "../../../../..",
        "outside": "/etc",
        "loop": "loop",
        "chain": "absolute/b",
        "dangling": "/nothing/at/all",
        "file-link": "a/b/file",
        "a/to-root": "/",
        "deep": "a/b",
    }.items():
        (root / name).symlink_to(target)
    (tmp_path / "secret").write_text("outside")
    return root


def outcome(function: object, root_fd: int, path: str, flags: int) -> object:
    try:
        fd = function(root_fd, path.encode(), flags | os.O_CLOEXEC, 0)  # type: ignore[operator]
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
@pytest.mark.parametrize("path", PATHS)
def test_both_ways_agree(root: Path, path: str, flags: int) -> None:
    if syscalls._open_in_root is syscalls._by_steps:
        pytest.skip("this kernel has no openat2")
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        theirs = outcome(syscalls._by_kernel, root_fd, path, flags)
        assert outcome(syscalls._by_steps, root_fd, path, flags) == theirs
    finally:
        os.close(root_fd)


@pytest.mark.parametrize("way", [syscalls._by_steps, syscalls.open_in_root])
def test_nothing_outside_is_reached(root: Path, way: object) -> None:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    inside = {os.lstat(path).st_ino for path in [root, *root.rglob("*")]}
    before = len(os.listdir("/proc/self/fd"))
    try:
        for path in [*PATHS, "up/secret", "../secret", "a/to-root/../secret"]:
            found = outcome(way, root_fd, path, os.O_PATH)
            assert isinstance(found, str) or found in inside
        assert outcome(way, root_fd, "../secret", os.O_PATH) == "ENOENT"
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        os.close(root_fd)


def test_a_new_file_is_made_beneath(root: Path) -> None:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        for number, way in enumerate((syscalls._by_steps, syscalls.open_in_root)):
            os.close(way(root_fd, f"absolute/new{number}".encode(), flags, 0o640))
            assert stat.S_IMODE((root / f"a/new{number}").stat().st_mode) == 0o640
    finally:
        os.close(root_fd)


def test_syncfs(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        syscalls.syncfs(fd)
    finally:
        os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        syscalls.syncfs(fd)


FOUND = {"": stat.S_IFDIR, "a/b": stat.S_IFDIR, "a/b/file": stat.S_IFREG, "up": stat.S_IFLNK}
REFUSED = [
    "absolute/b",
    "chain/file",
    "up/a",
    "..",
    "a/../..",
    "a/file/x",
    "nothing",
    "outside/passwd",
]


@pytest.fixture(params=["kernel", "steps"])
def root_fd(root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    if request.param == "steps":
        monkeypatch.setattr(syscalls, "_open_in_root", syscalls._by_steps)
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("path", FOUND)
def test_beneath(root_fd: int, path: str) -> None:
    fd = syscalls.open_beneath(root_fd, path.encode(), os.O_PATH)
    assert stat.S_IFMT(os.fstat(fd).st_mode) == FOUND[path]
    os.close(fd)


@pytest.mark.parametrize("path", REFUSED)
def test_beneath_follows_no_link_and_climbs_nowhere(root_fd: int, path: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # which error depends on the kernel
        syscalls.open_beneath(root_fd, path.encode(), os.O_PATH)
