"""Messages of any kind for the name server: two seconds, or RCRUN_FUZZ_SECONDS; `ci/fuzz 3600 dns` is the long run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from shim.conftest import HERE, SANITIZE, SHIM, compile_c

PURE = ["dns_message.c", "dns_names.c"]


@pytest.mark.timeout(0)
def test_messages_of_any_kind(tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    program = tmp_path / "dns-fuzz"
    sources = [HERE / "dns_fuzz.c", *(SHIM / name for name in PURE)]
    if not compile_c(program, sources, SANITIZE):
        pytest.skip("no sanitizers")
    seed = int(os.environ.get("RCRUN_SEED") or random.randrange(1 << 30))
    print(f"RCRUN_SEED={seed}")
    seconds = int(os.environ.get("RCRUN_FUZZ_SECONDS") or 2)
    done = subprocess.run(
        [program, str(seed), str(seconds)],
        capture_output=True, text=True, check=False, timeout=seconds + 60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 1000
