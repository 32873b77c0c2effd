"""Digests: `sha256:` and 64 hexadecimal digits; small inputs are hashed without hashlib's start-up cost."""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:  # before Python 3.12
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREFIX = "sha256:"
_HEX = frozenset("0123456789abcdef")


def small() -> Any:
    """For what is probably small; else hashlib's is quicker."""
    return sha256()


def of_bytes(data: bytes) -> str:
    """For documents; what is large is hashed with hashlib, which uses the processor's own instructions."""
    digits: str = sha256(data).hexdigest()
    return PREFIX + digits


def is_sha256(text: object) -> bool:
    """Digests name files, so that nothing else may pass."""
    return isinstance(text, str) and text.startswith(PREFIX) and is_hex64(text[len(PREFIX) :])


def is_hex64(text: str) -> bool:
    return len(text) == 64 and _HEX.issuperset(text)


def is_hex(text: str) -> bool:
    return bool(text) and _HEX.issuperset(text)
