"""Processes, known by pid and start time (proc(5), field 22 of stat)."""

from __future__ import annotations

import os

from rcrun.files import read_bytes


def start_time(pid: int) -> int | None:
    """In clock ticks since boot; None when there is no such process or it is a zombie."""
    try:
        fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, start: int) -> bool:
    return start_time(pid) == start


def open_pidfd(pid: int, start: int) -> int | None:
    """A pidfd of exactly that process, or None when it is gone; the caller closes it."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if is_alive(pid, start):
        return fd
    os.close(fd)
    return None
