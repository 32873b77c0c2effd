"""Modes as chmod(1) writes them: the program itself is asked."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.chmod import changed

if TYPE_CHECKING:
    from pathlib import Path

MODES = ("0644", "4755", "u=rwX,go=rX", "a+x", "+x", "go-w", "u+s,g+s", "o=u", "g=u-w", "+t", "a=", "u=rwx,g-x+r", "ug+X", "o+t")  # fmt: skip


@pytest.mark.parametrize("text", MODES)
def test_as_chmod_does_it(tmp_path: Path, text: str) -> None:
    for before in (0o600, 0o755, 0o640, 0o4711):
        path = tmp_path / "file"
        path.write_bytes(b"")
        os.chmod(path, before)
        subprocess.run(["chmod", text, str(path)], check=True, umask=0)
        assert oct(changed(text, before, is_dir=False)) == oct(path.stat().st_mode & 0o7777)
        path.unlink()


def test_a_directory_and_what_is_no_mode() -> None:
    assert changed("u=rwX,go=rX", 0o600, is_dir=True) == 0o755
    for text in ("", "0888", "77777", "u", "rw", "u=q", "u+rwx,", "u*r"):
        with pytest.raises(InvalidInput, match="is not a mode"):
            changed(text, 0, is_dir=False)
