"""What ADD does beyond COPY: local archives are unpacked; URLs and git repositories are fetched."""

from __future__ import annotations

import os

from rcrun.engine.build.copying import Stream, Tree
from rcrun.storage.compression import LONGEST_MAGIC, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.engine.build.copying import Copy
    from rcrun.engine.context import Context

_USTAR_AT = 257


def archive_streams(context: Context, copy: Copy, tree: Tree) -> Iterator[Stream]:
    """Sources of the build's context that are tars, compressed or not; they leave the copy's list."""
    if tree.steps is not None or copy.instruction.flag("unpack") == "false":
        return
    rest = []
    for source in copy.sources:
        paths = list(_chosen(tree, source))
        archives = [path for path in paths if is_archive(path)]
        for path in archives:
            yield FileStream(context, path)
        if not archives:
            rest.append(source)
        else:
            others = [path for path in paths if path not in archives]
            rest += [os.path.relpath(path, os.path.realpath(tree.path)) for path in others]
    copy.sources[:] = rest


def _chosen(tree: Tree, source: str) -> Iterator[str]:
    """The files that a source means, patterns and all; nothing that a link shows outside of the context."""
    from rcrun.storage.gathering import Choice

    root = os.path.realpath(tree.path)
    choice = Choice(root, tree.ignore)
    try:
        for path in choice.chosen(os.fsencode(source)):
            real = os.path.realpath(os.path.join(root, os.fsdecode(path)))
            if real.startswith(f"{root}/"):
                yield real
    finally:
        os.close(choice.root_fd)


def is_archive(path: str) -> bool:
    """By its content, as docker decides; a compressed file only if a tar is in it."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(_USTAR_AT + 5)
        if not kind_of(head[:LONGEST_MAGIC]):
            return head[_USTAR_AT:] == b"ustar"
        file.seek(0)
        from rcrun.errors import RcrunError
        from rcrun.storage.compression import decompressed

        start = b""
        try:
            for piece in decompressed(file.read):
                start += piece
                if len(start) >= _USTAR_AT + 5:
                    break
        except RcrunError:
            return False
    return start[_USTAR_AT : _USTAR_AT + 5] == b"ustar"


class FileStream(Stream):
    """A file as it is."""

    def __init__(self, context: Context, path: str) -> None:
        super().__init__(context, "", {}, Tree(""))
        self.path = path
        self.kinds = []

    def digest(self, *, keep: bool = False) -> str:
        import hashlib

        content = hashlib.sha256()
        with open(self.path, "rb", buffering=0) as file:
            while data := file.read(1 << 20):
                content.update(data)
        return content.hexdigest()

    def send(self, fd: int) -> list[dict[str, object]]:
        from rcrun.files import write_all

        try:
            with open(self.path, "rb", buffering=0) as file:
                while data := file.read(1 << 20):
                    write_all(fd, data)
        except BrokenPipeError:
            pass  # the receiver says why
        return []
