"""`rcrun healthcheck run`."""

from __future__ import annotations

from rcrun.engine.healthcheck import run_now
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

COULD_NOT = 125


@command("run", failure_status=COULD_NOT)
@option(
    "--ignore-result", is_flag=True, help="End with 0 whether the check says healthy or unhealthy"
)
@argument("container")
def run_healthcheck(container: str, ignore_result: bool) -> int:
    """Check a container's health now; the exit status is 0 if the check succeeds, and 1 if it fails."""
    entry = run_now(find(context.store(), container))
    if entry["ExitCode"] == 0:
        return 0
    output.put("unhealthy")
    return 0 if ignore_result else 1
