"""Steps that the shim does for us as root of a user namespace, without a container."""

from __future__ import annotations

from rcrun.kernel.identity import namespace_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.errors import StepFailed
    from rcrun.kernel.identity import Identity
    from rcrun.storage.work import Workers


def work_plan(
    identity: Identity, steps: Sequence[list[str]], *, mount: bool = False
) -> list[list[str]]:
    types = [] if identity.kind == "root" else ["user"]
    if mount:
        types.append("mount")
    return [
        ["plan", "1"],
        ["session", "work"],
        *namespace_records(identity),
        *([["unshare", ",".join(types)]] if types else []),
        *steps,
    ]


def worker_events(
    context: Context,
    words: list[str],
    *,
    steps: list[list[str]] | None = None,
    stream_fd: int = -1,
    direct: bool = False,
    started: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """One worker to its end; notes are warnings. `started` is called once the worker has its descriptors."""
    from rcrun.storage.work import Workers

    with Workers(context.identity) as workers:
        workers.start(words, stdin_fd=stream_fd, steps=steps or [], direct=direct)
        started()
        yield from heard(context, workers)


def heard(context: Context, workers: Workers) -> Iterator[dict[str, Any]]:
    """What they say until they have ended; notes are warnings."""
    from rcrun.errors import StepFailed

    try:
        for event in workers.events():
            if "note" in event:
                context.warn(event["note"], None)
            else:
                yield event
    except StepFailed as error:
        raise worded(error) from error


def worded(error: StepFailed) -> StepFailed:
    """A failure of the store's workers in the words, and with the hint, that every launch has."""
    from rcrun.runtime.hints import error_for
    from rcrun.storage.work import CannotWork

    return error_for(error.plan, error.report) if isinstance(error, CannotWork) else error
