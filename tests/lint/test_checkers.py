"""The checkers are tests: one command tells everything (STYLE, habit 5)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SHIM = CHECKOUT / "rcrun/shim"
PYTHON_LIMIT, C_LIMIT = 400, 500

# Whose whole text must pass; what a build leaves in the checkout is not among it.
PYTHON = [
    "rcrun",
    "rcrun-cli",
    "tests",
    "tests/rig/guest",
    "setup.py",
    "examples/images/make-busybox",
    "bench",
    "tests/peers/containerfiles",
    "tests/peers/suites",
    "tests/peers/suites-in-guest",
]


def tool(name: str) -> str:
    """From the tests' own environment, where versions are pinned, before the host's."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: ci/venv . test lint, ci/setup test")
    return found


def clean(*argv: str) -> None:
    result = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"\n$ {' '.join(argv)}\n{said}"


def sources(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in CHECKOUT.glob(pattern))


def test_ruff_check() -> None:
    clean(tool("ruff"), "check", "--quiet", "--no-cache", *PYTHON)


def test_ruff_format() -> None:
    clean(tool("ruff"), "format", "--quiet", "--no-cache", "--diff", *PYTHON)


@pytest.mark.timeout(300)
def test_mypy(tmp_path: Path) -> None:
    clean(tool("mypy"), "--cache-dir", str(tmp_path), "--no-error-summary")


def test_clang_format() -> None:
    files = [str(path) for path in sources("rcrun/shim/*.[ch]", "tests/**/*.[ch]")]
    clean(tool("clang-format"), "--dry-run", "-Werror", *files)


def test_cppcheck() -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed")
    clean(
        *[
            "cppcheck",
            "--quiet",
            "--error-exitcode=1",
            "--inline-suppr",
            "--std=c11",
            "-D_GNU_SOURCE",
        ],
        *["--enable=warning,performance,portability", "--suppress=missingIncludeSystem"],
        # It takes what is filled through a pointer for read.
        "--suppress=ctuuninitvar",
        *["--suppress=normalCheckLevelMaxBranches", "--check-level=normal"][: cppcheck_words()],
        str(SHIM),
    )


def cppcheck_words() -> int:
    """How many of the last two options this version knows: `--check-level` came with 2.11."""
    said = subprocess.run(["cppcheck", "--version"], capture_output=True, text=True, check=True)
    major, minor = (int(word) for word in said.stdout.split()[1].split(".")[:2])
    return 2 if (major, minor) >= (2, 11) else 0


def test_shim_compiles_without_a_warning(tmp_path: Path) -> None:
    clean(str(SHIM / "build"), str(tmp_path / "shim"))


@pytest.mark.parametrize("path", sources("rcrun/shim/*.c"), ids=lambda path: path.name)
def test_gcc_analyzer(path: Path, tmp_path: Path) -> None:
    """Descriptors and memory along every way through a function, which cppcheck does not follow."""
    version = said_by("cc", "-dumpversion").strip().partition(".")[0]
    if "Free Software" not in said_by("cc", "--version") or version != "12":
        pytest.skip("the analyser is GCC's, and each of its versions has an opinion: 12 counts")
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-fanalyzer", "-Werror"]
    clean("cc", *flags, "-c", "-o", str(tmp_path / "object"), str(path))


def said_by(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("path", sources("ci/*", ".ci/run", "examples/bundles/make"), ids=str)
def test_scripts_parse(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if first == "#!/bin/sh":
        clean("sh", "-n", str(path))


def test_files_are_small() -> None:
    limits = {".py": PYTHON_LIMIT, ".c": C_LIMIT, ".h": C_LIMIT}
    long = [
        f"{path.relative_to(CHECKOUT)}: {lines} lines"
        for path in sources("rcrun/**/*.*", "rcrun-cli/**/*.py", "tests/**/*.py")
        if path.suffix in limits
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > limits[path.suffix]
    ]
    assert not long, "\n".join(long)


def test_future_annotations_everywhere() -> None:
    lacking = [
        str(path.relative_to(CHECKOUT))
        for path in sources("rcrun/**/*.py", "rcrun-cli/**/*.py")
        if "\ndef " in (text := path.read_text(encoding="utf-8"))
        and "from __future__ import annotations" not in text
    ]
    assert not lacking


def test_no_document_keeps_a_conflict() -> None:
    marks = tuple(mark * 7 for mark in "<>|")
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path in sources("*.md", "docs/*.md")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.startswith(marks)
    ]
    assert found == []
