"""The reader of plans under mutated plans: five seconds, or RCRUN_FUZZ_SECONDS."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rcrun.kernel.shim import encode_plan
from shim.conftest import HERE, SANITIZE, SHIM, compile_c

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


def table():
    """Every record that plan.c and settings.c know: name and shape."""
    text = "".join(
        (SHIM / name).read_text() for name in ("settings.c", "plan.c") if (SHIM / name).exists()
    )
    found = dict(re.findall(r'^\t\{"([a-z-]+)", "([a-z?*]*)", (?:set_|step_|NULL)', text, re.M))
    assert {"session", "hook", "exec", "mount", "on-exit"} <= found.keys()
    return found, set(re.findall(r'^\t\{"([a-z-]+)", "[a-z?*]*", set_', text, re.M))


def words_of(name, shape):
    if name in VALUES:
        return [name, *VALUES[name]]
    return [name, *(WORD[letter] for letter in shape if letter in WORD)]


def plans():
    """One with every record, and one of each other session."""
    shapes, settings = table()
    skipped = {"plan", "session", "exec", "on-exit", "join", "join-pid"}
    first = [words_of(name, shapes[name]) for name in settings - skipped]
    steps = [words_of(name, shapes[name]) for name in shapes.keys() - settings - skipped]
    last = [["exec", "/bin/true", "word"], ["on-exit"], ["unlink", "/x"], ["run", "/x", "y"]]
    yield [["plan", "1"], ["session", "container"], *first, *steps, *last]
    yield [
        ["plan", "1"],
        ["session", "exec"],
        words_of("join-pid", ""),
        words_of("join", ""),
        *steps,
        last[0],
    ]
    yield [["plan", "1"], ["session", "attach"], ["attach", "/x"], ["foreground", "ioe", "1011"]]
    yield [
        ["plan", "1"],
        ["session", "work"],
        ["unshare", "user"],
        words_of("uidmap", ""),
        ["remove-tree", "/x"],
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    place = tmp_path_factory.mktemp("plans")
    paths = []
    for number, plan in enumerate(plans()):
        paths.append(place / str(number))
        paths[-1].write_bytes(encode_plan(plan))
    return paths


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    output = tmp_path_factory.mktemp("fuzz") / "plan-fuzz"
    sources = [path for path in sorted(SHIM.glob("*.c")) if path.name not in ("main.c", "plan.c")]
    if not compile_c(output, [HERE / "plan_fuzz.c", *sources], SANITIZE):
        pytest.skip("no sanitizers")
    return output


def run(fuzzer: Path, *words: object, seconds: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(fuzzer), *map(str, words)],
        capture_output=True, text=True, check=False, timeout=seconds + 60,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )  # fmt: skip


def test_the_plans_to_be_mutated_are_read(fuzzer, corpus):
    """Else the fuzzer would see refusals only; the first has every record there is."""
    done = run(fuzzer, "read", *corpus)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(0)
def test_mutated_plans(fuzzer, corpus):
    seed = int(os.environ.get("RCRUN_SEED") or random.randrange(1 << 30))
    print(f"RCRUN_SEED={seed}")
    seconds = int(os.environ.get("RCRUN_FUZZ_SECONDS") or 5)
    done = run(fuzzer, seed, seconds, *corpus, seconds=seconds)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 1000
