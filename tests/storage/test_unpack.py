"""What layers have, unpacked."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tars
from tars import archive, directory, file, hard_link, pax, symlink
from unpacked import ONE_ID, entries, needs_root, unpack

pytestmark = pytest.mark.usefixtures("umask")


def test_files_and_times(fast_dir: Path) -> None:
    root = fast_dir / "root"
    made = unpack(
        archive(
            directory("d", mode=0o750, mtime=1000),
            file("d/f", b"content" * 500, mode=0o640, mtime=2000),
            pax(("mtime", "1234567890.123456789")),
            file("ns"),
            pax(("mtime", "-1.5")),
            symlink("early", "d/f"),
            header_fifo("fifo"),
        ),
        root,
    )
    assert (root / "d/f").read_bytes() == b"content" * 500
    assert (root / "d/f").stat().st_mode == stat.S_IFREG | 0o640
    assert (root / "d").stat().st_mode == stat.S_IFDIR | 0o750
    assert (root / "d").stat().st_mtime == 1000
    assert (root / "ns").stat().st_mtime_ns == 1234567890123456789
    assert (root / "early").lstat().st_mtime_ns == -1_500_000_000
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
    assert made.size == 3500
    assert not made.implied


def header_fifo(name: str) -> bytes:
    return tars.header(name, b"6")


@needs_root
def test_owners_and_special_bits(fast_dir: Path) -> None:
    root = fast_dir / "root"
    unpack(
        archive(
            file("suid", mode=0o4755, uid=1000, gid=50),
            directory("sgid", mode=0o2775, gid=50),
            file("sgid/plain"),
            directory("sgid/below"),
            directory("sticky", mode=0o1777, uid=7),
            symlink("link", "suid", uid=8, gid=9),
            tars.header("null", b"3", major=1, minor=3, mode=0o666, uid=5),
            tars.header("disk", b"4", major=8, minor=1),
        ),
        root,
    )
    looks = {name: os.lstat(root / name) for name in entries(root)}
    assert oct(looks["suid"].st_mode) == "0o104755"
    assert (looks["suid"].st_uid, looks["suid"].st_gid) == (1000, 50)
    assert oct(looks["sgid"].st_mode) == "0o42775"
    assert looks["sgid/plain"].st_gid == 0
    assert oct(looks["sgid/below"].st_mode) == "0o40755"
    assert oct(looks["sticky"].st_mode) == "0o41777"
    assert (looks["link"].st_uid, looks["link"].st_gid) == (8, 9)
    assert (looks["null"].st_rdev, oct(looks["null"].st_mode)) == (os.makedev(1, 3), "0o20666")
    assert looks["disk"].st_rdev == os.makedev(8, 1)


@needs_root
def test_nothing_is_inherited_from_where_the_store_stands(fast_dir: Path) -> None:
    os.chown(fast_dir, 0, 77)
    os.chmod(fast_dir, 0o2777)
    root = fast_dir / "root"
    unpack(archive(file("a"), directory("d"), file("d/b")), root)
    assert {os.stat(root / name).st_gid for name in ["", *entries(root)]} == {0}
    assert oct(root.stat().st_mode) == "0o40755"


def test_what_one_id_cannot_hold_is_recorded(fast_dir: Path) -> None:
    root = fast_dir / "root"
    made = unpack(
        archive(
            file("mail", mode=0o2755, gid=8),
            hard_link("mail2", "mail"),
            file("setuid", mode=0o4755, uid=100),
            directory("d", gid=50, mode=0o2775),
            symlink("s", "x", uid=3),
            file("again", uid=5),
            file("again", b"root's"),
            directory("gone"),
            file("gone/f", uid=5),
            file("gone"),
            pax(("path", b"caf\xe9")),
            file("x", uid=9),
        ),
        root,
        ids=ONE_ID,
    )
    assert sorted(made.owners.lines()) == [
        '["caf\\udce9",9,0,420,"-",0,0]\n',
        '["d",0,50,1533,"d",0,0]\n',
        '["mail",0,8,1517,"-",0,0]\n',
        '["mail2",0,8,1517,"-",0,0]\n',
        '["s",3,0,420,"l",0,0]\n',
        '["setuid",100,0,2541,"-",0,0]\n',
    ]
    # A set-ID bit without its owner would give root's rights to a file that never had them.
    assert oct((root / "setuid").stat().st_mode) == "0o100755"
    assert oct((root / "mail").stat().st_mode) == "0o100755"


def test_devices_that_may_not_be_made_are_recorded(
    fast_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "mknod", refuse)
    root = fast_dir / "root"
    made = unpack(
        archive(tars.header("null", b"3", major=1, minor=3, mode=0o666), hard_link("too", "null")),
        root,
    )
    assert made.owners.lines() == ['["null",0,0,438,"c",1,3]\n', '["too",0,0,438,"c",1,3]\n']
    assert entries(root) == []


def test_extended_attributes(fast_dir: Path) -> None:
    root = fast_dir / "root"
    unpack(
        archive(
            pax(("SCHILY.xattr.user.one", b"\x00\xff"), ("SCHILY.xattr.user.empty", b"")),
            file("f", mode=0o444),
            pax(("LIBARCHIVE.xattr.user.t%65o", "dHdv"), ("SCHILY.xattr.user.dir", "x")),
            directory("d", mode=0o555),
            pax(
                ("SCHILY.xattr.user.overlay.redirect", "/etc"),
                ("SCHILY.xattr.trusted.overlay.opaque", "y"),
            ),
            directory("steered"),
        ),
        root,
    )
    assert os.getxattr(root / "f", "user.one") == b"\x00\xff"
    assert os.getxattr(root / "f", "user.empty") == b""
    assert os.getxattr(root / "d", "user.teo") == b"two"
    assert os.getxattr(root / "d", "user.dir") == b"x"
    assert os.listxattr(root / "steered") == []


def test_whiteouts_become_overlayfs_ones(fast_dir: Path) -> None:
    root = fast_dir / "root"
    unpack(
        archive(
            file(".wh.top"),
            directory("d"),
            file("d/.wh.gone"),
            directory("o"),
            file("o/.wh..wh..opq"),
            file("o/kept", b"kept"),
            file("implied/.wh..wh..opq"),
            file(".wh..wh.plnk"),
        ),
        root,
    )
    assert entries(root) == ["d", "d/gone", "implied", "o", "o/kept", "top"]
    for name in ("top", "d/gone"):
        status = os.lstat(root / name)
        assert stat.S_ISCHR(status.st_mode)
        assert status.st_rdev == 0
    for name in ("o", "implied"):
        assert os.getxattr(root / name, "user.overlay.opaque") == b"y"


def test_a_whiteout_and_its_own_layer(fast_dir: Path) -> None:
    """What the same layer has stays, whichever comes first; what is below it is hidden."""
    root = fast_dir / "root"
    unpack(
        archive(
            file(".wh.f"),
            file("f", b"new"),
            file(".wh.d"),
            directory("d"),
            file("d/new"),
            directory("e"),
            file("e/new"),
            file(".wh.e"),
            file("g", b"new"),
            file(".wh.g"),
            file(".wh.h"),
            file("h/new", b"x"),
        ),
        root,
    )
    assert entries(root) == ["d", "d/new", "e", "e/new", "f", "g", "h", "h/new"]
    assert (root / "f").read_text() == (root / "g").read_text() == "new"
    for name in ("d", "e", "h"):
        assert os.getxattr(root / name, "user.overlay.opaque") == b"y"


def test_later_entries_replace_earlier_ones(fast_dir: Path) -> None:
    root = fast_dir / "root"
    unpack(
        archive(
            file("f", b"long content"),
            file("f", b"short"),
            directory("d", mode=0o700),
            file("d/kept"),
            directory("d", mode=0o711, mtime=9),
            directory("tree/below"),
            file("tree/below/x"),
            file("tree", b"now a file"),
            file("was-file"),
            directory("was-file"),
            file("was-file/inside"),
            symlink("l", "a"),
            symlink("l", "b"),
            file("h1", b"1"),
            hard_link("h2", "h1"),
            hard_link("h2", "h1"),
            file("h1", b"2"),
            hard_link("self", "self"),
        ),
        root,
    )
    assert (root / "f").read_text() == "short"
    assert (root / "d/kept").exists()
    assert oct((root / "d").stat().st_mode) == "0o40711"
    assert (root / "d").stat().st_mtime == 9
    assert (root / "tree").read_text() == "now a file"
    assert (root / "was-file/inside").exists()
    assert os.readlink(root / "l") == "b"
    assert ((root / "h1").read_text(), (root / "h2").read_text()) == ("2", "1")
    assert not (root / "self").exists()


def test_implied_parents(fast_dir: Path) -> None:
    made = unpack(archive(file("a/b/c"), directory("a/b", mode=0o700)), fast_dir / "root")
    assert made.implied == {b"a"}
    assert oct((fast_dir / "root/a").stat().st_mode) == "0o40755"
    assert oct((fast_dir / "root/a/b").stat().st_mode) == "0o40700"


def test_names(fast_dir: Path) -> None:
    root = fast_dir / "root"
    long = "n" * 120
    unpack(
        archive(
            tars.header("short", prefix=b"prefix/dir"),
            tars.gnu_long(b"L", f"long/{long}".encode()),
            tars.gnu_long(b"K", b"t" * 150),
            symlink("cut", "cut"),
            pax(("path", "übung/ñ"), ("linkpath", "zü")),
            symlink("ascii", "ascii"),
            tars.header(b"v7/", b"\0", magic=bytes(8)),
            tars.header("volume", b"V"),
            pax(("path", "global"), kind=b"g"),
            file("ignored", b"g"),
            pax(("path", "back")),
            file("x"),
        ),
        root,
    )
    assert (root / "prefix/dir/short").exists()
    assert os.readlink(root / "long" / long) == "t" * 150
    assert os.readlink(root / "übung/ñ") == "zü"
    assert (root / "global").read_text() == "g"
    assert (root / "back").exists()
    assert (root / "v7").is_dir()
    assert not (root / "volume").exists()


def test_numbers_in_every_form(fast_dir: Path) -> None:
    root = fast_dir / "root"
    unpack(
        archive(
            tars.header("a", mtime=b"\x80" + (1 << 33).to_bytes(11, "big")),
            tars.header("b", mtime=b"\xff" * 12),
            tars.header("c", mtime=b"        17 \0"),
            tars.header("d", size=bytes(12), uid=bytes(8)),
        ),
        root,
    )
    assert [(root / name).stat().st_mtime for name in "abcd"] == [1 << 33, -1, 15, 0]


def test_no_end_mark_and_what_follows_it(fast_dir: Path) -> None:
    unpack(file("a"), fast_dir / "one")
    unpack(b"", fast_dir / "empty")
    unpack(archive(file("a")) + archive(file("b")), fast_dir / "two")
    assert entries(fast_dir / "one") == entries(fast_dir / "two") == ["a"]
