"""Archives unpacked in this process, and what came of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rcrun.storage.bytestream import ByteStream
from rcrun.storage.owners import Ids
from rcrun.storage.unpack import Unpacker

ALL_IDS = [(0, 0, 0xFFFFFFFF)]
ONE_ID = [(0, 0, 1)]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="sets owners: the worker's tests do it for users"
)


def unpack(
    data: bytes, root: Path, *, ids: list[tuple[int, int, int]] | None = None, piece: int = 700
) -> Unpacker:
    """In pieces of an odd size, so that everything lies across a border once."""
    root.mkdir(exist_ok=True)
    found = Ids(ids or (ALL_IDS if os.geteuid() == 0 else ONE_ID))
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpacker = Unpacker(fd, found, found)
        unpacker.unpack(ByteStream(data[at : at + piece] for at in range(0, len(data), piece)))
        return unpacker
    finally:
        os.close(fd)


def entries(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))
