"""Random changes of a valid configuration: the plan builder takes it, or one error tells where it is at fault."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from rcrun.errors import RcrunError
from rcrun.kernel.shim import encode_plan
from rcrun.runtime import bundle
from rcrun.runtime.host import Host
from rcrun.runtime.plan import complete, container_plan
from unit.mutations import mutate, rich_config
from unit.plans import root_host, single_host, user_host

ROUNDS = 300
# A place in config.json, or the ids that a map lacks.
PLACE = re.compile(r"\b(ociVersion|process|root|mounts|hooks|hostname|domainname|annotations|linux|document)\b|^(user|group) ")  # fmt: skip


def built(spec: Any, host: Host) -> bytes:
    """As `create` does it."""
    try:
        whole = complete(bundle.with_environment(spec, "/b", {}), host)
        return encode_plan(container_plan(whole, "/b", host, settings=[["id", "c"]], seccomp_fd=0))
    except bundle.MISFITS as error:
        raise bundle.malformed(spec, error) from None


@pytest.mark.parametrize("host", [root_host, user_host, single_host])
def test_the_whole_is_valid(host: Callable[[], Host]) -> None:
    assert built(rich_config(), host()).startswith(b"2\0plan\0")


@pytest.mark.parametrize("host", [root_host, user_host, single_host])
def test_a_malformed_configuration_is_told_by_its_place(host: Callable[[], Host]) -> None:
    seed = int(os.environ.get("RCRUN_SEED") or random.randrange(1 << 30))
    print(f"RCRUN_SEED={seed}")
    dice = random.Random(seed)
    refused = []
    for _ in range(ROUNDS):
        spec = mutate(rich_config(), dice)
        try:
            built(spec, host())
        except RcrunError as error:
            refused.append((error.message, spec))
    for message, spec in refused:
        assert PLACE.search(message), (message, spec)
        assert "is malformed" not in message, (message, spec)
    assert ROUNDS // 10 < len(refused) < ROUNDS
