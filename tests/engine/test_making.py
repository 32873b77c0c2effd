"""What is left of a container that could not be made: nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from rcrun.engine import run
from rcrun.engine.context import Context
from rcrun.errors import HostLacks, InvalidInput
from rcrun.paths import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path) -> Context:
    store = Store(str(tmp_path / "store"), str(tmp_path / "live"))
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    return Context(store, environ, [], lambda message, hint: None)


def refuse(*_: object) -> None:
    raise HostLacks("it cannot be launched", "try elsewhere")


def test_a_launch_that_was_not_tried(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "launch", refuse)
    cidfile = tmp_path / "cid"
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    options = {
        "cidfile": str(cidfile),
        "detach": True,
        "name": "unmade",
        "network": "none",
        "rootfs": str(rootfs),
    }
    with pytest.raises(HostLacks):
        run.run(context, "", ["/true"], options)
    assert not cidfile.exists()
    for folder in ("containers", "names", "trash"):
        assert os.listdir(context.store.path(folder)) == []


def test_a_cidfile_that_cannot_be_written(context: Context, tmp_path: Path) -> None:
    options = {
        "cidfile": str(tmp_path / "missing/cid"),
        "network": "none",
        "rootfs": str(tmp_path),
    }
    with pytest.raises(InvalidInput, match=r'cannot write .* "/.*/missing/cid": no such file'):
        run.create(context, "", ["/true"], options)
    assert os.listdir(context.store.path("containers")) == []
