"""Facts for the tests of rcrun.engine.config: a host that is the same everywhere."""

from __future__ import annotations

import os
from typing import Any

from rcrun.engine.config import Built, ImageFacts, build
from rcrun.engine.facts import Facts
from rcrun.errors import InvalidInput
from rcrun.kernel.identity import WHOLE_MAP, Identity

ID = "0123456789abcdef" * 4
MAPPED = Identity(
    1000,
    1000,
    "mapped",
    [(0, 1000, 1), (1, 100000, 65536)],
    [(0, 1000, 1), (1, 100000, 65536)],
    newuidmap="/usr/bin/newuidmap",
    newgidmap="/usr/bin/newgidmap",
)
SINGLE = Identity(1000, 1000, "single", [(0, 1000, 1)], [(0, 1000, 1)], why="no subordinate ids")
ROOT = Identity(0, 0, "root", WHOLE_MAP, WHOLE_MAP)
PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv/web:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:33:\nadm:x:4:web\n"


def facts(identity: Identity = MAPPED, **changes: Any) -> Facts:
    """`files` maps paths of the host to their bytes; b"" is enough for one that only has to be there."""
    files: dict[str, bytes] = {
        "/etc/hosts": b"127.0.0.1 localhost\n10.0.0.9 build.example\n",
        "/etc/resolv.conf": b"search example.org\nnameserver 127.0.0.53\n",
        **changes.pop("files", {}),
    }
    programs = changes.pop("programs", {"pasta": "/usr/bin/pasta"})
    numbers = iter(range(100))
    known: dict[str, Any] = {
        "container_id": ID,
        "name": "calm_curie",
        "store_dir": "/store",
        "container_dir": f"/store/containers/{ID}",
        "created": "2026-11-23T08:00:00.000000000Z",
        "stat": lambda path: os.stat("/dev/null") if path in files else None,
        "read": lambda path: _content(files, path),
        "find_program": lambda name: programs.get(name, ""),
        "hard_limit": lambda name: 4096,
        "new_id": lambda: f"{next(numbers):064x}",
        "environ": {"FROM_CALLER": "yes"},
        "cwd": "/home/me",
        "hostname": "hosty",
        "passwd": PASSWD,
        "group": GROUP,
        "lowers": ["layers/mapped/aa/diff"],
        "kernel": (6, 1),
    }
    return Facts(identity, **{**known, **changes})


def _content(files: dict[str, bytes], path: str) -> bytes:
    if path not in files:
        raise InvalidInput(f'cannot read "{path}": no such file or directory')
    return files[path]


def built(
    options: dict[str, Any] | None = None,
    args: tuple[str, ...] = ("true",),
    image: dict[str, Any] | None = None,
    known: Facts | None = None,
) -> Built:
    shape: Any = image or {}
    return build(
        options or {}, args, ImageFacts(shape, "docker.io/library/x:latest"), known or facts()
    )
