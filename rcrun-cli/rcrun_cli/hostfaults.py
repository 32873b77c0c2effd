"""What the host said no to, and nothing of ours foresaw: the command that helps. Cold: only errors come here."""

from __future__ import annotations

import errno
import os

from rcrun.paths import is_near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.paths import Store

# Nobody's mistake: the file system is full, read-only, gone, or without locks.
OF_THE_HOST = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOLCK, errno.ESTALE)


def hint(error: OSError, store: Store | None) -> str | None:
    from rcrun.runtime.hints_host import limit_hint

    if error.errno in OF_THE_HOST:
        return "run: rcrun doctor"
    path = error.filename
    path = os.fsdecode(path) if isinstance(path, bytes | str) else ""
    if error.errno in (errno.EACCES, errno.EPERM) and path and store is not None:
        for place, variable in ((store.root_dir, "RCRUN_ROOT"), (store.live_dir, "RCRUN_RUNROOT")):
            if is_near(path, place):
                return place_hint(path, variable)
        return None
    return limit_hint(error.errno or 0)


def place_hint(path: str, variable: str) -> str | None:
    """Of a part of the store or the live state: whose it is, and how it becomes ours."""
    from shlex import quote

    while not os.path.lexists(path):
        path = os.path.dirname(path)
    uid, status = os.geteuid(), os.lstat(path)
    if status.st_uid == uid:
        return f"run: chmod u+rwX,go-w {quote(path)}" if is_closed(path, status.st_mode) else None
    from rcrun.engine.doctor.here import user_name

    me, home = user_name(uid), os.environ.get("HOME", "")
    if home and is_near(home, path) and owner_of(home) != uid:
        own = own_home(uid)
        if own and own != home:
            return f"HOME is not yours, as after su or sudo; run: export HOME={quote(own)}"
    while (above := os.path.dirname(path)) != path and owner_of(above) != uid:
        path = above
    if above == path:
        return f"keep it where you may write, run: export {variable}=/var/tmp/rcrun-$(id -u)"
    owner = user_name(status.st_uid)
    mend = f"sudo find {quote(path)} -user {owner} -exec chown -h {me}: {{}} +"
    return f"it belongs to {owner}, as after sudo; run: {mend}"


def is_closed(path: str, mode: int) -> bool:
    return bool(mode & 0o022) or not os.access(path, os.R_OK | os.W_OK)


def owner_of(path: str) -> int:
    try:
        return os.stat(path).st_uid
    except OSError:
        return -1


def own_home(uid: int) -> str:
    """What the accounts say, if it is a directory of ours."""
    import pwd

    try:
        home = pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""
    return home if owner_of(home) == uid else ""
