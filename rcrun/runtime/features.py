"""What this runtime supports, as features.md of the runtime specification describes it."""

from __future__ import annotations

from rcrun.formats import capability, mountopts
from rcrun.formats.spec import HOOK_KINDS, NAMESPACES, OCI_VERSION
from rcrun.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def features() -> dict[str, Any]:
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": list(HOOK_KINDS),
        "mountOptions": sorted(mountopts.KNOWN),
        "linux": {
            "namespaces": sorted(NAMESPACES),
            "capabilities": list(capability.NAMES),
            "cgroup": {
                "v1": False,
                "v2": True,
                "systemd": True,
                "systemdUser": True,
                "rdma": True,
            },
            "seccomp": _seccomp(),
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"dev.rcrun.version": VERSION, "run.oci.checkpoint.enabled": "false"},
        "potentiallyUnsafeConfigAnnotations": ["run.oci."],
    }


def _seccomp() -> dict[str, Any]:
    return {
        "enabled": True,
        "actions": [
            f"SCMP_ACT_{word}"
            for word in (
                "ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP",
            )
        ],
        "operators": [f"SCMP_CMP_{word}" for word in ("EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE")],
        "knownFlags": [
            "SECCOMP_FILTER_FLAG_TSYNC",
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_LOG",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ],
    }  # fmt: skip
