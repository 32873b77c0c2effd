"""The parts of volumes and directories that a container mounts (subpath), opened anew for each start."""

from __future__ import annotations

import os

from rcrun.storage import subtree, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rcrun.engine.context import Context


def open_subpaths(context: Context, mounts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """By destination the descriptors that the plan puts in place; the caller closes them."""
    wanted: dict[str, list[Mapping[str, Any]]] = {}
    for mount in mounts:
        if mount.get("subpath"):
            wanted.setdefault(_root(context, mount), []).append(mount)
    found: dict[str, int] = {}
    try:
        for root, parts in wanted.items():
            fds = subtree.open_parts(context.identity, root, [part["subpath"] for part in parts])
            found.update(zip([part["destination"] for part in parts], fds, strict=True))
    except BaseException:
        for fd in found.values():
            os.close(fd)
        raise
    return found


def _root(context: Context, mount: Mapping[str, Any]) -> str:
    if mount["type"] == "bind":
        return str(mount["source"])
    record = volumes.load(context.store, mount["name"])
    return record["options"].get("device") or volumes.data_dir(context.store, mount["name"])
