"""An action on several things side by side: ten seconds of grace are ten seconds for all of them."""

from __future__ import annotations

import _thread

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeVar

    Thing = TypeVar("Thing")

AT_ONCE = 50  # as docker; each takes a handful of descriptors
STACK_BYTES = 1 << 19


class Task:
    """An action in a thread of its own; in ours, later, where there can be no more threads."""

    __slots__ = ("_action", "_error", "_going", "_has_begun", "_thing")

    def __init__(self, action: Callable[[Any], object], thing: Any) -> None:
        self._action = action
        self._thing = thing
        self._error: BaseException | None = None
        self._going = _thread.allocate_lock()
        self._going.acquire()
        try:
            _thread.start_new_thread(self._run, ())
            self._has_begun = True
        except RuntimeError:
            self._has_begun = False

    def _run(self) -> None:
        try:
            self._action(self._thing)
        except BaseException as error:
            self._error = error
        finally:
            self._going.release()

    def failure(self) -> BaseException | None:
        """Waits for it; None when all went well."""
        if not self._has_begun:
            self._run()
        self._going.acquire()
        return self._error

    def result(self) -> None:
        """Waits for it; what went wrong is raised."""
        error = self.failure()
        if error is not None:
            raise error


def begun(
    things: Sequence[Thing], action: Callable[[Thing], object]
) -> Iterator[tuple[Sequence[Thing], list[Task]]]:
    """As many at once as may be, with their tasks."""
    _thread.stack_size(STACK_BYTES)
    for at in range(0, len(things), AT_ONCE):
        part = things[at : at + AT_ONCE]
        yield part, [Task(action, thing) for thing in part]


def each(things: Sequence[Thing], action: Callable[[Thing], object]) -> list[RcrunError]:
    """What went wrong, in their order; other exceptions are raised once all are done."""
    if len(things) < 2:
        return _one_by_one(things, action)
    failures = [task.failure() for _, tasks in begun(things, action) for task in tasks]
    for failure in failures:
        if failure is not None and not isinstance(failure, RcrunError):
            raise failure
    return [failure for failure in failures if isinstance(failure, RcrunError)]


def _one_by_one(things: Sequence[Thing], action: Callable[[Thing], object]) -> list[RcrunError]:
    found = []
    for thing in things:
        try:
            action(thing)
        except RcrunError as error:
            found.append(error)
    return found
