"""What the plan builder must know of the host and of us; read once, then an argument of pure code."""

from __future__ import annotations

import os

from rcrun.kernel import identity as identities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.kernel.identity import Identity

CGROUP_DIR = "/sys/fs/cgroup"


class Host:
    """`unified`: cgroup v2 alone is mounted; `oom_score_adj`: ours, which a user cannot lower."""

    __slots__ = ("apparmor", "identity", "oom_score_adj", "selinux", "unified")

    def __init__(
        self,
        identity: Identity,
        *,
        unified: bool = True,
        oom_score_adj: int = 0,
        apparmor: bool = False,
        selinux: bool = False,
    ) -> None:
        self.identity = identity
        self.unified = unified
        self.oom_score_adj = oom_score_adj
        self.apparmor = apparmor
        self.selinux = selinux

    @property
    def rootless(self) -> bool:
        return self.identity.rootless


def current(environ: Mapping[str, str]) -> Host:
    with open("/proc/self/oom_score_adj", encoding="utf-8") as file:
        score = int(file.read())
    return Host(
        identities.current(environ),
        unified=os.path.exists(f"{CGROUP_DIR}/cgroup.controllers"),
        oom_score_adj=score,
        apparmor=os.path.exists("/sys/kernel/security/apparmor"),
        selinux=os.path.exists("/sys/fs/selinux/enforce"),
    )
