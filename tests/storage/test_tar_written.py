"""What tarwrite.py writes is what other programs, and our own reader, read."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from rcrun.storage import tarheader, tarwrite
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.tarheader import TarReader
from rcrun.storage.tarsum import TarSum
from rcrun.storage.tarwrite import Buffered, TarWriter, to_descriptor

if TYPE_CHECKING:
    from pathlib import Path

    from rcrun.storage.tarheader import Member


def written(*members: tuple[Member, bytes]) -> bytes:
    buffer = io.BytesIO()
    write = Buffered(buffer.write)
    writer = TarWriter(write)
    for entry, data in members:
        writer.add(entry, [data])
    writer.end()
    write.flush()
    assert writer.size == len(buffer.getvalue())
    return buffer.getvalue()


def random_member(number: random.Random) -> tuple[Member, bytes]:
    name = b"/".join(b"n" * number.randint(1, 90) for _ in range(number.randint(1, 4)))
    entry = tarwrite.member(name, number.choice("012356"), number.randrange(0o10000))
    entry.uid, entry.gid = (
        number.choice([0, 1000, 2097151, 2097152, 4294967293]),
        number.randrange(70000),
    )
    entry.mtime = number.choice(
        [0, 1, -1_500_000_000, 981173106_789000000, (1 << 36) * 1_000_000_000]
    )
    data = b""
    if entry.kind == tarheader.FILE:
        data = number.randbytes(number.choice([0, 1, 511, 512, 513, 5000]))
        entry.size = entry.real_size = len(data)
        entry.xattrs = number.choice([None, {"user.x": b"a=b\n\0c", "user.\u00e9": b""}])
    if entry.kind in (tarheader.SYMLINK, tarheader.HARD_LINK):
        entry.link = b"t" * number.randint(1, 300)
    if entry.kind == tarheader.CHARACTER:
        entry.major, entry.minor = number.randrange(4096), number.randrange(1 << 20)
    return entry, data


FIELDS = ("name", "kind", "mode", "uid", "gid", "mtime", "link", "major", "minor", "size", "xattrs")


def test_our_reader_reads_the_same() -> None:
    for seed in range(300):
        number = random.Random(seed)
        members = [random_member(number) for _ in range(number.randint(1, 5))]
        reader = TarReader(ByteStream(iter([written(*members)])))
        for entry, data in members:
            read = reader.next()
            assert read is not None
            for field in FIELDS:
                assert getattr(read, field) == getattr(entry, field), (seed, field)
            assert reader.take_data(read.size) == data
        assert reader.next() is None


def test_python_and_gnu_tar_read_it(tmp_path: Path) -> None:
    number = random.Random(7)
    members = [random_member(number) for _ in range(50)]
    for count, (entry, _) in enumerate(members):
        entry.name = b"%d/" % count + entry.name
    data = written(*members)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == [entry.name.decode() for entry, _ in members]
    done = subprocess.run(["tar", "-t"], input=data, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == len(members)


@pytest.mark.parametrize(
    "pieces", [[(0, 512), (8192, 4096), (20000, 0)], [(20000, 0)], [(4096, 7)]]
)
def test_sparse_files(tmp_path: Path, pieces: list[tuple[int, int]]) -> None:
    """Pieces are whole blocks but for the last one, as files have them and GNU tar wants them."""
    size = max(20000, sum(pieces[-1]))
    whole = bytearray(size)
    for offset, length in pieces:
        whole[offset : offset + length] = b"x" * length
    if pieces[-1][1]:
        whole = whole[: sum(pieces[-1])]
    entry = tarwrite.member(b"folder/holes", tarheader.FILE, 0o644)
    entry.sparse, entry.real_size = pieces, len(whole)
    data = b"".join(b"x" * length for _, length in pieces)
    entry.size = len(data)
    archive_data = written((entry, data))
    with tarfile.open(fileobj=io.BytesIO(archive_data)) as archive:
        file = archive.extractfile("folder/holes")
        assert file is not None
        assert file.read() == bytes(whole)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive_data, check=True)
    assert (tmp_path / "folder/holes").read_bytes() == bytes(whole)
    reader = TarReader(ByteStream(iter([archive_data])))
    read = reader.next()
    assert read is not None
    assert (read.name, read.real_size, read.sparse) == (b"folder/holes", len(whole), pieces)


@pytest.mark.parametrize("flags", [0, os.O_APPEND])  # to the second the kernel sends no file
def test_files_go_by_the_kernel(tmp_path: Path, flags: int) -> None:
    """Large ones, small ones, and one that became shorter, all the same whether the kernel copies them or we do."""
    out_fd = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT | flags)
    write = to_descriptor(out_fd)
    writer = TarWriter(write)
    shorter: list[int] = []
    passed: list[int] = []
    for number, (size, missing) in enumerate([(10, 0), (200_000, 0), (200_000, 70_000), (9, 5)]):
        data = random.Random(number).randbytes(size - missing)
        (tmp_path / "in").write_bytes(data)
        entry = tarwrite.member(b"%d" % number, tarheader.FILE, 0o644)
        entry.size = entry.real_size = size
        fd = os.open(tmp_path / "in", os.O_RDONLY)
        writer.add_file(
            entry, fd, [(0, size)], lambda number=number: shorter.append(number), passed.append
        )
        os.close(fd)
    writer.end()
    write.flush()
    os.close(out_fd)
    with tarfile.open(tmp_path / "out") as tar:
        for member in tar:
            number = int(member.name)
            missing = {2: 70_000, 3: 5}.get(number, 0)
            data = random.Random(number).randbytes(member.size - missing) + bytes(missing)
            found = tar.extractfile(member)
            assert found is not None
            assert found.read() == data
    assert set(shorter) == {2, 3}
    assert sum(passed) == 10 + 200_000 + 200_000 + 9
    assert writer.size == (tmp_path / "out").stat().st_size


def test_a_sum_keeps_what_is_not_too_much(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"abcdef").hexdigest()
    for most, kept in ((6, b"abcdef"), (5, b""), (0, b"")):
        with open(tmp_path / "kept", "w+b", buffering=0) as file:
            tar = TarSum(file.fileno(), most)
            for piece in (b"ab", b"cd", b"ef"):
                tar(piece)
            assert tar.told() == {"digest": digest, "kept": bool(kept)}
            file.seek(0)
            assert file.read() == kept
