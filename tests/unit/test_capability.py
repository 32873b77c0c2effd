"""Names of capabilities and their bits."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import capability


def test_the_kernels_numbers() -> None:
    assert capability.BITS["CAP_CHOWN"] == 0
    assert capability.BITS["CAP_SYS_ADMIN"] == 21
    assert capability.BITS["CAP_CHECKPOINT_RESTORE"] == 40
    assert len(capability.NAMES) == 41


def test_mask_and_names_are_inverse() -> None:
    for bits in (0, 1, 1 << 40, (1 << 41) - 1, 0xA80425FB):
        assert capability.mask(capability.names_of(bits)) == bits


def test_unknown_ones_are_told_apart() -> None:
    assert capability.unknown(["CAP_KILL", "CAP_FLY"]) == ["CAP_FLY"]
    assert capability.mask(["CAP_KILL", "CAP_FLY"]) == 1 << 5


@pytest.mark.parametrize("name", ["net_admin", "CAP_NET_ADMIN", "Net_Admin", "cap_net_admin"])
def test_spellings(name: str) -> None:
    assert capability.normalise(name) == "CAP_NET_ADMIN"


def test_a_typo_is_refused() -> None:
    with pytest.raises(InvalidInput, match='unknown capability "net_amin"'):
        capability.normalise("net_amin")
