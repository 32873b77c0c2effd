"""Detach keys: `ctrl-p,ctrl-q`, `a`, `ctrl-@`; empty disables them."""

from __future__ import annotations

from rcrun.errors import InvalidInput

_CONTROLS = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def hex_of(text: str) -> str:
    """The bytes, two hex digits each, as a plan has them."""
    return "".join(f"{_byte(word, text):02x}" for word in text.split(",")) if text else ""


def _byte(word: str, text: str) -> int:
    control = word.lower().removeprefix("ctrl-")
    if word.lower().startswith("ctrl-") and len(control) == 1 and control in _CONTROLS:
        return _CONTROLS.index(control)
    if len(word) == 1 and word.isascii():
        return ord(word)
    raise InvalidInput(
        f'invalid detach keys "{text}"', "write single characters or ctrl-LETTER, with commas"
    )
