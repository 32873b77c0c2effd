"""`process.scheduler` and `process.ioPriority` as steps. Pure, and cold."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.spec import Process, Scheduler

_POLICIES = frozenset(
    "SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_ISO SCHED_IDLE SCHED_DEADLINE".split()
)
# sched_setattr(2)
_SCHEDULER_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_LEAST_RUNTIME = 1024
_IO_CLASSES = frozenset(("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"))
_LEAST_URGENT = 7
_MOST_NANOSECONDS = 2**63 - 1


def scheduling_records(process: Process) -> list[list[str]]:
    records: list[list[str]] = []
    scheduler = process.get("scheduler")
    if scheduler:
        records.append(["scheduler", *_scheduler_words(process)])
    priority = process.get("ioPriority")
    if priority:
        if priority["class"] not in _IO_CLASSES:
            raise InvalidInput(f'unknown class "{priority["class"]}" in "process.ioPriority"')
        level = priority.get("priority", 0)
        if not 0 <= level <= _LEAST_URGENT:
            # newer kernels read more than a priority from a larger number
            raise InvalidInput(
                f'the priority {level} of "process.ioPriority" is not from 0 to {_LEAST_URGENT}'
            )
        records.append(["io-priority", priority["class"], str(level)])
    return records


def _scheduler_words(process: Process) -> list[str]:
    asked = process["scheduler"]
    policy = asked.get("policy", "")
    if policy not in _POLICIES:
        raise InvalidInput(f'unknown policy "{policy}" in "process.scheduler"')
    runtime, deadline, period = (
        asked.get("runtime", 0),
        asked.get("deadline", 0),
        asked.get("period", 0),
    )
    if policy == "SCHED_DEADLINE":
        _check_deadline(asked)
    elif runtime or deadline or period:
        raise InvalidInput(f"runtime, deadline and period are for SCHED_DEADLINE, not {policy}")
    flags = 0
    for flag in asked.get("flags") or []:
        if flag not in _SCHEDULER_FLAGS:
            raise InvalidInput(f'unknown flag "{flag}" in "process.scheduler"')
        flags |= _SCHEDULER_FLAGS[flag]
    numbers = (asked.get("nice", 0), asked.get("priority", 0), runtime, deadline, period, flags)
    return [policy, *map(str, numbers)]


def _check_deadline(asked: Scheduler) -> None:
    """What the kernel refuses with one word for all (sched_setattr(2)), told apart; crun's sentences."""
    what = "sched_setattr: `SCHED_DEADLINE`"
    for key in ("runtime", "deadline"):
        if key not in asked:
            raise InvalidInput(f"{what} requires `{key}`")
    runtime, deadline, period = asked["runtime"], asked["deadline"], asked.get("period", 0)
    if runtime == 0:
        raise InvalidInput(f"{what} runtime must be greater than 0")
    if not _LEAST_RUNTIME <= runtime <= _MOST_NANOSECONDS:
        raise InvalidInput(
            f"{what} runtime {runtime} must be between {_LEAST_RUNTIME} and {_MOST_NANOSECONDS} nanoseconds"
        )
    if runtime > deadline:
        raise InvalidInput(f"{what} runtime {runtime} must be <= deadline {deadline}")
    if period and deadline > period:
        raise InvalidInput(f"{what} deadline {deadline} must be <= period {period}")
