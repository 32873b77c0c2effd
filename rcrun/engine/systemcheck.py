"""`system check`: the whole store read, and what can be mended, mended."""

from __future__ import annotations

import time

from rcrun.engine.work import worded
from rcrun.errors import StepFailed
from rcrun.storage import checkcontainers, checkimages, checklayers, checkleftovers, checkpods
from rcrun.storage.faults import UNREAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.faults import Fault

SECONDS_TO_SETTLE = 0.5


def check(context: Context, *, quick: bool = False, max_age: float = 86_400) -> list[Fault]:
    """Others may be at work: what is not there any more after a moment was no fault."""
    found = _look(context, quick, max_age)
    if not found:
        return []
    time.sleep(SECONDS_TO_SETTLE)
    still = {fault.what for fault in _look(context, True, max_age)}
    # What only the reading of files tells cannot be something half written: those are renamed in whole.
    return [
        fault
        for fault in found
        if fault.what in still or fault.mend in ("blob", "layer") or UNREAD in fault.what
    ]


def _look(context: Context, quick: bool, max_age: float) -> list[Fault]:
    store = context.store
    found = list(checkimages.faults(store, quick=quick, max_age=max_age))
    try:
        found += checklayers.faults(store, context.identity, quick=quick)
    except StepFailed as error:
        raise worded(error) from error
    found += checkcontainers.faults(store)
    found += checkpods.faults(store)
    found += checkleftovers.faults(store)
    return found
