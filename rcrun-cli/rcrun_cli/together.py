"""The same for several names side by side: ten seconds of grace are ten seconds for all of them."""

from __future__ import annotations

import _thread

from rcrun_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT_ONCE = 50  # as docker; each takes a handful of descriptors
STACK_BYTES = 1 << 19


class _Task:
    """An action in a thread of its own; in ours, later, where there can be no more threads."""

    def __init__(self, action: Callable[[str], object], name: str) -> None:
        self.action = action
        self.name = name
        self.error: BaseException | None = None
        self.going = _thread.allocate_lock()
        self.going.acquire()
        try:
            _thread.start_new_thread(self._run, ())
            self.has_begun = True
        except RuntimeError:
            self.has_begun = False

    def _run(self) -> None:
        try:
            self.action(self.name)
        except BaseException as error:
            self.error = error
        finally:
            self.going.release()

    def result(self) -> None:
        if not self.has_begun:
            self._run()
        self.going.acquire()
        if self.error is not None:
            raise self.error


def each_together(
    names: Sequence[str], action: Callable[[str], object], *, missing_ok: bool = False
) -> int:
    """As `output.each`, in its order: a name is printed once it and all before it are done."""
    _thread.stack_size(STACK_BYTES)
    statuses = []
    for at in range(0, len(names), AT_ONCE):
        part = names[at : at + AT_ONCE]
        tasks = iter([_Task(action, name) for name in part])
        statuses.append(
            output.each(part, lambda name, tasks=tasks: next(tasks).result(), missing_ok=missing_ok)  # type: ignore[misc]
        )
    return next((status for status in statuses if status), 0)
