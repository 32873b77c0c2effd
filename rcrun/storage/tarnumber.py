"""The numbers of tar headers."""

from __future__ import annotations

from rcrun.errors import InvalidInput


def number(field: bytes, what: str, name: str, *, signed: bool = False) -> int:
    """An octal number, or GNU's base-256."""
    try:
        value = int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        value = odd_number(field, what, name)
    if value < 0 and not signed:
        raise InvalidInput(f'"{name}" has a negative {what}')
    return value


def odd_number(field: bytes, what: str, name: str) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << bits - 1)
    digits = field.partition(b"\0")[0].strip()
    if not digits:
        return 0
    if digits.isdigit() and not digits.strip(b"01234567"):
        return int(digits, 8)
    raise InvalidInput(f'"{name}" has a {what} that is not a number')
