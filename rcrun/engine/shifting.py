"""A container whose ids are others than its image was unpacked with: it has a copy of the image that is its own.

The kernel gives mounts other owners for the host's root alone (mount_setattr(2)). Nor does such a container's root have
any rights over directories of the caller: what is mounted is opened for it.
"""

from __future__ import annotations

from rcrun.formats import idmap
from rcrun.storage import copytree, subtree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container

# The host's views of the kernel, which everybody may enter and which cannot be copied.
_VIEWS = ("/proc", "/sys", "/dev/shm", "/dev/mqueue")


def copy_shifted(context: Context, lowers: Sequence[str], target: str, config: Spec) -> None:
    """The image's files, as its users are numbered in the container."""
    from rcrun.engine.volumes import python_words, run_in_namespace

    rows = [_text(row) for row in _rows(context, config)]
    command = [*python_words(), copytree.__file__, "shift", target, *rows, *lowers]
    run_in_namespace(context, [["exec", *command]], "cannot copy the image for the container")


def _rows(context: Context, config: Spec) -> list[list[idmap.Range]]:
    """From the image's numbers, which are the container's, to ours."""
    identity = context.identity
    linux: Mapping[str, Any] = config["linux"]
    found = []
    for key, ours in (("uidMappings", identity.uid_map), ("gidMappings", identity.gid_map)):
        theirs = [(row["containerID"], row["hostID"], row["size"]) for row in linux[key]]
        found.append(idmap.between(theirs, ours))
    return found


def _text(rows: Sequence[idmap.Range]) -> str:
    return ",".join([f"{begin}:{to}:{count}" for begin, to, count in rows])


def open_trees(
    context: Context, container: Container, spec: Spec, known: Mapping[str, int]
) -> dict[str, int]:
    """By destination, with `/` for the root: the descriptors that the plan puts in place."""
    sources = {"/": container.path("rootfs")}
    rootfs = container.record["rootfs"]
    if rootfs["kind"] == "directory":
        sources["/"] = rootfs["path"]
    for mount in spec.get("mounts") or []:
        path, source = mount["destination"], mount.get("source") or ""
        is_bind = mount.get("type") == "bind" and path not in known
        if is_bind and source not in _VIEWS and not source.startswith(("/proc/", "/sys/")):
            sources[path] = source
    fds = subtree.open_paths(context.identity, list(sources.values()))
    return dict(zip(sources, fds, strict=True))
