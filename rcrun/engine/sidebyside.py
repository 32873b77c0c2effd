"""An action on several things at once: ten seconds of grace are ten seconds for all of them."""

from __future__ import annotations

import _thread

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Thing = TypeVar("Thing")

AT_ONCE = 50  # each takes a handful of descriptors
STACK_BYTES = 1 << 19


def each(things: Sequence[Thing], action: Callable[[Thing], object]) -> list[RcrunError]:
    """What went wrong, in their order; other exceptions are raised once all are done."""
    if len(things) < 2:
        return _one_by_one(things, action)
    _thread.stack_size(STACK_BYTES)
    failures: list[BaseException] = []
    for at in range(0, len(things), AT_ONCE):
        failures += _at_once(things[at : at + AT_ONCE], action)
    for failure in failures:
        if not isinstance(failure, RcrunError):
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


def _at_once(things: Sequence[Thing], action: Callable[[Thing], object]) -> list[BaseException]:
    results: dict[int, BaseException] = {}
    going = [_thread.allocate_lock() for _ in things]

    def run(place: int) -> None:
        try:
            action(things[place])
        except BaseException as error:
            results[place] = error
        finally:
            going[place].release()

    for place, lock in enumerate(going):
        lock.acquire()
        try:
            _thread.start_new_thread(run, (place,))
        except RuntimeError:
            run(place)  # there can be no more threads
    for lock in going:
        lock.acquire()
    return [results[place] for place in sorted(results)]
