"""How the tests are dealt out to several workers (pytest-xdist): `-n 2 --dist loadgroup`.

A file goes to one worker as a whole, so that what its fixtures make is made once and its tests follow each other;
the guest's tests (in_guest.py) go to one worker together, because one guest runs them all.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadGroupScheduling

GUEST = "guest"
# Begun first, for a worker that has one of these at the end is waited for.
LONG = (
    "tests/peers/",
    "tests/lint/",
    "tests/cli/test_volumes",
    "tests/robust/",
    "tests/engine/test_build",
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadGroupScheduling:
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(LONG))


class Scheduling(LoadGroupScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]


def plain_id(item: pytest.Item) -> str:
    """Its id as pytest knows it: a worker has the group behind it."""
    return item.nodeid.removesuffix(f"@{GUEST}")
