"""Hosts and configurations for the tests of plans, and looks into a plan."""

from __future__ import annotations

import copy
from typing import Any

from rcrun.formats.spec import default_spec
from rcrun.kernel.identity import Identity, single
from rcrun.runtime.host import Host
from rcrun.runtime.plan import container_plan

WHOLE = [(0, 0, 4294967295)]
RANGE = [(0, 1000, 1), (1, 100000, 65536)]


def root_host(**facts: Any) -> Host:
    return Host(Identity(0, 0, "root", WHOLE, WHOLE), **facts)


def user_host(**facts: Any) -> Host:
    identity = Identity(
        1000, 1000, "mapped", RANGE, RANGE, newuidmap="/bin/newuidmap", newgidmap="/bin/newgidmap"
    )
    return Host(identity, **facts)


def single_host(**facts: Any) -> Host:
    return Host(single(1000, 1000, "no subordinate ids"), **facts)


def spec_of(**changes: Any) -> Any:
    spec: Any = copy.deepcopy(default_spec())
    spec["process"]["terminal"] = False
    spec["linux"].pop("resources")  # what they do to mounts has tests of its own
    for path, value in changes.items():
        where = spec
        *parents, last = path.split("__")
        for name in parents:
            where = where.setdefault(name, {})
        where[last] = value
    return spec


def plan_of(spec: Any, host: Host | None = None, **options: Any) -> list[list[str]]:
    return container_plan(spec, "/b", host or root_host(), **options)


def records(plan: list[list[str]], *names: str) -> list[list[str]]:
    return [record for record in plan if record[0] in names]


def names(plan: list[list[str]]) -> list[str]:
    return [record[0] for record in plan]


def before(plan: list[list[str]], first: str, second: str) -> bool:
    order = names(plan)
    return order.index(first) < order.index(second)
