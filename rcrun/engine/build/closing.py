"""What contextlib's ExitStack does for us, without its start-up cost: several things to be closed, the last one first."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    T = TypeVar("T")

    Exit = Callable[..., object]


class Closing:
    """A context manager; a failure while one is closed does not keep the others from it. None of them swallows an error."""

    __slots__ = ("_exits",)

    def __init__(self) -> None:
        self._exits: list[Exit] = []

    def enter_context(self, thing: AbstractContextManager[T, Any]) -> T:
        entered = thing.__enter__()
        self._exits.append(thing.__exit__)
        return entered

    def callback(self, call: Callable[[], object]) -> None:
        self._exits.append(lambda *_: call())

    def __enter__(self) -> Closing:
        return self

    def __exit__(self, *error: object) -> None:
        while self._exits:
            try:
                self._exits.pop()(*error)
            except BaseException:
                self.__exit__(*error)
                raise
