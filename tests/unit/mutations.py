"""Configurations with everything in them, and what happens to them on the way: for tests of malformed documents."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from rcrun.formats.spec import default_spec

# What a caller's bug, or an attacker, writes where something else is meant.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**40, 0.5, 1.0, 1e300,
    "", " ", "/", "..", "../..", "/../x", "a\0b", "\n", "\ud800", "ü", "x" * 5000, "%s%n", "-1", "0-", "1,2-",
    [], [[]], [None], [{}], [""], ["a", 5], {}, {"": ""}, {"a": None}, {"path": 5}, {"type": "user"},
]  # fmt: skip


def rich_config() -> dict[str, Any]:
    """Valid for every host: nothing in it asks for what a user cannot have."""
    spec: Any = copy.deepcopy(default_spec())
    spec["hostname"], spec["domainname"] = "box", "example"
    spec["annotations"] = {"org.example.key": "value"}
    spec["process"].update(
        terminal=False,
        args=["/init", "true"],
        oomScoreAdj=500,
        consoleSize={"height": 25, "width": 80},
        scheduler={"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 4},
        execCPUAffinity={"initial": "0", "final": "0"},
    )
    spec["process"]["user"].update(umask=18, additionalGids=[])
    spec["mounts"].append(
        {
            "destination": "/here",
            "type": "bind",
            "source": ".",
            "options": ["rbind", "ro", "nosuid"],
        }
    )
    spec["hooks"] = {
        kind: [{"path": "/bin/true", "args": ["true", "word"], "env": ["A=b"], "timeout": 5}]
        for kind in ("createRuntime", "createContainer", "poststart", "poststop")
    }
    spec["linux"].update(
        devices=[{"path": "/dev/more", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
        sysctl={"net.ipv4.ip_forward": "1"},
        rootfsPropagation="rprivate",
        personality={"domain": "LINUX", "flags": []},
        seccomp={
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [
                {
                    "names": ["mkdirat"],
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": 1,
                    "args": [{"index": 2, "value": 511, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
                }
            ],
        },
    )  # fmt: skip
    spec["linux"].pop("resources", None)
    return spec  # type: ignore[no-any-return]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value but the whole of it."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, member in pairs:
        yield (*path, key)
        yield from places(member, (*path, key))


def mutate(document: Any, dice: random.Random) -> Any:
    """One change or a few at random places."""
    changed = copy.deepcopy(document)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        *parents, last = dice.choice(list(places(changed)))
        where = changed
        for key in parents:
            where = where[key]
        change = dice.randrange(6)
        if change == 0:
            del where[last]
        elif change == 1 and isinstance(where, list):
            where.append(copy.deepcopy(where[last]))
        elif change == 2 and isinstance(where, dict):
            where[dice.choice(("", "x", "path", "type", last.upper()))] = where.pop(last)
        elif change == 3:
            *others, key = dice.choice(list(places(document)))
            value = document
            for name in (*others, key):
                value = value[name]
            where[last] = copy.deepcopy(value)
        else:
            where[last] = copy.deepcopy(dice.choice(VALUES))
        if not changed:
            break
    return changed
