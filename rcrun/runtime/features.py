"""What this runtime supports, as features.md of the runtime specification describes it."""

from __future__ import annotations

from rcrun.formats import capability, mountopts
from rcrun.formats.spec import HOOK_KINDS, NAMESPACES, OCI_VERSION
from rcrun.kernel import seccomp
from rcrun.runtime import plan_memory
from rcrun.runtime.plan_process import SECCOMP_FLAGS
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
            "memoryPolicy": {"modes": list(plan_memory.MODES), "flags": list(plan_memory.FLAGS)},
            "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
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
        "archs": sorted(seccomp.ARCHITECTURES),
        "knownFlags": list(SECCOMP_FLAGS),
        "supportedFlags": seccomp.supported_flags(SECCOMP_FLAGS),
    }  # fmt: skip
