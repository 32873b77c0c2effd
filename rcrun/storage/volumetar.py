"""A volume as a tar and back, by descriptors: a container may be changing it, and the archive may be hostile.

For worker.py: ids are those of the containers, as the user namespace shows them.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import decompressed
from rcrun.storage.owners import own_ids
from rcrun.storage.pack import OPEN_DIR, Packer
from rcrun.storage.tarwrite import TarWriter, to_descriptor
from rcrun.storage.unpack import Unpacker


def export_tree(path: str, out_fd: int) -> int:
    """Writes the archive; how many files it could not hold, or changed while they were read."""
    left_out: list[str] = []
    write = to_descriptor(out_fd)
    writer = TarWriter(write)
    root_fd = os.open(path, OPEN_DIR)
    try:
        Packer(writer, left_out.append).tree(root_fd, b".", b".")
    finally:
        os.close(root_fd)
    writer.end()
    write.flush()
    return len(left_out)


class _VolumeUnpacker(Unpacker):
    """Into a directory that has files already, and keeps its looks unless the archive has some for it."""

    whiteouts = False

    def _clean_root(self) -> None:
        pass


def import_tree(path: str, in_fd: int) -> int:
    """Unpacks the archive; how many of its nodes could not be made, or belong to ids that do not exist here."""
    root_fd = os.open(path, OPEN_DIR)
    try:
        unpacker = _VolumeUnpacker(root_fd, own_ids("uid"), own_ids("gid"))
        stream = ByteStream(decompressed(lambda size: os.read(in_fd, size)))
        unpacker.unpack(stream)
        return len(unpacker.owners.lines())
    except InvalidInput as error:
        error.message = f"cannot import the archive: {error.message}"
        raise
    finally:
        os.close(root_fd)
