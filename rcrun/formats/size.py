"""Sizes as docker reads and prints them: `64m`, `1.5GiB` in; `1.09MB` and `64MiB` out."""

from __future__ import annotations

from rcrun.errors import InvalidInput

_BINARY = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_LARGEST = 2**63 - 1


def parse(text: str) -> int:
    """Bytes; every unit is a power of 1024, as docker has it for memory and shm sizes."""
    number, unit = _split(text.strip())
    exponent = _BINARY.get(unit.removesuffix("ib") if unit.endswith("ib") else _short(unit))
    if exponent is None or not number or number.count(".") > 1 or number == ".":
        raise InvalidInput(f'invalid size "{text}"', "a size is a number with b, k, m, g or t: 64m")
    factor = 1024**exponent
    size = int(number) * factor if "." not in number else int(float(number) * factor)
    if size > _LARGEST:
        raise InvalidInput(f'invalid size "{text}": it is too large')
    return size


def _split(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] in "0123456789.":
        end += 1
    return text[:end], text[end:].strip().lower()


def _short(unit: str) -> str:
    return unit[:-1] if len(unit) == 2 and unit[1] == "b" else unit


def decimal(size: float, digits: int = 4) -> str:
    """As `docker images` and `docker ps -s` print: powers of 1000."""
    return _scaled(size, 1000.0, _DECIMAL_UNITS, digits)


def binary(size: float, digits: int = 4) -> str:
    """As `docker stats` prints memory: powers of 1024."""
    return _scaled(size, 1024.0, _BINARY_UNITS, digits)


def _scaled(size: float, step: float, units: tuple[str, ...], digits: int) -> str:
    index = 0
    while size >= step and index < len(units) - 1:
        size /= step
        index += 1
    return f"{size:.{digits}g}{units[index]}"
