"""Kernel parameters that a container may have for itself, by the namespace which they belong to."""

from __future__ import annotations

_NAMESPACES = (
    ("net/", "network"),
    ("fs/mqueue/", "ipc"),
    ("kernel/shm", "ipc"),
    ("kernel/msg", "ipc"),
    ("kernel/sem", "ipc"),
    ("kernel/domainname", "uts"),
    ("kernel/hostname", "uts"),
)


def key_of(name: str) -> str:
    """With slashes, as sysctl(8) reads it: the first separator tells which of the two is meant; empty: no such name."""
    dot, slash = name.find("."), name.find("/")
    if dot >= 0 and (slash < 0 or dot < slash):
        name = name.translate({ord("."): "/", ord("/"): "."})
    return "" if any(part in ("", ".", "..") for part in name.split("/")) else name


def namespace_of(key: str) -> str:
    """Empty for what is the whole host's: who does not have his own would change the host's."""
    for prefix, kind in _NAMESPACES:
        if key.startswith(prefix):
            return kind
    return ""
