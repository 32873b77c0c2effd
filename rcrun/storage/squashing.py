"""Several layers as one: their tars, bottom first, merged as an overlay of them would look from the layer below.

The tars are plain, and written by pack.py: in one order, hard links behind what they lead to, whiteouts before what is beside them.
"""

from __future__ import annotations

import os

from rcrun.storage import tarheader, tarwrite
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.layerwrite import OPAQUE, WHITEOUT
from rcrun.storage.tarheader import TarReader
from rcrun.storage.tarwrite import TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rcrun.storage.tarheader import Member

CHUNK = 1 << 20


class Entry:
    """A member, and where its data begins in which of the tars."""

    __slots__ = ("data", "layer", "member")

    def __init__(self, member: Member, layer: int, data: int) -> None:
        self.member = member
        self.layer = layer
        self.data = data


class Merged:
    """What is seen from above; layers are taken from the top down."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.gone: set[bytes] = set()  # in layers below those taken so far
        self.opaque: set[bytes] = set()

    def take(self, members: Sequence[Entry]) -> None:
        own: dict[bytes, Entry] = {}
        gone: set[bytes] = set()
        opaque: set[bytes] = set()
        content: dict[bytes, Entry] = {}
        for entry in members:
            name = entry.member.name.rstrip(b"/")
            above, base = os.path.split(name)
            if base == OPAQUE:
                opaque.add(above)
            elif base.startswith(WHITEOUT):
                gone.add(os.path.join(above, base[len(WHITEOUT) :]))
            else:
                content[name] = entry
                if self._is_seen(name):
                    own[name] = entry
                elif entry.member.kind != tarheader.DIRECTORY:
                    gone.add(name)  # a directory above it does not show what was there before
        self._keep_links(own, content)
        self._cover(gone, opaque)
        for name, entry in own.items():
            self.entries.setdefault(name, entry)

    def _is_seen(self, name: bytes) -> bool:
        if name in self.gone:
            return False
        there = self.entries.get(name)
        if there is not None:
            return False
        above = os.path.dirname(name)
        while True:
            if above in self.gone or above in self.opaque:
                return False
            over = self.entries.get(above)
            if above and over is not None and over.member.kind != tarheader.DIRECTORY:
                return False
            if not above:
                return True
            above = os.path.dirname(above)

    def _cover(self, gone: set[bytes], opaque: set[bytes]) -> None:
        """A directory that is there again hides what was there before it."""
        for name in gone:
            over = self.entries.get(name)
            if over is not None and over.member.kind == tarheader.DIRECTORY:
                self.opaque.add(name)
            elif over is None and self._is_seen(name):
                self.gone.add(name)
        self.opaque |= {name for name in opaque if self._is_open(name)}

    def _is_open(self, name: bytes) -> bool:
        there = self.entries.get(name)
        return self._is_seen(name) or (
            there is not None and there.member.kind == tarheader.DIRECTORY
        )

    def _keep_links(self, own: dict[bytes, Entry], content: dict[bytes, Entry]) -> None:
        """A hard link whose file is hidden becomes that file."""
        moved_to: dict[bytes, bytes] = {}
        for name, entry in own.items():
            member = entry.member
            if member.kind != tarheader.HARD_LINK or member.link in own:
                continue
            target = content.get(member.link)
            if target is None:
                continue  # of a layer below, which nothing hides
            moved = moved_to.setdefault(member.link, name)
            if moved == name:
                own[name] = _renamed(target, name)
            else:
                member.link = moved

    def ordered(self) -> Iterator[tuple[bytes, Entry | None]]:
        """Names in one order; without an entry they are whiteouts."""
        names: dict[bytes, Entry | None] = dict(self.entries)
        for name in self.gone:
            above, base = os.path.split(name)
            names[os.path.join(above, WHITEOUT + base)] = None
        for name in self.opaque:
            names[os.path.join(name, OPAQUE)] = None
        yield from sorted(names.items(), key=_rank)


def _rank(item: tuple[bytes, Entry | None]) -> tuple[bool, list[bytes]]:
    """Links last: what they lead to may have another place in the order."""
    name, entry = item
    is_link = entry is not None and entry.member.kind == tarheader.HARD_LINK
    return is_link, name.split(b"/")


def _renamed(target: Entry, name: bytes) -> Entry:
    made = Entry(_copy(target.member), target.layer, target.data)
    made.member.name = name
    return made


def _copy(member: Member) -> Member:
    made = tarheader.Member()
    for slot in tarheader.Member.__slots__:
        setattr(made, slot, getattr(member, slot))
    return made


def members(path: str, layer: int) -> list[Entry]:
    with open(path, "rb", buffering=0) as file:
        stream = ByteStream(iter(lambda: file.read(CHUNK), b""))
        reader = TarReader(stream)
        found: list[Entry] = []
        while (member := reader.next()) is not None:
            found.append(Entry(member, layer, stream.tell()))
    return found


def squash(paths: Sequence[str], write: Callable[[bytes], object]) -> None:
    """The tars at `paths`, bottom first, as one."""
    from contextlib import ExitStack

    merged = Merged()
    for layer in range(len(paths) - 1, -1, -1):
        merged.take(members(paths[layer], layer))
    writer = TarWriter(write)
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "rb", buffering=0)) for path in paths]
        for name, entry in merged.ordered():
            if entry is None:
                writer.add(tarwrite.member(name, tarheader.FILE, 0))
            else:
                writer.add(entry.member, _data(files[entry.layer].fileno(), entry))
    writer.end()


def _data(fd: int, entry: Entry) -> Iterator[bytes]:
    at, end = entry.data, entry.data + entry.member.size
    while at < end:
        data = os.pread(fd, min(CHUNK, end - at), at)
        at += len(data)
        yield data
