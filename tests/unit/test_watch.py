"""Waiting for changes where somebody else has all that a user may have of inotify."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from rcrun.kernel import inotify


@pytest.mark.parametrize(("made", "error"), [(-1, errno.EMFILE), (None, errno.ENOSPC)])
def test_it_looks_again_and_again(
    monkeypatch: pytest.MonkeyPatch, made: int | None, error: int
) -> None:
    """Instances are used up, or what they may watch."""
    libc = SimpleNamespace(
        inotify_init1=lambda flags: os.open("/dev/null", os.O_RDONLY) if made is None else made,
        inotify_add_watch=lambda fd, path, mask: -1,
    )
    monkeypatch.setattr(inotify.ctypes, "CDLL", lambda name, use_errno: libc)
    monkeypatch.setattr(inotify.ctypes, "get_errno", lambda: error)
    reader, writer = os.pipe()
    with inotify.Watch("/nowhere") as watch:
        assert watch.wait(None)
        assert watch.wait(60)
        assert not watch.wait(0.001)
        os.close(writer)
        assert watch.wait(0, reader)
    os.close(reader)
