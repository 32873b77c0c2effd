"""The plans once more, with a shim that has address and undefined behaviour sanitizers (RCRUN_SANITIZE=1: everything)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts import CHECKOUT
from shim.plans import SANITIZED

HERE = Path(__file__).parent
FILES = "command end exec launch mounts process records root start".split()


@pytest.mark.skipif(SANITIZED, reason="with sanitizers: everything runs so already")
@pytest.mark.requires("root")
@pytest.mark.timeout(400)
def test_plans_with_sanitizers(accounts: Any) -> None:
    tree = accounts.base_dir / "sanitized"  # where every account may look
    for package in ("rcrun", "rcrun-cli"):
        ignored = shutil.ignore_patterns("rcrun-shim*", "__pycache__")
        shutil.copytree(CHECKOUT / package, tree / package, ignore=ignored)
    shim = tree / "rcrun/shim/rcrun-shim"
    built = subprocess.run(
        [CHECKOUT / "rcrun/shim/build", "--sanitize", shim],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0 and "cannot find" in built.stderr:
        pytest.skip("the compiler's sanitizers are not installed")
    assert built.returncode == 0, built.stderr
    environ = {
        **os.environ,
        "RCRUN_SANITIZE": "1",
        "RCRUN_TEST_BIN": str(tree / "rcrun-cli/bin"),
    }
    words = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
    files = [str(HERE / f"test_plan_{name}.py") for name in FILES]
    done = subprocess.run(
        [*words, *files], env=environ, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
