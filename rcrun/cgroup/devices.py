"""`linux.resources.devices` as a BPF program of the type cgroup/dev: which devices can be opened and made. Pure.

The rules are those of a version 1 devices group: each gives or takes accesses, the last one that names an access
wins, and what none names is denied. So the program goes through them from the last to the first with the
accesses that are still to be allowed in r3, and ends as soon as one is denied or none is left.
"""

from __future__ import annotations

import struct

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Rule = Mapping[str, Any]

# <linux/bpf.h>: BPF_DEVCG_…; the kernel's order of letters is its own
_TYPES = {"b": 1, "c": 2}
_ACCESSES = {"m": 1, "r": 2, "w": 4}
_ALL = 7
_ANY = -1

# Those of config-linux.md, "Default Devices", and the terminals. A node may be made of any: opening it is what
# counts.
DEFAULTS: tuple[Rule, ...] = (
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    *({"allow": True, "type": "c", "major": 1, "minor": n, "access": "rwm"} for n in (3, 5, 7, 8, 9)),
    {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
)  # fmt: skip

_INSTRUCTION = struct.Struct("<BBhi")
_LOAD_WORD, _AND, _RSH, _MOVE_WORD, _JNE, _JEQ, _SET, _EXIT = (
    0x61, 0x54, 0x74, 0xBC, 0x55, 0x15, 0xB7, 0x95,
)  # fmt: skip


def _one(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, source << 4 | target, offset, value)


_BEGIN = b"".join(
    (
        _one(_LOAD_WORD, 2, 1, 0),  # bpf_cgroup_dev_ctx.access_type: type below, access above
        _one(_AND, 2, value=0xFFFF),
        _one(_LOAD_WORD, 3, 1, 0),
        _one(_RSH, 3, value=16),
        _one(_LOAD_WORD, 4, 1, 4),  # major
        _one(_LOAD_WORD, 5, 1, 8),  # minor
    )
)


def _answer(allowed: bool) -> bytes:
    return _one(_SET, 0, value=int(allowed)) + _one(_EXIT)


def program(rules: Sequence[Rule]) -> bytes:
    """The instructions for the configuration's rules; the default devices are allowed whatever these say."""
    blocks = []
    for rule in reversed([*rules, *DEFAULTS]):
        blocks.append(_block(rule))
        if _is_for_everything(rule):
            break  # the rules before it have no say; the kernel refuses what is never reached
    else:
        blocks.append(_answer(False))
    return b"".join([_BEGIN, *blocks])


def _block(rule: Rule) -> bytes:
    """Skipped where the device is another."""
    body = _verdict(_access(rule), bool(rule.get("allow")))
    left = len(body) // _INSTRUCTION.size
    for register, value in reversed(_tests(rule)):
        body = _one(_JNE, register, offset=left, value=value) + body
        left += 1
    return body


def _tests(rule: Rule) -> list[tuple[int, int]]:
    """Register and the value that it must have."""
    kind, (major, minor) = _kind(rule), _device(rule)
    found = [(2, _TYPES[kind])] if kind != "a" else []
    if major != _ANY:
        found.append((4, major))
    if minor != _ANY:
        found.append((5, minor))
    return found


def _verdict(access: int, allowed: bool) -> bytes:
    if access == _ALL:
        return _answer(allowed)
    if allowed:
        rest = _one(_AND, 3, value=_ALL & ~access)
        return rest + _one(_JNE, 3, offset=2, value=0) + _answer(True)
    meant = _one(_MOVE_WORD, 1, 3) + _one(_AND, 1, value=access)
    return meant + _one(_JEQ, 1, offset=2, value=0) + _answer(False)


def _is_for_everything(rule: Rule) -> bool:
    return not _tests(rule) and _access(rule) == _ALL


def _kind(rule: Rule) -> str:
    kind = rule.get("type") or "a"
    if kind not in ("a", "b", "c", "u"):
        raise InvalidInput(f'unknown device type "{kind}" in "linux.resources.devices"')
    return "c" if kind == "u" else str(kind)


def _device(rule: Rule) -> tuple[int, int]:
    """-1, and what is missing: any."""
    numbers = [rule.get(field) for field in ("major", "minor")]
    major, minor = (_ANY if number is None or number < 0 else int(number) for number in numbers)
    return major, minor


def _access(rule: Rule) -> int:
    letters = rule.get("access") or "rwm"
    if letters.strip("rwma"):  # runc's own suite writes "rwa"
        raise InvalidInput(
            f'unknown access "{letters}" in "linux.resources.devices"',
            "it is of the letters r, w, m",
        )
    return sum(_ACCESSES.get(letter, 0) for letter in set(letters))
