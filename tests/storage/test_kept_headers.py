"""A tar without its files' content, and the unpacked files, are the tar again; or it is told that they are not."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from rcrun.errors import InvalidInput
from rcrun.storage import keptheaders
from storage import tars
from storage.unpacked import unpack

BIG = os.urandom(3 << 20)


def with_tarfile(form: int) -> bytes:
    """Names and links that need more than a plain header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in (
            ("x" * 150, b"long"),
            ("d/" + "y" * 99, BIG),
            ("empty", b""),
            ("é", b"e"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "z" * 120
        archive.addfile(link)
    return buffer.getvalue()


SPARSE = tars.archive(
    tars.pax(
        ("GNU.sparse.major", "0"), ("GNU.sparse.minor", "1"), ("GNU.sparse.name", "holes"),
        ("GNU.sparse.size", "5000000"), ("GNU.sparse.map", "0,3,4000000,2"),
    ),
    tars.file("GNUSparseFile.0/holes", b"abcde"),
)  # fmt: skip
GOOD = {
    "gnu": with_tarfile(tarfile.GNU_FORMAT),
    "pax": with_tarfile(tarfile.PAX_FORMAT),
    "sparse": SPARSE,
    "links": tars.archive(
        tars.directory("usr/lib"), tars.symlink("lib", "usr/lib"), tars.file("lib/a", b"through a link"),
        tars.hard_link("b", "lib/a"), tars.file("./c", b"1" * 513), tars.file("usr//lib/d", b"d"),
    ),
    "whiteouts": tars.archive(tars.file(".wh.gone", b""), tars.file("d/.wh..wh..opq", b"odd")),
    "no end, and something behind": tars.file("a", b"a") + bytes(1024) + b"behind" * 200,
    "nothing": bytes(1024),
}  # fmt: skip


def kept(data: bytes, folder: Path) -> tuple[str, str]:
    """The paths of its headers and of its files."""
    unpack(data, folder / "diff", piece=1 << 20)
    (folder / "blob").write_bytes(data)
    with (folder / "blob").open("rb") as blob, (folder / "headers").open("wb") as out:
        size = keptheaders.write(blob.fileno(), out.fileno())
    assert size == (folder / "headers").stat().st_size
    return str(folder / "headers"), str(folder / "diff")


@pytest.mark.parametrize("name", GOOD)
def test_the_tar_again(name: str, tmp_path: Path) -> None:
    data = GOOD[name]
    headers, diff = kept(data, tmp_path)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert keptheaders.assemble(headers, diff) == (digest, len(data))
    out = tmp_path / "again"
    with out.open("wb") as file:
        keptheaders.assemble(headers, diff, file.fileno())
    assert out.read_bytes() == data
    assert os.path.getsize(headers) < 3000 or name in ("gnu", "pax")
    assert os.path.getsize(headers) < 5000


def test_one_name_twice(tmp_path: Path) -> None:
    """The files cannot give the first one: the digest is another one."""
    data = tars.archive(tars.file("a", b"first"), tars.file("a", b"again"))
    again = keptheaders.assemble(*kept(data, tmp_path))
    assert again[1] == len(data)
    assert again[0] != f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_link_in_the_place_of_a_file(tmp_path: Path) -> None:
    """Neither followed nor opened: it may be a device as well."""
    data = tars.archive(tars.file("a", b"file"), tars.symlink("a", "/dev/zero"))
    with pytest.raises(InvalidInput, match='"a" is no file'):
        keptheaders.assemble(*kept(data, tmp_path))


def test_damaged_headers(tmp_path: Path) -> None:
    headers, diff = kept(GOOD["links"], tmp_path)
    whole = Path(headers).read_bytes()
    for damaged in (whole[:-9], whole[: len(whole) // 2], b"", b"rcrun tar headers 2\n"):
        Path(headers).write_bytes(damaged)
        with pytest.raises(InvalidInput, match=r"cut short|damaged"):
            keptheaders.assemble(headers, diff)
    Path(headers).write_bytes(whole)
    (tmp_path / "diff/c").write_bytes(b"1")
    with pytest.raises(InvalidInput, match="shorter than it was"):
        keptheaders.assemble(headers, diff)
