"""What the tests of volumes and secrets share."""

from __future__ import annotations

import os
import time
from typing import Any

NO_NETWORK = ("--network", "none")


def sh(rcrun: Any, script: str, *options: Any) -> str:
    """What a script says in a container that goes away."""
    words = ("run", "--rm", *NO_NETWORK, *options, "busybox", "sh", "-c", script)
    out: str = rcrun(*words).check().out
    return out


def up(rcrun: Any, name: str, *options: Any) -> None:
    words = ("run", "-d", "--name", name, "--stop-signal", "KILL", *NO_NETWORK, *options)
    rcrun(*words, "busybox", "sleep", "100").check()


def names(rcrun: Any, *options: str) -> list[str]:
    out: str = rcrun("volume", "ls", "-q", *options).check().out
    return out.split()


def clean(rcrun: Any) -> None:
    """No container and no volume; nothing is left of what they were."""
    rcrun("rm", "-fa").check()
    rcrun("volume", "prune", "-af").check()
    rcrun("secret", "rm", "-a").check()
    for _ in range(1200):
        left = [
            f"{folder}/{name}"
            for folder in ("tmp", "trash", "volumes")
            if (rcrun.store_dir / folder).exists()
            for name in os.listdir(rcrun.store_dir / folder)
        ]
        if not left:
            return
        time.sleep(0.05)  # the monitor removes trees after it has told the end
    raise AssertionError(f"left behind: {left}")
