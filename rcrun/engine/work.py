"""Steps that the shim does for us as root of a user namespace, without a container."""

from __future__ import annotations

from rcrun.kernel.identity import namespace_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.errors import StepFailed
    from rcrun.kernel.identity import Identity


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


def worded(error: StepFailed) -> StepFailed:
    """A failure of the store's workers in the words, and with the hint, that every launch has."""
    from rcrun.runtime.hints import error_for
    from rcrun.storage.work import CannotWork

    return error_for(error.plan, error.report) if isinstance(error, CannotWork) else error
