"""Seeds for the fuzzer of plans: every plan that the unit tests build, and one of each session (ci/fuzz).

plan_corpus.py CORPUS DICTIONARY
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHIM = ROOT / "rcrun/shim"
TESTS = ["test_plan.py", "test_plan_mounts.py", "test_plan_process.py", "test_plan_outside.py", "test_plan_memory.py"]  # fmt: skip

WORD = {
    "w": "word", "p": "/path", "d": "-3", "n": "3", "u": "3", "o": "755", "x": "ff", "f": "0",
}  # fmt: skip
VALUES = {
    "unshare": ["user,mount,pid"],
    "join": ["user", "/proc/1/ns/user"],
    "join-pid": ["7", "8", "user,mount"],
    "uidmap": ["", "0", "1000", "1"],
    "gidmap": ["/usr/bin/newgidmap", "0", "1000", "1", "1", "100000", "65536"],
    "hook": ["prestart", "0", "5", "/hook", "2", "one", "two", "A=b"],
    "plan": ["1"],
}

Plan = list[list[str]]


def table() -> tuple[dict[str, str], set[str]]:
    """Every record that plan.c and settings.c know, with its shape; which of them are settings."""
    text = "".join((SHIM / name).read_text() for name in ("settings.c", "plan.c"))
    found = dict(re.findall(r'^\t\{"([a-z-]+)", "([a-z?*]*)", (?:set_|step_|NULL)', text, re.M))
    assert {"session", "hook", "exec", "mount", "on-exit"} <= found.keys()
    return found, set(re.findall(r'^\t\{"([a-z-]+)", "[a-z?*]*", set_', text, re.M))


def words_of(name: str, shape: str) -> list[str]:
    if name in VALUES:
        return [name, *VALUES[name]]
    return [name, *(WORD[letter] for letter in shape if letter in WORD)]


def whole_plans() -> Iterator[Plan]:
    """One with every record, and one of each other session."""
    shapes, settings = table()
    skipped = {"plan", "session", "exec", "on-exit", "join", "join-pid"}
    first = [words_of(name, shapes[name]) for name in sorted(settings - skipped)]
    steps = [words_of(name, shapes[name]) for name in shapes if name not in settings | skipped]
    last = [["exec", "/bin/true", "word"], ["on-exit"], ["unlink", "/x"], ["run", "/x", "y"]]
    joins = [words_of("join-pid", ""), words_of("join", "")]
    yield [["plan", "1"], ["session", "container"], *first, *steps, *last]
    yield [["plan", "1"], ["session", "exec"], *joins, *steps, last[0]]
    yield [["plan", "1"], ["session", "attach"], ["attach", "/x"], ["foreground", "ioe", "1011"]]
    uidmap = words_of("uidmap", "")
    work = [["session", "work"], ["unshare", "user"], uidmap, ["remove-tree", "/x"]]
    yield [["plan", "1"], *work]


def recorded_plans() -> list[Plan]:
    """What the unit tests get: their modules take the two functions by name, so they are exchanged before."""
    import pytest

    from rcrun.runtime import plan, plan_process

    made: list[Plan] = []

    def recording(build: Callable[..., Plan]) -> Callable[..., Plan]:
        def record(*words: Any, **options: Any) -> Plan:
            result = build(*words, **options)
            made.append([*result])
            return result

        return record

    plan.container_plan = recording(plan.container_plan)
    plan_process.exec_plan = recording(plan_process.exec_plan)
    tests = [str(ROOT / "tests/unit" / name) for name in TESTS]
    status = pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *tests])
    assert status == 0, "the unit tests of plans fail"
    return made


def write_corpus(place: Path) -> int:
    from rcrun.kernel.shim import encode_plan

    place.mkdir(parents=True, exist_ok=True)
    texts = {encode_plan(plan) for plan in [*whole_plans(), *recorded_plans()]}
    for text in texts:
        (place / hashlib.sha256(text).hexdigest()[:16]).write_bytes(text)
    return len(texts)


def write_dictionary(path: Path) -> None:
    """The names, each with the NUL that ends it; and the words that the C sources compare with."""
    names = sorted(table()[0])
    compared = set()
    for source in SHIM.glob("*.c"):
        compared |= set(re.findall(r'"([A-Za-z_]{2,24})"', source.read_text()))
    words = [*names, *sorted(compared - set(names))]
    path.write_text("".join(f'"{word}\\x00"\n' for word in words))


def main() -> None:
    corpus, dictionary = map(Path, sys.argv[1:3])
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    write_dictionary(dictionary)
    print(f"{write_corpus(corpus)} plans")


if __name__ == "__main__":
    main()
