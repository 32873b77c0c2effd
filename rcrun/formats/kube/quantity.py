"""Kubernetes's quantities (`500m`, `1.5Gi`, `2e3`), exactly: fractions, which are rounded up where a whole number is needed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fractions import Fraction

    from rcrun.formats.kube.value import Value

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_LONGEST = 64
_LARGEST = 2**63 - 1


def parse(value: Value) -> Fraction:
    """Nothing is 0; the error names the place."""
    from fractions import Fraction

    if not value.is_there:
        return Fraction(0)
    text = value.scalar()
    found = _parsed(text) if len(text) <= _LONGEST else None
    if found is None:
        raise value.fault(f'"{text[:_LONGEST]}" is no quantity', "write it like 500m, 1.5 or 64Mi")
    if abs(found) > _LARGEST:
        raise value.fault(f'"{text}" is too large')
    return found


def _parsed(text: str) -> Fraction | None:
    from fractions import Fraction

    end = 1 if text[:1] in ("+", "-") else 0
    while end < len(text) and text[end] in "0123456789.":
        end += 1
    number, suffix = text[:end], text[end:]
    digits = number.lstrip("+-")
    if not digits.strip(".") or digits.count(".") > 1:
        return None
    factor = _factor(suffix)
    return None if factor is None else Fraction(number) * factor


def _factor(suffix: str) -> Fraction | None:
    from fractions import Fraction

    if suffix in _BINARY:
        return Fraction(2 ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return Fraction(10) ** _DECIMAL[suffix]
    sign = suffix[1:2] if suffix[1:2] in ("+", "-") else ""
    digits = suffix[1 + len(sign) :]
    if suffix[0] not in "eE" or not (digits.isascii() and digits.isdigit()) or len(digits) > 2:
        return None
    return Fraction(10) ** int(sign + digits)


def up(number: Fraction) -> int:
    """The next whole number, as Kubernetes rounds."""
    return -((-number.numerator) // number.denominator)
