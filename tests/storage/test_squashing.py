"""Several layers as one: on any base the one gives what the several give."""

from __future__ import annotations

import random
import tarfile
from typing import TYPE_CHECKING

from rcrun.storage import tarheader, tarwrite
from rcrun.storage.squashing import squash
from rcrun.storage.tarwrite import TarWriter

if TYPE_CHECKING:
    from pathlib import Path

    Tree = dict[
        str, tuple[str, bytes]
    ]  # kind, and content, or for a link too the content that it leads to

NAMES = ("a", "b", "c")


def layer(path: Path, choose: random.Random) -> None:
    """As a step leaves it: directories before what is in them, whiteouts, opaque directories, hard links to what is in it."""
    with open(path, "wb") as file:
        writer = TarWriter(file.write)
        files: list[str] = []
        fill(writer, choose, "", files)
        for number in range(choose.randrange(2) if files else 0):
            link = tarwrite.member(f"link{number}".encode(), tarheader.HARD_LINK, 0o644)
            link.link = choose.choice(files).encode()
            writer.add(link)
        writer.end()


def fill(writer: TarWriter, choose: random.Random, above: str, files: list[str]) -> None:
    if above and choose.random() < 0.2:
        writer.add(tarwrite.member(f"{above}.wh..wh..opq".encode(), tarheader.FILE, 0))
    for name in NAMES:
        kind = choose.random()
        if kind < 0.2:
            writer.add(tarwrite.member(f"{above}.wh.{name}".encode(), tarheader.FILE, 0))
        elif kind < 0.5:
            data = b"%d" % choose.randrange(1000)
            entry = tarwrite.member(f"{above}{name}".encode(), tarheader.FILE, 0o644)
            entry.size = entry.real_size = len(data)
            writer.add(entry, [data])
            files.append(f"{above}{name}")
        elif kind < 0.8 and above.count("/") < 2:
            writer.add(tarwrite.member(f"{above}{name}/".encode(), tarheader.DIRECTORY, 0o755))
            fill(writer, choose, f"{above}{name}/", files)


def applied(tree: Tree, path: Path) -> Tree:
    """The layer upon the tree, as the image specification has it: first what goes, then what comes."""
    tree = dict(tree)
    with tarfile.open(path) as file:
        entries = file.getmembers()
        for entry in entries:
            above, _, base = entry.name.rpartition("/")
            if base == ".wh..wh..opq":
                forget(tree, above, itself=False)
            elif base.startswith(".wh."):
                forget(tree, f"{above}/{base[4:]}".lstrip("/"))
        for entry in entries:
            name, base = entry.name, entry.name.rpartition("/")[2]
            if base.startswith(".wh."):
                continue
            if entry.isdir():
                if tree.get(name, ("d", b""))[0] != "d":
                    forget(tree, name)
                tree[name] = ("d", b"")
                continue
            forget(tree, name)
            reader = file.extractfile(entry)
            assert reader is not None
            tree[name] = ("-", reader.read())
    return tree


def forget(tree: Tree, name: str, *, itself: bool = True) -> None:
    for known in list(tree):
        if known.startswith(f"{name}/") or (itself and known == name):
            del tree[known]


def test_one_is_as_good_as_several(tmp_path: Path) -> None:
    for seed in range(40):
        choose = random.Random(seed)
        paths = [tmp_path / str(number) for number in range(choose.randint(3, 5))]
        for path in paths:
            layer(path, choose)
        base, *others = paths
        squashed = tmp_path / "squashed"
        with open(squashed, "wb") as file:
            squash([str(path) for path in others], file.write)
        start = applied({}, base)
        wanted = start
        for path in others:
            wanted = applied(wanted, path)
        assert applied(start, squashed) == wanted, seed
        with tarfile.open(squashed) as file:
            names = file.getnames()
        assert len(names) == len(set(names)), seed
