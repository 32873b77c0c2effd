"""Under RCRUN_STRICT=1 a skip is a failure, unless its reason is in the short list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import skips

TESTS = """
import pytest
from skips import unmet

def test_plain(): pytest.skip("no tar")
def test_allowed(): pytest.skip("about rcrun-oci, not crun")
def test_nowhere(): unmet("/dev/kvm is not usable", "kvm")
def test_unmet(): unmet("no user namespaces", "userns")
@pytest.mark.skipif(True, reason="a mark")
def test_mark(): pass
@pytest.mark.xfail(reason="known")
def test_known(): assert False
def test_fine(): pass
"""


@pytest.mark.parametrize(
    ("strict", "summary"),
    [
        ("", "1 passed, 5 skipped, 1 xfailed"),
        ("1", "2 failed, 1 passed, 2 skipped, 1 xfailed, 1 error"),
    ],
)
def test_what_a_skip_is(tmp_path: Path, strict: str, summary: str) -> None:
    (tmp_path / "test_them.py").write_text(TESTS, encoding="utf-8")
    environ = {"RCRUN_STRICT": strict, "PYTHONPATH": str(Path(skips.__file__).parent)}
    words = ["-m", "pytest", "-p", "skips", "-p", "no:cacheprovider", "-rfs", "--rootdir=."]
    result = subprocess.run(
        [sys.executable, *words, "test_them.py"],
        cwd=tmp_path,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert summary in result.stdout
    said = "test_plain - skipped, which RCRUN_STRICT=1 forbids: no tar"
    assert (said in result.stdout) == (strict == "1")
    assert "no test machine has it: /dev/kvm is not usable" in result.stdout
