"""The reader of plans under mutated plans: five seconds, or RCRUN_FUZZ_SECONDS; `make fuzz` is the long run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from rcrun.kernel.shim import encode_plan
from shim.conftest import HERE, SANITIZE, SHIM, compile_c
from shim.plan_corpus import whole_plans

WRAPPED = ["-Wl,--wrap=sys_openat2,--wrap=sys_open_tree,--wrap=netlink_ask,--wrap=netlink_send"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    place = tmp_path_factory.mktemp("plans")
    paths = []
    for number, plan in enumerate(whole_plans()):
        paths.append(place / str(number))
        paths[-1].write_bytes(encode_plan(plan))
    return paths


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    output = tmp_path_factory.mktemp("fuzz") / "plan-fuzz"
    sources = [path for path in sorted(SHIM.glob("*.c")) if path.name not in ("main.c", "plan.c")]
    if not compile_c(output, [*HERE.glob("plan_*.c"), *sources], [*SANITIZE, *WRAPPED]):
        pytest.skip("no sanitizers")
    return output


def run(fuzzer: Path, *words: object, seconds: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(fuzzer), *map(str, words)],
        capture_output=True, text=True, check=False, timeout=seconds + 60, stdin=subprocess.DEVNULL,
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
