"""A hundred lines as people and workflows write them, typed in a shell that finds rcrun under the name docker."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from accounts import bin_dir

pytestmark = pytest.mark.requires("userns")
LINES = Path(__file__).with_name("typical_lines.txt")


def lines() -> list[tuple[int, str, str]]:
    """Exit status, what stdout is like, the line."""
    found = []
    for line in LINES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            status, out, words = line.split("\t")
            found.append((int(status), out, words.replace("{N}", "--network none")))
    return found


def test_a_hundred_of_them() -> None:
    assert len(lines()) >= 100


@pytest.mark.timeout(300)
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_one_after_another(rcrun):
    folder, work = rcrun.account.new_dir("bin"), rcrun.account.new_dir("work")
    (folder / "docker").symlink_to(bin_dir() / "rcrun")
    env = {**rcrun.env, "PATH": f"{folder}:{rcrun.account.environ['PATH']}"}
    wrong = []
    for status, like, line in lines():
        got = rcrun.account.run("bash", "-c", line, env=env, cwd=work)
        if got.status != status or not fnmatchcase(got.out.removesuffix("\n"), like):
            wrong.append(f"{line}\n   {got!r}")
    assert not wrong, "\n".join(wrong)
