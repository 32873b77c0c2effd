"""Directories that a layer's archive left out get the owner, mode and times that the layers below give them.

Some builders write `tmp/file` without `tmp/`: what is made then must not hide the mode 1777 below.
"""

from __future__ import annotations

import os

from rcrun.files import read_json
from rcrun.kernel.syscalls import open_in_root
from rcrun.paths import Store
from rcrun.storage import layerfiles, marks, owners
from rcrun.storage.layers import shared_dir
from rcrun.storage.scratch import NamedLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def settle(store_dir: str, others: Sequence[str], kind: str, chain: str) -> None:
    """Needs every layer below, settled already, here or in another store."""
    store = Store(store_dir, "", others)
    layer_dir = store.layer_dir(kind, chain)
    with NamedLock(store, f"layer-{kind}-{chain}"):
        note = layerfiles.read_pending(layer_dir)
        if not note or not note["implied"]:
            return
        lowers = _below(store, kind, chain)
        for name in note["implied"]:
            _settle_one(layer_dir, lowers, os.fsencode(name))
        layerfiles.write_pending(layer_dir, ())


def _below(store: Store, kind: str, chain: str) -> list[str]:
    """The layers under this one, top first."""
    found = []
    record = read_json(f"{store.layer_dir(kind, chain)}/layer.json")
    while record["parent"]:
        layer_dir = store.layer_dir(kind, record["parent"])
        if not os.path.isdir(layer_dir):
            layer_dir = shared_dir(store, kind, record["parent"]) or layer_dir
        found.append(layer_dir)
        record = read_json(f"{layer_dir}/layer.json")
    return found


def _settle_one(layer_dir: str, lowers: list[str], name: bytes) -> None:
    for lower in lowers:
        fd = _open(f"{lower}/diff", name)
        if fd is None:
            continue
        try:
            _copy_look(fd, layer_dir, name)
        finally:
            os.close(fd)
        record = owners.read(f"{lower}/owners.jsonl").get(os.fsdecode(name))
        if record is not None:
            lines = [*owners.read(f"{layer_dir}/owners.jsonl").values(), record]
            layerfiles.write_owners(layer_dir, [owners.dump(line) for line in lines])
        return


def _open(root: str, name: bytes) -> int | None:
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_in_root(root_fd, name, _DIRECTORY)
    except OSError:
        return None  # not there, or hidden by something else
    finally:
        os.close(root_fd)


def _copy_look(fd: int, layer_dir: str, name: bytes) -> None:
    target = _open(f"{layer_dir}/diff", name)
    if target is None:
        return
    try:
        look = os.fstat(fd)
        os.fchown(target, look.st_uid, look.st_gid)
        os.fchmod(target, look.st_mode & 0o7777)
        marks.copy_mark(fd, target)
        os.utime(target, ns=(look.st_mtime_ns, look.st_mtime_ns))
    finally:
        os.close(target)
