"""Actions side by side, told in order, and one after another where there can be no thread."""

from __future__ import annotations

import _thread
import threading

import pytest

from rcrun.engine.sidebyside import AT_ONCE
from rcrun.errors import NotFound
from rcrun_cli.together import each_together


def test_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    barrier = threading.Barrier(3, timeout=60)
    assert each_together(("a", "b", "c"), lambda name: barrier.wait()) == 0
    assert capsys.readouterr().out == "a\nb\nc\n"


def test_more_than_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(number) for number in range(AT_ONCE + 3)]
    assert each_together(names, lambda name: None) == 0
    assert capsys.readouterr().out.split() == names


def test_errors_are_told_and_stop_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    def action(name: str) -> None:
        if name == "b":
            raise NotFound("no such container: b")

    assert each_together(("a", "b", "c"), action) == 1
    assert capsys.readouterr() == ("a\nc\n", "rcrun: error: no such container: b\n")


def test_a_fault_of_ours_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        each_together(("a", "b"), lambda name: 1 // 0)


def test_without_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert each_together(("a", "b"), lambda name: None) == 0
    assert capsys.readouterr().out == "a\nb\n"
