"""The names of tar members as paths beneath a root, and the words for members that cannot be unpacked."""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import InvalidInput, RcrunError
from rcrun.storage.tarheader import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.tarheader import Member


def clean(name: bytes, member: Member) -> bytes:
    """The name relative to the root, without empty parts; InvalidInput when it climbs."""
    if name.startswith((b"./", b"/")) or b"//" in name or b"/." in name or name in (b".", b".."):
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise InvalidInput(f'"{member.text()}" has a ".." in the path "{shown(name)}"')
        name = b"/".join(parts)
    elif name.startswith(b"../"):
        raise InvalidInput(f'"{member.text()}" has a ".." in the path "{shown(name)}"')
    if b"\0" in name:
        raise InvalidInput(f'"{member.text()}" has a NUL character in its name')
    return name.rstrip(b"/")


def is_whiteout(base: bytes, dir_fd: int) -> bool:
    try:
        status = os.stat(base, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def no_target(member: Member) -> InvalidInput:
    return InvalidInput(
        f'"{member.text()}" is a hard link to "{shown(member.link)}", which is not in this layer'
    )


def failed(member: Member, error: OSError) -> RcrunError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RcrunError(
            f'cannot unpack "{member.text()}": {reason}', "free some space: rcrun system prune"
        )
    return RcrunError(f'cannot unpack "{member.text()}": {reason}')
