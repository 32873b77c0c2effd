"""The stages of a build in threads, so many at once, each begun in the order of the graph; concurrent.futures takes longer to start."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable

    from rcrun.engine.build.state import State


# An interruption may be handed to another thread than the first, which acts on it when it runs again.
MOMENT = 1.0


class Stage:
    """What a stage ends in, as soon as it has."""

    __slots__ = ("_done", "_error", "_made", "_make")

    def __init__(self, make: Callable[[], State]) -> None:
        self._make = make
        self._made: State | None = None
        self._error: BaseException | None = None
        self._done = allocate_lock()
        self._done.acquire()

    def result(self) -> State:
        """Waits for it; its error is raised in whoever asks."""
        while not self._done.acquire(timeout=MOMENT):
            pass
        self._done.release()
        if self._error is not None:
            raise self._error
        assert self._made is not None
        return self._made

    def run(self) -> None:
        try:
            self._made = self._make()
        except BaseException as error:
            self._error = error
        finally:
            self._done.release()

    def cancel(self) -> None:
        """One that has not begun."""
        self._error = RcrunError("another stage has failed")
        self._done.release()


class Together:
    """Runs stages, `jobs` at once; a context manager that waits for those that have begun.

    When it is left by an error, which an interruption raises at any point, no other begins, and `stop` ends what they do.
    """

    __slots__ = ("_jobs", "_stop", "_threads", "_waiting")

    def __init__(
        self, stages: list[Stage], jobs: int, stop: Callable[[], None] = lambda: None
    ) -> None:
        self._waiting = stages[::-1]
        self._jobs = len(stages[:jobs])
        self._stop = stop
        self._threads: list[LockType] = []

    def __enter__(self) -> Together:
        try:
            for _ in range(self._jobs):
                ended = allocate_lock()
                ended.acquire()
                start_new_thread(self._work, (ended.release,))
                self._threads.append(ended)
        except BaseException as error:
            self.__exit__(error)
            raise
        return self

    def _work(self, ended: Callable[[], None]) -> None:
        try:
            while self._waiting:
                try:
                    stage = self._waiting.pop()
                except IndexError:
                    return  # another thread was quicker
                stage.run()
        finally:
            ended()

    def cancel(self) -> None:
        """What has not begun never will."""
        while self._waiting:
            try:
                self._waiting.pop().cancel()
            except IndexError:
                return

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self.cancel()
            self._stop()
        for each in self._threads:
            each.acquire()
