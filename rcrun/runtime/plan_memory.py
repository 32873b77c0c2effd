"""`linux.memoryPolicy` as a step: from which memory nodes the container is served. Pure, and cold."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.spec import MemoryPolicy

# set_mempolicy(2)
MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}
_WITHOUT_NODES = ("MPOL_DEFAULT", "MPOL_LOCAL")
_MOST_NODES = 1024  # of the largest kernels


def memory_records(policy: MemoryPolicy) -> list[list[str]]:
    mode, nodes = policy.get("mode", ""), policy.get("nodes") or ""
    if mode not in MODES:
        raise InvalidInput(
            f'unknown mode "{mode}" in "linux.memoryPolicy"', f"one of {', '.join(MODES)}"
        )
    if mode in _WITHOUT_NODES and nodes:
        raise InvalidInput(f'"linux.memoryPolicy": {mode} takes no "nodes"')
    if mode not in (*_WITHOUT_NODES, "MPOL_PREFERRED") and not nodes:
        raise InvalidInput(f'"linux.memoryPolicy": {mode} needs "nodes"')
    _check_nodes(nodes)
    return [["memory-policy", str(MODES[mode] | _flags(policy.get("flags") or [])), nodes]]


def _flags(words: list[str]) -> int:
    number = 0
    for word in words:
        if word not in FLAGS:
            raise InvalidInput(
                f'unknown flag "{word}" in "linux.memoryPolicy"', f"one of {', '.join(FLAGS)}"
            )
        number |= FLAGS[word]
    if {"MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"} <= set(words):
        raise InvalidInput(
            '"linux.memoryPolicy": MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other'
        )
    return number


def _check_nodes(nodes: str) -> None:
    for part in nodes.split(",") if nodes else []:
        ends = part.split("-")
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends):
            raise InvalidInput(f'"{nodes}" in "linux.memoryPolicy" is no list of nodes as in 0-3,7')
        first, last = int(ends[0]), int(ends[-1])
        if first > last or last >= _MOST_NODES:
            raise InvalidInput(f'"{part}" in "linux.memoryPolicy" is no range of memory nodes')
