"""A layer as it is against a fresh one from the same blob: run by worker.py, as root of our ids."""

from __future__ import annotations

import os
import stat

from rcrun.errors import NotFound, RcrunError
from rcrun.storage import layerfiles
from rcrun.storage.faults import UNREAD, reason
from rcrun.storage.scratch import Scratch
from rcrun.storage.trees import remove_tree
from rcrun.storage.unpacking import Job, Unpacking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rcrun.paths import Store
    from rcrun.storage.images import Image

_PIECE = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def compare(store_dir: str, kind: str, words: list[str], say: Callable[[object], None]) -> None:
    unpacking = Unpacking(store_dir, kind, say)
    for word in words:
        job = Job.parse(word)
        scratch = Scratch(unpacking.store, "layer")
        try:
            scratch.make_dir()
            fault = _fault(unpacking, job, scratch.path)
        except OSError as error:
            there = unpacking.store.layer_dir(kind, job.chain)
            fault = f"{UNREAD}: {reason(error)}" if os.path.isdir(there) else ""  # collected
        finally:
            if scratch.path:
                remove_tree(scratch.path)
            scratch.close()
        if fault:
            say({"chain": job.chain, "fault": fault})


def can_unpack(store: Store, image: Image, chain: str) -> None:
    """NotFound when the blob of that layer is not here, sound: then the damaged layer is all that there is."""
    digest = image.manifest["layers"][image.chain.index(chain)]["digest"]
    from rcrun.storage.checkimages import damage

    path = store.blob_path(digest)
    fault = damage(path, digest[7:]) if os.path.lexists(path) else "it is missing"
    if fault:
        name = image.reference or image.short_id
        raise NotFound(
            f'its blob "{digest}" is not sound: {fault}', f"rcrun pull {name}, then check again"
        )


def _fault(unpacking: Unpacking, job: Job, folder: str) -> str:
    """Empty where all is well, or the blob went away meanwhile."""
    try:
        fd = unpacking.open_blob(f"sha256:{job.blob}")
    except RcrunError:
        return ""
    try:
        unpacking.fill(job, fd, folder)
    except RcrunError as error:
        return f"{UNREAD}: {reason(error)}"
    finally:
        os.close(fd)
    note = layerfiles.read_pending(folder)
    # They look as in the layer below, once that was settled.
    implied = {
        name.encode("utf-8", "surrogateescape") for name in (note or {"implied": []})["implied"]
    }
    there = unpacking.store.layer_dir(unpacking.kind, job.chain)
    return next(_differences(f"{folder}/diff", f"{there}/diff", implied), "")


def _differences(fresh: str, there: str, implied: set[bytes]) -> Iterator[str]:
    """Directory by directory, with one descriptor each, and nothing followed."""
    waiting = [b""]
    while waiting:
        name = waiting.pop()
        left = os.open(os.path.join(os.fsencode(fresh), name), _DIRECTORY)
        try:
            right = os.open(os.path.join(os.fsencode(there), name), _DIRECTORY)
        except OSError:
            os.close(left)
            yield _told(name, "cannot be opened")
            continue
        try:
            yield from _in_directory(left, right, name, implied, waiting)
        finally:
            os.close(left)
            os.close(right)


def _in_directory(
    left: int, right: int, name: bytes, implied: set[bytes], waiting: list[bytes]
) -> Iterator[str]:
    if _opaque(left) != _opaque(right):
        yield _told(name, "hides other things of the layers below")
    wanted, found = (
        set(map(os.fsencode, os.listdir(left))),
        set(map(os.fsencode, os.listdir(right))),
    )
    for base in sorted(wanted ^ found):
        yield _told(_join(name, base), "is missing" if base in wanted else "does not belong there")
    for base in sorted(wanted & found):
        whole = _join(name, base)
        one = os.stat(base, dir_fd=left, follow_symlinks=False)
        other = os.stat(base, dir_fd=right, follow_symlinks=False)
        fault = _entry_fault(one, other, exact=whole not in implied)
        if not fault and stat.S_ISREG(one.st_mode) and not _same_content(base, left, right):
            fault = "has another content"
        if not fault and stat.S_ISLNK(one.st_mode):
            targets = [os.readlink(base, dir_fd=fd) for fd in (left, right)]
            fault = "" if targets[0] == targets[1] else "is a link to somewhere else"
        if fault:
            yield _told(whole, fault)
        elif stat.S_ISDIR(one.st_mode):
            waiting.append(whole)


def _entry_fault(one: os.stat_result, other: os.stat_result, *, exact: bool) -> str:
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return "is of another kind"
    if not stat.S_ISDIR(one.st_mode) and one.st_size != other.st_size:
        return f"has {other.st_size} bytes, not {one.st_size}"
    if not exact:
        return ""
    if (one.st_uid, one.st_gid) != (other.st_uid, other.st_gid):
        return "has another owner"
    if one.st_mode != other.st_mode:
        return f"has the mode {other.st_mode & 0o7777:o}, not {one.st_mode & 0o7777:o}"
    return "is another device" if one.st_rdev != other.st_rdev else ""


def _same_content(base: bytes, left: int, right: int) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(base, flags, dir_fd=left), "rb") as one:
        try:
            with open(os.open(base, flags, dir_fd=right), "rb") as other:
                while True:
                    pieces = one.read(_PIECE), other.read(_PIECE)
                    if pieces[0] != pieces[1]:
                        return False
                    if not pieces[0]:
                        return True
        except OSError:
            return False  # the disk cannot read it


def _opaque(fd: int) -> bytes:
    for name in ("user.overlay.opaque", "trusted.overlay.opaque"):
        try:
            return os.getxattr(fd, name)
        except OSError:
            continue
    return b""


def _join(name: bytes, base: bytes) -> bytes:
    return name + b"/" + base if name else base


def _told(name: bytes, fault: str) -> str:
    return f'"/{name.decode("utf-8", "replace")}" {fault}'
