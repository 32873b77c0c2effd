"""`linux.memoryPolicy` as a step."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import InvalidInput
from unit.plans import plan_of, records, spec_of


def memory(policy: dict[str, Any]) -> list[list[str]]:
    return records(plan_of(spec_of(linux__memoryPolicy=policy)), "memory-policy")


def test_mode_and_flags_are_the_kernels_numbers() -> None:
    flags = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES"]
    policy = {"mode": "MPOL_BIND", "nodes": "0,2-3", "flags": flags}
    assert memory(policy) == [["memory-policy", str(2 | 1 << 13 | 1 << 14), "0,2-3"]]


@pytest.mark.parametrize("mode", ["MPOL_DEFAULT", "MPOL_LOCAL", "MPOL_PREFERRED"])
def test_modes_that_need_no_nodes(mode: str) -> None:
    assert memory({"mode": mode})[0][2] == ""


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({}, "unknown mode"),
        ({"mode": "MPOL_X"}, 'unknown mode "MPOL_X"'),
        ({"mode": "MPOL_BIND"}, 'needs "nodes"'),
        ({"mode": "MPOL_LOCAL", "nodes": "0"}, 'takes no "nodes"'),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["X"]}, 'unknown flag "X"'),
        ({"mode": "MPOL_BIND", "nodes": "all"}, "no list of nodes"),
        ({"mode": "MPOL_BIND", "nodes": "0-1-2"}, "no list of nodes"),
        ({"mode": "MPOL_BIND", "nodes": "2-1"}, "no range"),
        ({"mode": "MPOL_BIND", "nodes": "10284838"}, "no range"),
        (
            {
                "mode": "MPOL_BIND",
                "nodes": "0",
                "flags": ["MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
            },
            "exclude each other",
        ),
    ],
)
def test_what_the_kernel_would_refuse_with_one_word(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        memory(policy)
