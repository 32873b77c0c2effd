"""Plain files from URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput, RegistryError
from rcrun.registry.fetch import fetch

if TYPE_CHECKING:
    from tiny_registry import TinyRegistry


def fetched(url: str) -> bytes:
    pieces: list[bytes] = []
    fetch(url, {}, pieces.append)
    return b"".join(pieces)


def test_a_file(registry: TinyRegistry) -> None:
    registry.rule("/file", lambda h: h.redirect("/there?x=y"))
    registry.rule("/there?x=y", lambda h: h.answer(200, b"content"))
    assert fetched(f"{registry.url}/file") == b"content"


def test_faults(registry: TinyRegistry) -> None:
    with pytest.raises(RegistryError, match="404 not found"):
        fetched(f"{registry.url}/nothing?token=secret")
    registry.rule("/loop", lambda h: h.redirect("/loop"), times=99)
    with pytest.raises(RegistryError, match="redirects without end"):
        fetched(f"{registry.url}/loop")
    registry.rule("/short", lambda h: h.break_after(b"content", 3))
    with pytest.raises(RegistryError, match="closed the connection too early"):
        fetched(f"{registry.url}/short")
    with pytest.raises(InvalidInput, match="must not hold a user name"):
        fetched("https://me@host.example/x")
