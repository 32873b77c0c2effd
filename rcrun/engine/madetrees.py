"""Mounts that a start makes outside of the container: images, parts of volumes, mounts with ids of their own."""

from __future__ import annotations

import os

from rcrun.engine.launch import overlay_options
from rcrun.engine.subpaths import open_subpaths
from rcrun.storage import subtree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


def open_trees(
    context: Context, container: Container, mounts: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """By destination the descriptors that the plan puts in place; the caller closes them."""
    volumes = [mount for mount in mounts if "lowers" not in mount]
    found = open_subpaths(context, volumes)
    try:
        for mount in mounts:
            if "lowers" in mount:
                found[mount["destination"]] = _image(context, mount)
        if any(mount.get("idmap") for mount in mounts):
            found.update(_idmapped(context, container, found))
    except BaseException:
        for fd in found.values():
            os.close(fd)
        raise
    return found


def _image(context: Context, mount: Mapping[str, Any]) -> int:
    """Its layers as an overlay that nobody writes; no link in it leads out of it."""
    lowers = [context.store.path(path) for path in mount["lowers"]]
    steps = [
        ["propagation", "rprivate"],
        ["root-overlay", "", "", overlay_options(context, {}), *lowers],
    ]
    path = mount.get("subpath") or "."
    return subtree.open_parts(context.identity, lowers[0], [path], steps=steps)[0]


def _idmapped(context: Context, container: Container, known: Mapping[str, int]) -> dict[str, int]:
    """Root's alone: the kernel's rule, which is said where it refuses."""
    from rcrun.runtime import outside, plan_mounts

    spec = container.config()
    wanted = [
        row
        for row in spec.get("mounts") or []
        if plan_mounts.is_idmapped(row) and row["destination"] not in known
    ]
    return outside.trees_of({**spec, "mounts": wanted}, container.dir, context.host)
