"""Sparse files, and what GNU tar and Python's tarfile make of the same archives."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from unpacked import needs_root, unpack

pytestmark = pytest.mark.usefixtures("umask")


@pytest.mark.parametrize("form", ["0.0", "0.1", "1.0", "gnu"])
def test_sparse_files(fast_dir: Path, form: str) -> None:
    source = fast_dir / "sparse"
    with source.open("wb") as output:
        for at in range(30):
            output.seek(at << 20)
            output.write(b"%d" % at * 1000)
        output.truncate(40 << 20)
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    data = subprocess.run(
        ["tar", "-C", str(fast_dir), "-S", *options, "-cf", "-", "sparse"],
        check=True,
        capture_output=True,
    ).stdout
    assert len(data) < 1 << 20
    unpack(data, fast_dir / "root")
    made = fast_dir / "root/sparse"
    assert made.read_bytes() == source.read_bytes()
    assert made.stat().st_blocks * 512 < 1 << 20


# ---- the oracle: GNU tar


@needs_root
@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "v7"])
def test_like_gnu_tar(fast_dir: Path, form: str) -> None:
    if shutil.which("tar") is None:
        pytest.skip("no tar")
    source = fast_dir / "source"
    make_tree(source, xattrs=form == "pax", fifo=form != "v7")
    options = ["--xattrs", "--xattrs-include=*"] if form == "pax" else []
    tar = ["tar", "--numeric-owner", *options]
    data = subprocess.run(
        [*tar, f"--format={form}", "-C", str(source), "-cf", "-", "."],
        check=True,
        capture_output=True,
    ).stdout
    unpack(data, fast_dir / "ours")
    theirs = fast_dir / "theirs"
    theirs.mkdir()
    subprocess.run([*tar, "-C", str(theirs), "-xpf", "-"], input=data, check=True)
    assert listing(fast_dir / "ours") == listing(theirs)


def make_tree(source: Path, *, xattrs: bool, fifo: bool) -> None:
    for number in range(12):
        folder = source / f"d{number % 4}" / f"e{number}"
        folder.mkdir(parents=True)
        for size in (0, 1, 511, 512, 513, 40_000):
            path = folder / f"f{size}"
            path.write_bytes(os.urandom(size))
            os.chown(path, number, size % 100)
            path.chmod(0o600 | number)
        os.utime(folder / "f1", ns=(0, 1_600_000_000_123_456_789))
        (folder / "l").symlink_to("../e0/f1")
        os.link(folder / "f512", folder / "linked")
        folder.chmod(0o700 | number << 3)
    if fifo:
        os.mkfifo(source / "fifo")
    (source / "d0").chmod(0o3777)
    (source / "suid").write_bytes(b"x")
    (source / "suid").chmod(0o6711)
    if xattrs:
        os.setxattr(source / "suid", "user.note", b"\x01")
        os.setxattr(source / "d1", "user.note", b"dir")


def listing(root: Path) -> list[tuple[object, ...]]:
    rows = []
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        link = os.readlink(path) if path.is_symlink() else ""
        attributes = [
            (n, os.getxattr(path, n, follow_symlinks=False))
            for n in os.listxattr(path, follow_symlinks=False)
        ]
        rows.append(
            (
                str(path.relative_to(root)),
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_nlink,
                status.st_mtime_ns,
                content,
                link,
                sorted(attributes),
            )
        )
    return rows


def test_what_pythons_tarfile_writes(fast_dir: Path) -> None:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("x" * 150 + "/" + "ÿ" * 100)
        info.size, info.mtime = 3, 1.25
        tar.addfile(info, io.BytesIO(b"abc"))
    unpack(output.getvalue(), fast_dir / "root")
    made = fast_dir / "root" / ("x" * 150) / ("ÿ" * 100)
    assert made.read_text() == "abc"
    assert made.stat().st_mtime == 1.25
