"""mount(2) and umount2(2) for commands that mount where they are, and what is mounted. Cold."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_BIND, _READONLY, _REMOUNT, _REC = 0x1000, 1, 0x20, 0x4000
_DETACH, _NOFOLLOW = 2, 8
_libc = ctypes.CDLL(None, use_errno=True)


def overlay(
    place: str, lowers: Sequence[str], upper: str = "", work: str = "", options: str = ""
) -> None:
    """Layers are named by descriptor: neither the page of mount options nor a colon in a path limits them."""
    fds: list[int] = []

    def named(path: str) -> str:
        fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return f"/proc/self/fd/{fds[-1]}"

    try:
        words = [options] if options else []
        words.append("lowerdir=" + ":".join([named(lower) for lower in lowers]))
        if upper:
            words += [f"upperdir={named(upper)}", f"workdir={named(work)}"]
        _call(
            "mount", place, b"overlay", os.fsencode(place), b"overlay", 0, ",".join(words).encode()
        )
    finally:
        for fd in fds:
            os.close(fd)


def bind(source: str, place: str, *, readonly: bool) -> None:
    target = os.fsencode(place)
    _call("mount", place, os.fsencode(source), target, None, _BIND, None)
    if readonly:
        _call("mount", place, None, target, None, _BIND | _REMOUNT | _READONLY, None)


def unmount(place: str, *, force: bool) -> None:
    _call("umount2", place, os.fsencode(place), _NOFOLLOW | (_DETACH if force else 0))


def places_below(folder: str) -> list[str]:
    """Where something is mounted in it, in this mount namespace."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            if path.startswith(f"{folder}/") and path not in found:
                found.append(path)
    return found


def _call(name: str, path: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number).lower(), path)
