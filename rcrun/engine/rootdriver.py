"""How a container's root is put together here: found by trying, once a boot, and said once when it is slow."""

from __future__ import annotations

import os

from rcrun.files import read_json_or_none, write_json
from rcrun.storage.containers import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context


def driver(context: Context) -> str:
    """`overlay`, else `fuse-overlayfs`, else `copy`."""
    path = context.store.path("overlay.json")
    try:
        known = read_json_or_none(path)
    except ValueError:
        known = None
    key = _key(context)
    if known is not None and known.get("key") == key:
        return str(known["driver"])
    found, why = found_by_trying(context)
    write_json(path, {"key": key, "driver": found, "why": why}, durable=False)
    if found != "overlay":
        _say(context, found, why)
    return found


def _key(context: Context) -> list[Any]:
    """The answer may change with the kernel, the file system of the store, and who asks."""
    identity = context.identity
    return [boot_id(), os.stat(context.store.root_dir).st_dev, identity.layer_kind(), identity.uid]


def found_by_trying(context: Context) -> tuple[str, str]:
    """The driver, and why it is not overlay."""
    from rcrun.engine.rm import remove_trees
    from rcrun.paths import make_private_dir
    from rcrun.storage.scratch import Scratch

    make_private_dir(context.store.tmp_dir())
    scratch = Scratch(context.store, "overlay")
    scratch.make_dir()
    try:
        for name in ("upper", "work", "lower", "merged"):
            os.mkdir(f"{scratch.path}/{name}")
        return _found(context, scratch.path)
    finally:
        remove_trees(context, [scratch.path])
        scratch.close()


def _found(context: Context, folder: str) -> tuple[str, str]:
    why = _fault(context, _kernel_steps(context, folder))
    if not why:
        return "overlay", ""
    program = find_fuse_overlayfs(context)
    if not program:
        return "copy", f"{why}; fuse-overlayfs is not installed"
    fault = _fault(context, _fuse_steps(folder, program))
    return ("copy", f"{why}; {fault}") if fault else ("fuse-overlayfs", why)


def _kernel_steps(context: Context, folder: str) -> list[list[str]]:
    options = "userxattr" if context.host.rootless else ""
    return [["root-overlay", f"{folder}/upper", f"{folder}/work", options, f"{folder}/lower"]]


def _fuse_steps(folder: str, program: str) -> list[list[str]]:
    from rcrun.engine.launch import fuse_record

    merged, upper, work = f"{folder}/merged", f"{folder}/upper", f"{folder}/work"
    return [fuse_record(merged, upper, work, [f"{folder}/lower"], program)]


def _fault(context: Context, steps: list[list[str]]) -> str:
    """Empty when the steps worked."""
    from rcrun.engine.work import work_plan
    from rcrun.kernel.shim import launch

    report = launch(work_plan(context.identity, [["propagation", "rprivate"], *steps], mount=True))
    if report is None:
        return ""
    return report.text.strip() or f"{report.call}: {os.strerror(report.errno).lower()}"


def find_fuse_overlayfs(context: Context) -> str:
    from rcrun.paths import find_program

    return find_program("fuse-overlayfs", context.search)


def _say(context: Context, found: str, why: str) -> None:
    folder = context.store.root_dir
    hint = f"keep the store on another file system: rcrun --root DIR, or RCRUN_ROOT (now {folder})"
    if found == "copy":
        context.warn(
            f"every container copies its whole image, since overlay does not work here: {why}",
            "install fuse-overlayfs; or " + hint,
        )
    else:
        context.warn(
            f"containers use fuse-overlayfs, since overlay does not work here: {why}", hint
        )
