"""Texts of others made harmless for a terminal: what would be obeyed is shown."""

from __future__ import annotations

# What turns the direction of a line round or breaks it; all else that does so is below 0xA0.
_MARKS = frozenset((0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)))
_NAMES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str, *, keep: str = "") -> str:
    """Control characters as `\\x1b`; those in `keep` stay."""
    if text.isprintable():
        return text
    return "".join([char if char in keep else _shown(char) for char in text])


def _shown(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code < 0xDD00:  # a byte that is no UTF-8, as the os module decodes it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or 0x7F <= code < 0xA0:
        return _NAMES.get(char) or f"\\x{code:02x}"
    if code in _MARKS or 0xD800 <= code < 0xE000:
        return f"\\u{code:04x}"
    return char


# For str.translate over JSON, which escapes only what is below 0x20; a reader gets the same text.
JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *sorted(_MARKS))}
