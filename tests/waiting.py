"""Waiting for the very thing that a test needs, as long as it takes: nothing is known of how fast a machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

# Far beyond what anything takes.
LONG = 60.0


def wait_for(fact: Callable[[], Found], seconds: float = LONG) -> Found:
    """What it gives, once that is true."""
    until = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
    return found


def holds(pid: int, kind: str) -> bool:
    """Whether the process has a descriptor like `socket:` or `anon_inode:inotify` open."""
    folder = f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            if os.readlink(f"{folder}/{name}").startswith(kind):
                return True
    except OSError:  # it ended, or closed one meanwhile
        pass
    return False


def waits(pid: int, kind: str) -> bool:
    """Whether it holds one of that kind and sleeps: it has come to what it waits for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "S" and holds(pid, kind)


def reaches(share: float, used: Callable[[], float], tries: int = 10) -> bool:
    """Whether the part of a processor that is used comes within 10 % of `share`: a host that does other things may give it
    less for a while. More than a period of the quota above it is a failure."""
    for _ in range(tries):
        found = used()
        assert found <= share * 1.15
        if found >= share * 0.9:
            return True
    return False
