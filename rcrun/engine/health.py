"""Health checks: what the monitor runs (docs/health-and-restart.md)."""

from __future__ import annotations

import os

from rcrun.engine.healthfile import is_checked
from rcrun.files import unlink_if_there, write_file
from rcrun.kernel.seccomp import filter_fd_of
from rcrun.kernel.shim import encode_plan
from rcrun.paths import make_private_dir
from rcrun.runtime.plan_process import exec_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Process, Spec
    from rcrun.storage.containers import Container

_MILLISECOND = 1_000_000
_LONGEST = 2**31 - 1  # milliseconds
# Docker's, in nanoseconds.
DEFAULTS = {
    "Interval": 30_000_000_000,
    "Timeout": 30_000_000_000,
    "StartPeriod": 0,
    "StartInterval": 5_000_000_000,
}
RETRIES = 3


def plan_records(context: Context, container: Container, spec: Spec) -> list[list[str]]:
    """The plan of a check is a file of the live state, with marks where the monitor puts numbers (rcrun/shim/health.c)."""
    if not is_checked(container):
        return []
    make_private_dir(container.live_dir)
    unlink_if_there(container.live_path("health.json"))
    unlink_if_there(container.live_path("health.plan.new"))
    _write_filter(container, spec)
    return _records(context, container, spec)


def write_again(context: Context, container: Container, spec: Spec) -> None:
    """For a monitor that checks already: what is asked for now; it reads that when it is asked for a check."""
    records = _records(context, container, spec) if is_checked(container) else []
    plan = encode_plan([["plan", "1"], ["session", "work"], *records])
    write_file(container.live_path("health.plan.new"), plan, mode=0o600, durable=False)


def _records(context: Context, container: Container, spec: Spec) -> list[list[str]]:
    plan = encode_plan(_check_plan(context, container, spec))
    write_file(container.live_path("health.plan"), plan, mode=0o600, durable=False)
    files = [container.live_path(f"health.{name}") for name in ("plan", "filter", "json")]
    check = container.record["healthcheck"]
    interval, timeout, period, start_interval = [_milliseconds(check, key) for key in DEFAULTS]
    retries = str(check.get("Retries") or RETRIES)
    return [
        ["health", *files, interval, timeout, retries, period, start_interval],
        *_on_unhealthy(context, container),
    ]


def _milliseconds(check: dict[str, Any], key: str) -> str:
    value = check.get(key) or DEFAULTS[key]
    return str(min(max(0, value) // _MILLISECOND, _LONGEST))


def _check_plan(context: Context, container: Container, spec: Spec) -> list[list[str]]:
    settings = [
        ["id", container.id],
        ["on-failure", *context.launcher, "__failed", ""],
        *([["cgroup", "@CGROUP@"]] if container.record.get("cgroup") else []),
    ]
    fd = 0 if (spec.get("linux") or {}).get("seccomp") else None
    process = _process(container, spec)
    plan = exec_plan(process, spec, 0, 0, context.host, settings=settings, seccomp_fd=fd)
    return [_with_marks(record) for record in plan]


def _with_marks(record: list[str]) -> list[str]:
    if record[0] == "join-pid":
        return ["join-pid", "@PID@", "@START@", *record[3:]]
    return ["seccomp", "@FILTER@", *record[2:]] if record[0] == "seccomp" else record


def _process(container: Container, spec: Spec) -> Process:
    """As docker runs it: the container's user, environment and directory, without a terminal."""
    process: Process = {**(spec.get("process") or {})}
    process.pop("consoleSize", None)
    process["terminal"] = False
    kind, *words = container.record["healthcheck"]["Test"]
    process["args"] = words if kind == "CMD" else ["/bin/sh", "-c", *words]
    return process


def _write_filter(container: Container, spec: Spec) -> None:
    path = container.live_path("health.filter")
    fd = filter_fd_of(spec)
    if fd is None:
        unlink_if_there(path)
        return
    with open(fd, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        write_file(path, os.pread(file.fileno(), size, 0), mode=0o600, durable=False)


def _on_unhealthy(context: Context, container: Container) -> list[list[str]]:
    action = container.record.get("health_on_failure")
    if not action:
        return []
    return [
        ["on-unhealthy", *([] if action == "kill" else [*context.launcher, action, container.id])]
    ]
