"""The stages of a build in threads: begun in order, waited for, called off; and things that are closed in turn."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rcrun.engine.build.closing import Closing
from rcrun.engine.build.together import Stage, Together
from rcrun.errors import RcrunError


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_stages_wait_for_others(jobs: int) -> None:
    """One that uses an earlier one gets what that ended in, with a single thread too."""
    stages: list[Stage] = []
    for number in range(4):
        made: Any = [number]
        before = stages[-1:]
        stages.append(
            Stage(lambda made=made, before=before: [*made, *(b.result() for b in before)])
        )  # type: ignore[misc]
    with Together(stages, jobs) as together:
        assert stages[-1].result() == [3, [2, [1, [0]]]]  # type: ignore[comparison-overlap]
        together.cancel()
    assert stages[0].result() == [0]  # type: ignore[comparison-overlap]


def test_side_by_side_and_called_off() -> None:
    """The error of one is everybody's who asks; those that have not begun never do."""
    barrier = threading.Barrier(2, timeout=60)

    def fail() -> Any:
        barrier.wait()
        raise RcrunError("broken")

    begun: list[int] = []
    failing = Stage(fail)
    uses = Stage(lambda: (barrier.wait(), failing.result())[1])
    last = Stage(lambda: begun.append(1))  # type: ignore[arg-type,func-returns-value]
    with Together([failing, uses], 2) as together:
        for stage in (failing, uses):
            with pytest.raises(RcrunError, match="broken"):
                stage.result()
    waiting = Together([last], 1)
    waiting.cancel()
    with pytest.raises(RcrunError, match="another stage has failed"):
        last.result()
    assert not begun
    together.cancel()


def test_an_error_ends_what_is_done() -> None:
    """Also where it comes before anybody waits for a stage."""
    ended = threading.Event()
    stages = [Stage(lambda: ended.wait(60)), Stage(lambda: None)]  # type: ignore[arg-type,func-returns-value]
    with pytest.raises(KeyboardInterrupt), Together(stages, 1, ended.set):
        raise KeyboardInterrupt
    assert ended.is_set()
    with pytest.raises(RcrunError, match="another stage has failed"):
        stages[1].result()


class Thing:
    def __init__(self, log: list[str], name: str, *, fails: bool = False) -> None:
        self.log, self.name, self.fails = log, name, fails

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_: object) -> None:
        self.log.append(self.name)
        if self.fails:
            raise RcrunError(self.name)


def test_closing() -> None:
    log: list[str] = []
    with pytest.raises(RcrunError, match="b"), Closing() as closing:
        assert closing.enter_context(Thing(log, "a")) == "a"
        closing.callback(lambda: log.append("called"))
        closing.enter_context(Thing(log, "b", fails=True))
        closing.enter_context(Thing(log, "c"))
    assert log == ["c", "b", "called", "a"]
