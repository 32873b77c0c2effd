"""The BPF program of device rules, run by an interpreter of the few instructions that it is made of."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from rcrun.cgroup import devices
from rcrun.errors import InvalidInput

KINDS = {"b": 1, "c": 2}
LETTERS = {"m": 1, "r": 2, "w": 4}


def allows(rules: list[dict[str, Any]], kind: str, major: int, minor: int, access: str) -> bool:
    context = [sum(LETTERS[one] for one in access) << 16 | KINDS[kind], major, minor]
    return run(devices.program(rules), context) == 1


def run(program: bytes, context: list[int]) -> int:
    """What the kernel would give back; an endless or a wild program is an error."""
    code = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
    registers = [0] * 11
    at = 0
    for _ in range(len(code)):
        operation, registers_of, offset, value = code[at]
        target, source = registers_of & 15, registers_of >> 4
        at += 1
        match operation:
            case 0x61:
                registers[target] = context[offset // 4]
            case 0x54:
                registers[target] &= value & 0xFFFFFFFF
            case 0x74:
                registers[target] >>= value
            case 0xBC:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = value
            case 0x55:
                at += offset if registers[target] != value else 0
            case 0x15:
                at += offset if registers[target] == value else 0
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"operation {operation:#x}")
    raise AssertionError("it does not end")


DENY = {"allow": False, "access": "rwm"}
TUN = {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}


def test_defaults() -> None:
    for rules in ([], [DENY]):
        for minor in (3, 5, 7, 8, 9):
            assert allows(rules, "c", 1, minor, "rw")
        assert allows(rules, "c", 136, 17, "rwm")
        assert allows(rules, "c", 5, 2, "rw")
        assert allows(rules, "b", 8, 0, "m")  # a node alone opens nothing
        for device in (("c", 1, 1), ("c", 1, 11), ("c", 5, 1), ("b", 8, 0), ("c", 10, 200)):
            assert not allows(rules, *device, "r")
            assert not allows(rules, *device, "w")


def test_rules() -> None:
    assert allows([DENY, TUN], "c", 10, 200, "rw")
    assert not allows([DENY, TUN], "b", 10, 200, "r")
    assert not allows([TUN, DENY], "c", 10, 200, "r")
    assert allows([{"allow": True, "access": "rwm"}], "b", 8, 0, "rwm")
    every_read = {"allow": True, "type": "b", "access": "r"}
    assert allows([DENY, every_read], "b", 8, 1, "r")
    assert not allows([DENY, every_read], "b", 8, 1, "rw")
    assert allows([DENY, every_read, {**every_read, "access": "w"}], "b", 8, 1, "rw")


def test_a_denied_part_is_denied_with_the_rest() -> None:
    """Not only when it is asked for alone, as crun's program has it."""
    rules = [DENY, TUN, {**TUN, "allow": False, "access": "w"}]
    assert allows(rules, "c", 10, 200, "r")
    assert not allows(rules, "c", 10, 200, "w")
    assert not allows(rules, "c", 10, 200, "rw")


def test_against_the_rules_themselves() -> None:
    source = random.Random(3)
    for _ in range(300):
        rules = [rule(source) for _ in range(source.randint(0, 6))]
        for _ in range(20):
            device = source.choice("bc"), source.randint(0, 2), source.randint(0, 2)
            access = "".join(source.sample("rwm", source.randint(1, 3)))
            assert allows(rules, *device, access) == expected(rules, *device, access), rules


def rule(source: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"allow": source.random() < 0.5}
    found["type"] = source.choice(["a", "b", "c", None])
    for field in ("major", "minor"):
        if source.random() < 0.6:
            found[field] = source.randint(-1, 2)
    found["access"] = "".join(source.sample("rwm", source.randint(1, 3)))
    return found


def expected(rules: list[dict[str, Any]], kind: str, major: int, minor: int, access: str) -> bool:
    """Access by access, the last rule that names it."""
    answers = dict.fromkeys(access, False)
    for one in [*rules, *devices.DEFAULTS]:
        same = one.get("type") in (None, "a", kind)
        for field, number in (("major", major), ("minor", minor)):
            asked = one.get(field, -1)
            same &= asked < 0 or asked == number
        for letter in access:
            if same and letter in one["access"]:
                answers[letter] = bool(one["allow"])
    return all(answers.values())


def test_wrong_rules() -> None:
    with pytest.raises(InvalidInput, match='unknown access "rx"'):
        devices.program([{"allow": True, "access": "rx"}])
    with pytest.raises(InvalidInput, match='unknown device type "p"'):
        devices.program([{"allow": True, "type": "p"}])
