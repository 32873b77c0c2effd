"""Detach keys as docker writes them."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.detachkeys import hex_of


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", "1011"),
        ("", ""),
        ("ctrl-a", "01"),
        ("ctrl-@", "00"),
        ("ctrl-\\,x", "1c78"),
        ("CTRL-Z,ctrl-_", "1a1f"),
        ("a,b", "6162"),
    ],
)
def test_hex(text, keys):
    assert hex_of(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-aa", "ab", "a,,b", "ctrl-1", "é"])
def test_what_is_no_key(text):
    with pytest.raises(InvalidInput, match="invalid detach keys"):
        hex_of(text)
