"""Modes as chmod(1) writes them: `0644`, `u=rwX,go=rX`. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def check(text: str) -> None:
    """InvalidInput for what is no mode."""
    changed(text, 0, is_dir=False)


def changed(text: str, mode: int, *, is_dir: bool) -> int:
    """The mode that a file of this mode has afterwards; the umask counts for nothing."""
    if text.isdecimal():
        if any(digit in "89" for digit in text) or int(text, 8) > 0o7777:
            raise _invalid(text)
        return int(text, 8)
    for clause in text.split(","):
        mode = _clause(text, clause, mode, is_dir)
    return mode


def _clause(text: str, clause: str, mode: int, is_dir: bool) -> int:
    """`[ugoa…][+-=][rwxXst…]`, with several operators at that."""
    who = 0
    at = 0
    while at < len(clause) and clause[at] in _WHO:
        who |= _WHO[clause[at]]
        at += 1
    who = who or 0o7777
    if at == len(clause):
        raise _invalid(text)
    while at < len(clause):
        operator, at = clause[at], at + 1
        if operator not in "+-=":
            raise _invalid(text)
        bits = 0
        while at < len(clause) and clause[at] not in "+-=":
            bits |= _bits(text, clause[at], mode, is_dir)
            at += 1
        bits &= who
        mode = (
            mode | bits
            if operator == "+"
            else mode & ~bits
            if operator == "-"
            else mode & ~who | bits
        )
    return mode


def _bits(text: str, letter: str, mode: int, is_dir: bool) -> int:
    if letter == "X":
        return 0o111 if is_dir or mode & 0o111 else 0
    if letter in "ugo":
        part = mode >> {"u": 6, "g": 3, "o": 0}[letter] & 7
        return part * 0o111
    if letter not in _BITS:
        raise _invalid(text)
    return _BITS[letter]


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(f'"{text}" is not a mode', "write 0644, or u=rwX,go=rX")
