from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rcrun.storage import layered


@pytest.fixture
def stack(fast_dir: Path) -> list[str]:
    """Three lowers, top first: a file replaced, hidden, below an opaque directory, below a file."""
    top, middle, bottom = (fast_dir / name for name in ("top", "middle", "bottom"))
    for lower in (top, middle, bottom):
        (lower / "etc").mkdir(parents=True)
        (lower / "opaque").mkdir()
    (bottom / "etc/passwd").write_text("bottom")
    (middle / "etc/passwd").write_text("middle")
    (bottom / "etc/hidden").write_text("x")
    os.mknod(top / "etc/hidden", stat.S_IFCHR, os.makedev(0, 0))
    (bottom / "opaque/old").write_text("x")
    os.setxattr(middle / "opaque", "user.overlay.opaque", b"y")
    (middle / "opaque/new").write_text("new")
    (bottom / "was-dir").mkdir()
    (bottom / "was-dir/file").write_text("x")
    (middle / "was-dir").write_text("file")
    (top / "was-dir").mkdir()
    (bottom / "usr/lib").mkdir(parents=True)
    (bottom / "usr/lib/os-release").write_text("debian")
    (middle / "lib").symlink_to("usr/lib")
    (top / "etc/os-release").symlink_to("/lib/os-release")
    (top / "etc/climb").symlink_to("../../../../etc/passwd")
    (top / "etc/loop").symlink_to("loop")
    os.mkfifo(top / "etc/fifo")
    return [str(top), str(middle), str(bottom)]


def test_the_topmost_file_is_read(stack: list[str]) -> None:
    assert layered.read_file(stack, "/etc/passwd", 100) == b"middle"
    assert layered.read_file(stack, "etc//./passwd", 3) == b"mid"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/hidden",
        "/opaque/old",
        "/was-dir/file",
        "/nothing",
        "/etc/passwd/x",
        "/etc/passwd/",
        "/etc/loop",
        "/etc",
    ],
)
def test_what_overlayfs_hides_is_not_there(stack: list[str], path: str) -> None:
    assert layered.read_file(stack, path, 100) is None


def test_below_an_opaque_directory(stack: list[str]) -> None:
    assert layered.read_file(stack, "/opaque/new", 100) == b"new"
    assert layered.list_dir(stack, "/opaque") == ["new"]


def test_links_are_resolved_in_the_stack_and_never_leave_it(stack: list[str]) -> None:
    assert layered.read_file(stack, "/etc/os-release", 100) == b"debian"
    assert layered.read_file(stack, "/lib/../lib/os-release", 100) == b"debian"
    assert layered.read_file(stack, "/etc/climb", 100) == b"middle"
    assert layered.read_file(stack, "/../../etc/passwd", 100) == b"middle"


def test_lookup(stack: list[str]) -> None:
    found = layered.lookup(stack, "/etc/os-release")
    assert found is not None
    assert (found.path, found.layer) == ("/usr/lib/os-release", 2)
    link = layered.lookup(stack, "/etc/os-release", follow=False)
    assert link is not None
    assert stat.S_ISLNK(link.status.st_mode)
    assert (link.path, link.layer) == ("/etc/os-release", 0)
    root = layered.lookup(stack, "/")
    assert root is not None
    assert stat.S_ISDIR(root.status.st_mode)
    directory = layered.lookup(stack, "/lib", follow=False)
    assert directory is not None
    assert stat.S_ISLNK(directory.status.st_mode)


def test_a_fifo_does_not_block(stack: list[str]) -> None:
    assert layered.read_file(stack, "/etc/fifo", 100) is None


def test_names(stack: list[str]) -> None:
    assert layered.list_dir(stack, "/etc") == ["climb", "fifo", "loop", "os-release", "passwd"]
    assert layered.list_dir(stack, "/") == ["etc", "lib", "opaque", "usr", "was-dir"]
    assert layered.list_dir(stack, "/etc/passwd") is None


def test_no_descriptor_is_left_open(stack: list[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/etc/os-release", "/opaque/old", "/lib/../etc", "/etc/loop"):
        layered.lookup(stack, path)
        layered.read_file(stack, path, 10)
    assert len(os.listdir("/proc/self/fd")) == before


def test_as_the_kernel_shows_it(stack: list[str], fast_dir: Path) -> None:
    """The oracle: the same stack mounted, where we may mount."""
    merged = fast_dir / "merged"
    merged.mkdir()
    lowers = ":".join(stack)
    script = (
        f"mount -t overlay -o userxattr,lowerdir={lowers} overlay {merged} && cd {merged} && "
        "find . -mindepth 1 -printf '/%P\\n'"
    )
    pipe = os.popen(
        f'unshare -rm sh -c "{script}" 2>/dev/null'
        if os.geteuid()
        else f'unshare -m sh -c "{script}"'
    )
    with pipe:
        shown = sorted(pipe.read().split())
    if not shown:
        pytest.skip("no kernel overlay here")
    ours = sorted(_walk(stack, ""))
    assert ours == shown


def _walk(stack: list[str], path: str) -> list[str]:
    names = layered.list_dir(stack, path or "/") or []
    found = []
    for name in names:
        below = f"{path}/{name}"
        found.append(below)
        entry = layered.lookup(stack, below, follow=False)
        assert entry is not None
        if stat.S_ISDIR(entry.status.st_mode):
            found += _walk(stack, below)
    return found
