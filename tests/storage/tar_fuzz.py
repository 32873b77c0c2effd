"""Archives of strangers under atheris (ci/fuzz-tar): an error of ours is the answer, or files beneath the root; nothing else.

Sums of headers are not asked for, so that the fuzzer need not find them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(include=["rcrun"]):
    from rcrun.errors import RcrunError
    from rcrun.storage import tarheader
    from rcrun.storage.archivetar import plain_name
    from rcrun.storage.bytestream import ByteStream
    from rcrun.storage.compression import decompressed, reader_of
    from rcrun.storage.copyin import Filler
    from rcrun.storage.owners import own_ids
    from rcrun.storage.tarheader import TarReader
    from rcrun.storage.trees import remove_tree
    from rcrun.storage.unpack import Unpacker

PIECE = 700  # no multiple of a block
tarheader._sum_fits = lambda block: block.count(0) != len(block)  # type: ignore[assignment]


def stream_of(data: bytes) -> ByteStream:
    return ByteStream(data[at : at + PIECE] for at in range(0, len(data), PIECE))


def members(data: bytes) -> None:
    """What is written of a member is read as the same member."""
    from rcrun.storage.tarwrite import encode

    reader = TarReader(stream_of(data))
    while (member := reader.next()) is not None:
        plain_name(member.text())
        if member.kind == tarheader.FILE and member.sparse is None and b"\0" not in member.name:
            again = TarReader(stream_of(encode(member))).next()
            assert again is not None
            assert (again.name, again.size, again.mode) == (member.name, member.size, member.mode)
            assert (again.uid, again.gid, again.mtime) == (member.uid, member.gid, member.mtime)


class Beneath:
    """A root with something beside it that must stay as it is."""

    def __init__(self) -> None:
        self.base = tempfile.mkdtemp(prefix="tar-fuzz-", dir="/dev/shm")
        Path(self.base, "beside").mkdir()
        Path(self.base, "beside/kept").write_text("kept")

    def __enter__(self) -> int:
        os.mkdir(f"{self.base}/root")
        self.fd = os.open(f"{self.base}/root", os.O_RDONLY | os.O_DIRECTORY)
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        remove_tree(f"{self.base}/root")
        assert sorted(os.listdir(self.base)) == ["beside"]
        assert os.listdir(f"{self.base}/beside") == ["kept"]
        look = os.stat(f"{self.base}/beside/kept")
        assert (look.st_size, look.st_nlink, look.st_mode & 0o777) == (4, 1, 0o644)


def unpacked(data: bytes) -> None:
    with BENEATH as fd:
        Unpacker(fd, own_ids("uid"), own_ids("gid")).unpack(stream_of(data))


def filled(data: bytes) -> None:
    """What `cp` and COPY do with a tar."""
    with BENEATH as fd:
        reader = TarReader(stream_of(data))
        filler = Filler(fd, lambda text: None, lambda uid, gid: None, exact=True)
        try:
            while (member := reader.next()) is not None:
                filler.place(member, reader)
            filler.finish()
        finally:
            filler.close()


def compressed(data: bytes) -> None:
    pieces = (data[at : at + PIECE] for at in range(0, len(data), PIECE))
    size = 0
    for piece in decompressed(reader_of(pieces)):
        assert len(piece) <= 1 << 20
        size += len(piece)
        if size > 1 << 26:
            break


TARGETS = {
    "members": members,
    "unpacked": unpacked,
    "filled": filled,
    "compressed": compressed,
}
BENEATH = Beneath()


def seeds(folder: Path) -> None:
    """A member of each kind, and what this checkout's own tests are afraid of."""
    from storage import tars

    all_sorts = (
        tars.directory("d"),
        tars.file("d/f", b"data"),
        tars.symlink("d/l", "../f"),
        tars.hard_link("d/h", "d/f"),
        tars.file("d/.wh.gone"),
        tars.file("d/.wh..wh..opq"),
        tars.gnu_long(b"L", b"long" * 40) + tars.file("x", b"1"),
        tars.pax(("path", "p/q"), ("SCHILY.xattr.user.a", "b")) + tars.file("x", b"1"),
        tars.pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9"))
        + tars.file("s", b"1\n0\n1\n".ljust(512, b"\0") + b"x"),
        tars.symlink("out", "../beside") + tars.file("out/kept", b"evil"),
    )
    for number, member in enumerate((*all_sorts, b"".join(all_sorts))):
        (folder / f"seed{number}").write_bytes(tars.archive(member))


def main() -> None:
    if sys.argv[1] == "seeds":
        seeds(Path(sys.argv[2]))
        return
    os.umask(0)
    target = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        try:
            target(data)
        except (RcrunError, OSError):
            pass

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
