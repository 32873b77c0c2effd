"""Names of capabilities and their bits (linux/capability.h)."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


USUAL = "DEFAULT"  # among the words of a file: all that a container has if nothing is said

# In the kernel's order: the index is the bit.
NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
BITS = {name: bit for bit, name in enumerate(NAMES)}


def normalise(name: str) -> str:
    """`net_admin` and `CAP_NET_ADMIN` are one capability; InvalidInput for any other word."""
    upper = name.upper()
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in BITS:
        raise InvalidInput(f'unknown capability "{name}"')
    return full


def mask(names: Iterable[str]) -> int:
    """The bits of the names that are known; `unknown` tells the others."""
    bits = 0
    for name in names:
        bit = BITS.get(name.upper())
        if bit is not None:
            bits |= 1 << bit
    return bits


def names_of(bits: int) -> list[str]:
    return [name for bit, name in enumerate(NAMES) if bits >> bit & 1]


def unknown(names: Iterable[str]) -> list[str]:
    """Names that this kernel interface does not have; runtimes ignore them with a warning (config.md)."""
    return [name for name in names if name.upper() not in BITS]
