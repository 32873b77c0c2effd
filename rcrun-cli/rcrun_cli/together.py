"""The same for several names side by side, told in their order."""

from __future__ import annotations

from rcrun.engine.sidebyside import begun
from rcrun_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def each_together(
    names: Sequence[str], action: Callable[[str], object], *, missing_ok: bool = False
) -> int:
    """As `output.each`, in its order: a name is printed once it and all before it are done."""
    statuses = []
    for part, begun_tasks in begun(names, action):
        tasks = iter(begun_tasks)
        statuses.append(
            output.each(part, lambda name, tasks=tasks: next(tasks).result(), missing_ok=missing_ok)  # type: ignore[misc]
        )
    return next((status for status in statuses if status), 0)
